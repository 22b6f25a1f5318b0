#!/bin/bash
# A Debian 12 with nothing in it but the project's files, and every command of the
# README in its order: those alone install, build, train, draw and test. What is
# not run as it stands there, the README's source says (../readme.bash); what is
# skipped is named.
#
#   tests/system/slow/readme.sh [FIRST [LAST]]
#
# Only those of the README's lines FIRST to LAST; with SOFTQ_TREE=FOLDER in a tree
# that stays, and that commands before them have been run in.
set -u
here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
# shellcheck source=tests/system/lib.bash
. "$here/../lib.bash"
# shellcheck source=tests/system/readme.bash
. "$here/../readme.bash"
# shellcheck source=tests/system/slow/tree.bash
. "$here/tree.bash"

first=${1:-1} last=${2:-100000}

# One block of commands as a script of the tree's: each in its time, what ends with
# & beside those after it, and what is left of that awaited at the end. The values
# that a block sets (NAME=...) hold to its end.
script=/tmp/readme.sh results=/tmp/readme.results
head_of_script() {
    cat <<'SCRIPT'
values=''
: >/tmp/readme.results
run() { # line, limit, command
    local began=$SECONDS
    timeout -k 10 "$2" bash -c "$values
$3" >"/tmp/readme.$1" 2>&1 </dev/null
    echo "$1 $? $((SECONDS - began))" >>/tmp/readme.results
}
SCRIPT
}

# Names of runs in the README are of their day: here, the newest of that task.
# shellcheck disable=SC2016 # for the shell there
of_this_day() { # command
    sed -E 's|runs/([a-z0-9-]+)-2[0-9]{7}-[0-9]{6}|$(ls -d runs/\1-2* \| tail -n 1)|g' <<<"$1"
}

add_command() { # line, limit, command
    local beside='' command
    command=$(of_this_day "$3")
    if [[ $command =~ ^([A-Za-z_]+=[^[:space:]]*[[:space:]]*)+$ ]]; then
        printf 'values+=%q; echo "%s 0 0" >>/tmp/readme.results\n' "$command"$'\n' "$1"
        return
    fi
    [[ $command != *' &' ]] || beside=' &' command=${command% &}
    printf 'run %s %s %q%s\n' "$1" "$2" "$command" "$beside"
}

declare -A shown=() # line of the README: command
block=''

run_block() {
    local line status seconds
    [[ -s $work/block ]] || return 0
    {
        head_of_script
        cat "$work/block"
        echo wait
    } >"$tree$script"
    inside "bash $script" </dev/null
    while read -r line status seconds; do
        if [[ $status == 0 ]]; then
            ok "README.md:$line ${shown[$line]}"
            echo "# README.md:$line: $seconds s"
        else
            not_ok "README.md:$line ${shown[$line]}" "status $status after $seconds s: $(
                grep -E '^(not ok|FAILED)' "$tree/tmp/readme.$line"
                tail -n 10 "$tree/tmp/readme.$line")"
        fi
    done < <(sort -n "$tree$results")
    while read -r line; do
        grep -q "^$line " "$tree$results" ||
            not_ok "README.md:$line ${shown[$line]}" 'it did not come to its end'
    done < <(sed -n 's/^run \([0-9]*\) .*/\1/p' "$work/block")
    : >"$work/block"
}

run_commands() {
    local line at limit why beside command run
    while IFS=$'\037' read -r line at limit why beside command run; do
        ((line >= first && line <= last)) || continue
        [[ $at == "$block" ]] || run_block
        block=$at shown[$line]=$command
        if [[ -n $why ]]; then
            skip "README.md:$line $command" "$why"
        else
            [[ $run == "$command" ]] || echo "# README.md:$line is run as: $run"
            [[ -z $beside ]] || printf 'timeout %s bash -c %q >/dev/null 2>&1 </dev/null &\n' \
                "$limit" "$beside" >>"$work/block"
            add_command "$line" "$limit" "$run" >>"$work/block"
        fi
    done <"$work/commands"
    run_block
}

if ! readme_commands "$root/README.md" >"$work/commands" 2>"$work/err"; then
    not_ok "the README's marks" "$(cat "$work/err")"
    exit 1
fi
why=$(no_tree_because)
if [[ -n $why ]]; then
    skip "the README's commands" "$why"
else
    run_commands
fi
remove_tree
summary
