#!/bin/bash
# `meson install` into a folder of its own: the programs run and say what they are
# made of, softq's scripts find programs, presets and models there and speak of
# themselves as softq's commands, completion and manual pages have every option,
# and what is uninstalled is what was installed.
# not sanitised: the programs are only started
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

tree=$work/tree here=$work/here log=$build/meson-logs/install-log.txt
programs=(softq-learner softq-actor softq-replay softq-simulate)
mkdir -p "$here" "$work/home"
cd "$here" || exit 1
export HOME=$work/home
unset SOFTQ_BUILD XDG_CACHE_HOME

# Beside a launch's bundle, and leaving what the user's own uninstalling goes by.
exec {lock}<"$build"
flock "$lock"
[[ ! -e $log ]] || cp "$log" "$work/log"

it_installs() {
    if DESTDIR=$tree meson install -C "$build" --no-rebuild --quiet >"$work/out" 2>&1 &&
        bin=$(dirname "$(find "$tree" -path '*/bin/softq')") && [[ -x $bin/softq ]]; then
        PATH=$bin:$PATH prefix=${bin%/bin}
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(tail -n 5 "$work/out")"
        return 1
    fi
}

# --- programs ---

# The libraries among those linked whose version is told, by --version's names.
linked() { # program
    readelf -d "$1" | sed -nE 's/^.*NEEDED.*\[lib([a-z-]+)[.0-9]*\.so.*$/\1/p' |
        sed -n 's/^zmq$/libzmq/p; s/^uv$/libuv/p; s/^protobuf-c$/&/p
            s/^openblas$/OpenBLAS/p; s/^microhttpd$/libmicrohttpd/p
            s/^mujoco$/MuJoCo/p; s/^z$/zlib/p' | sort
}

versions_are_of_what_is_linked() {
    local p bad=''
    for p in "${programs[@]}"; do
        "$p" --version >"$work/version" || bad+=" $p: status $?"
        grep -qE "^$p [0-9]+\.[0-9]+\.[0-9]+\$" "$work/version" || bad+=" $p: no version"
        ! tail -n +2 "$work/version" | grep -qvE '^[A-Za-z-]+ [0-9]+\.[0-9.]+' ||
            bad+=" $p: $(cat "$work/version")"
        tail -n +2 "$work/version" | cut -d' ' -f1 | sort |
            diff - <(linked "$bin/$p") >"$work/diff" || bad+=" $p: $(head -n 4 "$work/diff")"
    done
    for p in libuv libzmq; do
        grep -qE "^$p $(pkg-config --modversion "$p")(,|\$)" "$work/version" ||
            bad+=" $p is not $(pkg-config --modversion "$p")"
    done
    grep -qE '^OpenBLAS .*, kernel [A-Za-z0-9]+,' "$work/version" || bad+=' no kernel'
    if [[ -n $bad ]]; then not_ok "${FUNCNAME[0]}" "$bad"; else ok "${FUNCNAME[0]}"; fi
}

a_user_builds_against_the_header() {
    local flags
    flags=$(PKG_CONFIG_PATH=$(dirname "$(find "$tree" -name softq.pc)") \
        pkg-config --define-prefix --cflags softq)
    # shellcheck disable=SC2086 # several words
    if cc -shared -fPIC $flags -o my_env.so \
        "$prefix/share/softq/deploy/examples/my_env.c" -lm 2>"$work/err" &&
        softq-actor --check=./my_env.so >"$work/out" 2>&1 && grep -q '^spec ' "$work/out"; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "flags '$flags': $(cat "$work/err" "$work/out")"
    fi
}

the_units_name_the_programs() {
    local unit bad=''
    for unit in learner shard@ actor@; do
        grep -qxF "Environment=BIN=${bin#"$tree"}" \
            "$prefix/share/systemd/user/softq-$unit.service" || bad+=" softq-$unit"
    done
    if [[ -n $bad ]]; then not_ok "${FUNCNAME[0]}" "$bad"; else ok "${FUNCNAME[0]}"; fi
}

# --- scripts ---

a_run_goes_where_it_is_typed() {
    local status
    softq local multigoal "${small[@]}" --max_updates=30 >"$work/out" 2>"$work/err" \
        </dev/null
    status=$?
    run=$(echo runs/multigoal-*)
    if [[ $status == 0 && -e $run/figures/learning.png ]] && has_evaluation "$run" &&
        has_updates "$run" 30 && softq export "$run" >"$work/out" 2>"$work/err" &&
        [[ -s $run/export/sampler.h ]]; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 5 "$work/err" "$work/out")"
    fi
}

# Neither a checkout's scripts nor a file that is not there is spoken of.
they_speak_of_what_is_there() {
    local command path bad=''
    for command in $(softq --commands); do
        softq "$command" --help >>"$work/help" 2>&1 || bad+=" $command --help: $?"
    done
    # but for the task's name
    while read -r path; do
        [[ -e $path ]] || bad+=" $path"
    done < <(grep -oE "$prefix/share[A-Za-z0-9_./-]*" "$work/help" |
        sed 's|/TASK\.ini$||; s/\.$//' | sort -u)
    bad+=$(grep -E '(^|[^/])deploy/' "$work/help")
    softq status nix 2>&1 | grep -q deploy/ && bad+=' status speaks of deploy/'
    softq export 2>&1 | grep -qF 'usage: softq export RUN' || bad+=' no usage of export'
    if [[ -n $bad ]]; then not_ok "${FUNCNAME[0]}" "$bad"; else ok "${FUNCNAME[0]}"; fi
}

