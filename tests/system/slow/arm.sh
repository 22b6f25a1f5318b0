#!/bin/bash
# 64-bit Arm: in a Debian 12 with nothing in it but the project's files all is
# cross-compiled without a warning, and qemu's user mode runs the unit suites, a
# training of a few updates and an evaluation. It emulates a processor, neither its
# speed nor how it orders memory: what only takes long or looks at the emulator
# itself is left out by name.
#
#   tests/system/slow/arm.sh [SUITE...]
#
# Only those suites; SOFTQ_TREE=FOLDER as for readme.sh.
set -u
here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
# shellcheck source=tests/system/lib.bash
. "$here/../lib.bash"
# shellcheck source=tests/system/slow/tree.bash
. "$here/tree.bash"

arm="build-arm64" # the folder of the build, in the tree
processor=${QEMU_CPU:-cortex-a72} # has crc32c's instructions, no SVE

# Suites and, with a dot, single cases, which may fail.
declare -A left_out=(
    [lifecycle.reserved_memory_is_there_already]='it counts the memory of qemu too, of which a thread takes 420 KiB'
    [video.no_ffmpeg_is_said]='of a program that is not there qemu tells posix_spawn nothing'
    [actor.a_plain_run_ends_well]='24,000 steps in 8 s are too many'
    [sampler]='minutes of training'
)

# What deploy/install.sh wants here: libraries of Arm's, tools of this machine's.
packages() {
    local package
    # shellcheck disable=SC2013 # words
    for package in $(inside 'deploy/install.sh --no-install' 2>&1 |
        sed -n 's/^.*missing: \(.*\) (.*/\1/p'); do
        case $package in
        gcc) echo gcc-aarch64-linux-gnu ;;
        gnuplot-nox) ;; # draws
        *-dev) echo "$package:arm64" ;;
        *) echo "$package" ;;
        esac
    done
}

it_installs() {
    local list
    {
        inside 'dpkg --add-architecture arm64 && apt-get update'
        list=$(packages | tr '\n' ' ')
        [[ $list == *:arm64* ]] &&
            inside "apt-get install -y --no-install-recommends qemu-user $list"
    } >"$work/out" 2>&1
    status=$?
    if [[ $status == 0 ]]; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(tail -n 10 "$work/out")"
    fi
    return "$status"
}

it_builds_without_a_warning() {
    local start=$SECONDS
    cat >"$tree/tmp/arm64.ini" <<'CROSS'
[binaries]
c = 'aarch64-linux-gnu-gcc'
ar = 'aarch64-linux-gnu-ar'
strip = 'aarch64-linux-gnu-strip'
pkgconfig = 'pkg-config'
exe_wrapper = 'qemu-aarch64'

[properties]
pkg_config_libdir = '/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig'

[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
CROSS
    if inside "{ [[ -e $arm/build.ninja ]] ||
        meson setup $arm --cross-file /tmp/arm64.ini -Dwerror=true; } && ninja -C $arm" \
        >"$work/out" 2>&1; then
        ok "${FUNCNAME[0]}"
        echo "# $((SECONDS - start)) s"
    else
        not_ok "${FUNCNAME[0]}" "$(grep -m 3 -E 'error|ERROR' "$work/out")"
        return 1
    fi
}

the_programs_are_arms() {
    local p bad=''
    for p in softq-learner softq-replay softq-actor softq-simulate; do
        # e_machine is EM_AARCH64
        [[ $(od -An -j18 -N2 -tu2 "$tree$project/$arm/$p") -eq 183 ]] || bad+=" $p"
    done
    if [[ -n $bad ]]; then not_ok "${FUNCNAME[0]}" "$bad"; else ok "${FUNCNAME[0]}"; fi
}

# They are made by running the programs.
the_manual_pages_are_there() {
    local p bad=''
    for p in softq-learner softq-replay softq-actor softq-simulate; do
        (($(grep -c '^\.TP' "$tree$project/$arm/deploy/packaging/$p.1") > 15)) || bad+=" $p"
    done
    if [[ -n $bad ]]; then not_ok "${FUNCNAME[0]}" "$bad"; else ok "${FUNCNAME[0]}"; fi
}

