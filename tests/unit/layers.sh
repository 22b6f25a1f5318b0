#!/bin/bash
# Every #include against the layers: a folder leans only on those below it, and
# a third party's header stands only where it belongs. Prints `ok NAME` or
# `not ok NAME` a rule; exits non-zero if one is broken.
set -u
cd -- "$(dirname -- "$(readlink -f -- "$0")")/../.." || exit 1
failed=0

# "file:line:#include ..." of all sources of these folders
includes() {
    grep -rnE --include='*.c' --include='*.h' '^[[:space:]]*#[[:space:]]*include' "$@"
}

check() { # rule's name; stdin: lines that break it
    local broken
    broken=$(cat)
    if [[ -z $broken ]]; then
        echo "ok $1"
    else
        echo "not ok $1"
        printf '# %s\n' "$broken"
        failed=1
    fi
}

# folder -> folders it may include with quotes
only() { # folder, others
    includes "$1" | grep '"' | grep -vE "\"($1${2:+|$2})/[^\"]*\"" |
        grep -vE '"softq\.pb-c\.h"' | check "$1_includes_only_itself${2:+_and_${2//|/_and_}}"
}

# third party's header -> files it may stand in
keep() { # rule's name, header's pattern, files' pattern
    includes actor common learner proto replay | grep -E "[<\"]($2)[>\"]" |
        grep -vE "^($3):" | check "$1"
}

only common ''
only proto 'common'
only actor 'common|proto'
only replay 'common|proto'
only learner 'common|proto'

includes actor common learner proto replay tests | grep -E '"\.\.?/' |
    check paths_start_at_the_root
keep only_mlp_calls_cblas 'cblas\.h|openblas.*' 'common/mlp\.c|learner/main\.c'
keep only_wire_onnx_and_events_know_protobuf '.*pb-c\.h|protobuf-c.*' \
    'proto/wire[a-z_]*\.[ch]|actor/onnx\.c|learner/events\.c'
keep only_actors_know_mujoco 'mujoco/.*' \
    'actor/(tasks/[a-z_]*|render)\.[ch]'
keep only_the_page_knows_http 'microhttpd\.h' 'learner/page\.c'
keep common_knows_no_sockets 'uv\.h|zmq\.h' '(actor|learner|proto|replay)/.*'

# pure modules: no loop, no socket, neither directly nor through a header
pure='common/.*|proto/(wire.*|allowed.*|complaint.*|route.*)|actor/(env|exploration|rollout|outbox|turns|window)\.[ch]'
pure+='|actor/tasks/.*\.[ch]|replay/(ring|ring_file|rings|import|audit|book|extract|dataset|npz|npz_write|dedup)\.[ch]'
pure+='|learner/(soft_value|svgd|adam|critic|ddpg|limiter|algorithm[a-z_]*)\.[ch]'
pure+='|learner/(network|origin|schedule)\.[ch]'
pure+='|learner/(registry|state|feed|hello_rate|checkpoint|progress|events|trainer|why|history)\.[ch]'
loops='uv\.h|zmq\.h|proto/(guard|keys|link|link_[a-z]*|lifecycle|sockpoll)\.h'
includes actor common learner proto replay | grep -E "^($pure):" |
    grep -E "[<\"]($loops)[>\"]" | check pure_modules_know_no_loop

# What the project has at its top level; a user's own tasks may lie beside it. A
# copy without git cannot tell whose a file is: there, the folders.
top_level() {
    git ls-files 2>/dev/null | sed 's|/.*||' | sort -u | grep -v '^\.' ||
        find . -mindepth 1 -maxdepth 1 -type d ! -name '.*' ! -name 'build*' \
            ! -name runs -printf '%f\n'
}
top_level | grep -vxE \
    'meson\.build|meson_options\.txt|README\.md|LICENSE|actor|learner|replay|proto|common|deploy|tests' |
    check top_level_is_as_designed
exit "$failed"