a_bundle_needs_no_build() {
    local hash
    hash=$("$prefix/share/softq/deploy/bundle.sh" 2>"$work/err")
    if [[ -n $hash ]] && tar -tf "$HOME/.cache/softq/bundle.tar" >"$work/out" &&
        grep -qx './bin/softq-replay' "$work/out" &&
        grep -qx './lib/libzmq.so.5' "$work/out" &&
        grep -qx './models/swimmer.xml' "$work/out"; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(cat "$work/err")"
    fi
}

# --- completion and manual pages ---

# What bash would offer at the end of the line, one a line.
offered() { # line
    bash -c '
        . "$1"
        read -ra COMP_WORDS <<<"${2//=/ = }"
        [[ $2 != *" " ]] || COMP_WORDS+=("")
        COMP_LINE=$2 COMP_POINT=${#2} COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        compopt() { :; } # only while bash completes
        how=$(complete -p "${COMP_WORDS[0]##*/}")
        how=${how#* -F }
        "${how%% *}" "${COMP_WORDS[0]}"
        printf "%s\n" "${COMPREPLY[@]}"' \
        offered "$prefix/share/bash-completion/completions/${1%% *}" "$1" 2>>"$work/err"
}

completion_offers() {
    local line wanted bad=''
    mkdir -p runs/no-run
    while IFS='|' read -r line wanted; do
        [[ "$(offered "$line" | sed 's/ $//' | sort | paste -sd' ')" == "$wanted" ]] ||
            bad+=" '$line': $(offered "$line" | paste -sd' '), not '$wanted'"
    done <<LINES
softq st|status stress
softq local mult|multigoal
softq local multigoal --max-u|--max_updates=
softq local multigoal --resu|--resume
softq local multigoal --twin_q=|false true
softq sweep swimmer --seeds|--seeds=
softq local multigoal --temperature a|anneal auto
softq local --resume |$run
softq status r|$run
softq evaluate runs/no|runs/no-run
softq cluster st|status stop
softq keys re|reload remove
softq-learner --algorithm=|compose ddpg sql
softq-actor --evaluate=|$run
softq-replay --replay|--replay_dir=
LINES
    if [[ -n $bad ]]; then not_ok "${FUNCNAME[0]}" "$bad"; else ok "${FUNCNAME[0]}"; fi
}

# The table's, neither more nor fewer, in all three.
every_option_is_everywhere() {
    local p bad=''
    for p in "${programs[@]}"; do
        "$p" --print_options | cut -f 1 | sort >"$work/options"
        (($(grep -c . "$work/options") > 15)) || bad+=" $p --print_options"
        "$p" --help | sed -nE 's/^ +--([a-z_]+)[]=A-Z[]*( .*)?$/\1/p' | sort |
            diff - "$work/options" >"$work/diff" || bad+=" $p --help: $(head -n 4 "$work/diff")"
        offered "$p --" | sed 's/^--//; s/[ =]$//' | sort |
            diff - "$work/options" >"$work/diff" || bad+=" completion of $p: $(head -n 4 "$work/diff")"
        sed -n 's/^\\fB\\-\\-\([a-z_]*\)\\fR.*$/\1/p' "$prefix/share/man/man1/$p.1" | sort |
            diff - "$work/options" >"$work/diff" || bad+=" $p.1: $(head -n 4 "$work/diff")"
    done
    if [[ -n $bad ]]; then not_ok "${FUNCNAME[0]}" "$bad"; else ok "${FUNCNAME[0]}"; fi
}

every_command_has_its_page() {
    local command bad=''
    for command in $(softq --commands); do
        grep -qx "\.SS softq $command" "$prefix/share/man/man1/softq.1" || bad+=" $command"
    done
    if [[ -n $bad ]]; then not_ok "${FUNCNAME[0]}" "$bad"; else ok "${FUNCNAME[0]}"; fi
}

# --- and away again ---

uninstalling_leaves_nothing() {
    (cd "$tree" && find . -mindepth 1 | sed "s|^\.|$tree|" | sort) >"$work/there"
    grep -v '^#' "$log" | sort >"$work/listed"
    if comm -23 "$work/there" "$work/listed" | grep -q . ; then
        not_ok "${FUNCNAME[0]}" "not listed: $(comm -23 "$work/there" "$work/listed" | head -n 3)"
    elif ! ninja -C "$build" uninstall >"$work/out" 2>&1 ||
        [[ -n $(find "$tree" -mindepth 1 2>/dev/null | head -n 1) ]]; then
        not_ok "${FUNCNAME[0]}" "$(find "$tree" | head -n 3; tail -n 3 "$work/out")"
    else
        ok "${FUNCNAME[0]}"
    fi
}

if it_installs; then
    versions_are_of_what_is_linked
    a_user_builds_against_the_header
    the_units_name_the_programs
    a_run_goes_where_it_is_typed
    they_speak_of_what_is_there
    a_bundle_needs_no_build
    completion_offers
    every_option_is_everywhere
    every_command_has_its_page
    refuses unknown_command_is_refused "there is no command 'nix'" softq nix
    uninstalling_leaves_nothing
fi
[[ ! -e $work/log ]] || mv "$work/log" "$log"
summary