# One log a suite, two suites at a time. `cc` is Arm's too: test_export loads what it
# made.
run_suites() { # suite...
    inside "export CMOCKA_MESSAGE_OUTPUT=TAP QEMU_CPU=$processor
        mkdir -p /tmp/arm && ln -sf /usr/bin/aarch64-linux-gnu-gcc /tmp/arm/cc
        export PATH=/tmp/arm:\$PATH
        printf '%s\n' $* | xargs -P 2 -I{} meson test -C $arm --no-rebuild \
            --timeout-multiplier 4 --logbase arm-{} {}" >"$work/out" 2>&1
}

judge_suite() { # suite
    local log=$tree$project/$arm/meson-logs/arm-$1.txt case why bad=''
    [[ -e $log ]] || {
        not_ok "suite_$1" "no log: $(tail -n 3 "$work/out")"
        return
    }
    while read -r case; do
        why=${left_out[$1.$case]-}
        if [[ -n $why ]]; then skip "suite_$1.$case" "$why"; else bad+=" $case"; fi
    done < <(sed -n 's/^not ok [0-9]* - //p' "$log")
    # it ended otherwise than by its cases
    grep -qE '^result: *exit status 0$|^not ok ' "$log" ||
        bad+=" $(sed -n 's/^result: *//p' "$log")"
    if [[ -n $bad ]]; then not_ok "suite_$1" "$bad"; else ok "suite_$1"; fi
    passed=$((passed + $(grep -c '^ok ' "$log")))
}

passed=0 # cases
the_unit_suites_pass() { # [suite...]
    local start=$SECONDS suite suites=("$@") some=()
    (($#)) || mapfile -t suites < <(inside "meson test -C $arm --suite unit --no-rebuild --list" |
        sed 's|^.* / ||')
    ((${#suites[@]})) || not_ok "${FUNCNAME[0]}" 'meson lists none'
    for suite in "${suites[@]}"; do
        if [[ $# == 0 && -n ${left_out[$suite]-} ]]; then
            skip "suite_$suite" "${left_out[$suite]}"
        else
            some+=("$suite")
        fi
    done
    run_suites "${some[@]}"
    for suite in "${some[@]}"; do judge_suite "$suite"; done
    echo "# $passed cases of ${#some[@]} suites on $processor in $((SECONDS - start)) s"
}

# As tests/system/slow/valgrind.sh's: patience in place of speed.
it_trains_and_evaluates() {
    local start=$SECONDS run=$project/$arm/run updates=20
    local options=("${small[@]:1}" --max_updates="$updates" --warmup=64
        --environments=2 --evaluation_episodes=3 --dead_after=60 --resend_after=20
        --sample_timeout=20 --orphan_after=120)
    rm -rf "${tree:?}$run"
    inside "export QEMU_CPU=$processor
        mkdir $run && cd $arm || exit
        ours() { timeout -k 5 600 qemu-aarch64 ./softq-\$1 --run_dir=$run \"\${@:2}\"; }
        ours learner ${options[*]} &
        learner=\$!
        ours replay --join=$run --dead_after=60 &
        ours actor --join=$run --dead_after=60 &
        wait \$learner && wait && qemu-aarch64 ./softq-actor --evaluate=$run --episodes=3" \
        >"$work/out" 2>&1 </dev/null
    status=$?
    if [[ $status == 0 ]] && has_updates "$tree$run" "$updates" &&
        has_evaluation "$tree$run"; then
        ok "${FUNCNAME[0]}"
        echo "# $updates updates in $((SECONDS - start)) s"
    else
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 10 "$work/out")"
        return 1
    fi
}

# Its files are no machine's own.
this_machine_plays_its_checkpoint() {
    rm -f "$tree$project/$arm/run/evaluation.json"
    if "$(program softq-actor)" --evaluate="$tree$project/$arm/run" --episodes=3 \
        >"$work/out" 2>&1 </dev/null && has_evaluation "$tree$project/$arm/run"; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(tail -n 3 "$work/out")"
    fi
}

why=$(no_tree_because)
[[ $(uname -m) == x86_64 ]] || why='this is no x86-64 machine'
if [[ -n $why ]]; then
    skip arm "$why"
elif it_installs && it_builds_without_a_warning; then
    the_programs_are_arms
    the_manual_pages_are_there
    the_unit_suites_pass "$@"
    it_trains_and_evaluates && this_machine_plays_its_checkpoint
fi
remove_tree
summary
