#!/bin/bash
# Bad bytes at every port of a run: counted and refused, and the run ends well.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

# Addresses of the run's servers: the learner's, and its shards' sockets.
addresses() { # run
    local learner
    learner=$(awk '$1 == "learner" { print $2 }' "$1/address")
    echo "$learner"
    case $learner in
    ipc://*)
        find "$(dirname "${learner#ipc://}")" -type s ! -path "${learner#ipc://}" \
            -printf 'ipc://%p\n'
        ;;
    tcp://*) echo "tcp://127.0.0.1:$((${learner##*:} + 10))" ;;
    esac
}

garbage_changes_nothing() { # transport, further options
    local run=$work/$1 status address sent=0
    launch "$run" --transport="$1" "${@:2}"
    if ! within 60 has_updates "$run" 100; then
        not_ok "${FUNCNAME[0]} ($1)" "did not start: $(tail -n 3 "$run.err")"
        return
    fi
    while read -r address; do
        if "$(program garbage)" "$address" $RANDOM >>"$run.garbage" 2>&1; then
            sent=$((sent + 1))
        else
            not_ok "${FUNCNAME[0]} ($1)" "$(tail -n 1 "$run.garbage")"
        fi
    done < <(addresses "$run")
    local http
    http=$(awk '$1 == "http" { print $2 }' "$run/address")
    if [[ -n $http ]]; then
        http=${http#http://}
        # shellcheck disable=SC2217
        (exec 3<>"/dev/tcp/${http%:*}/${http##*:}" &&
            head -c 5000 /dev/urandom >&3) 2>/dev/null
    fi
    goes_on "$run" || not_ok "${FUNCNAME[0]} ($1)" "it stands still"
    end_by_limit "$run"
    if [[ $status != 0 ]] || ! has_evaluation "$run"; then
        not_ok "${FUNCNAME[0]} ($1)" "status $status: $(tail -n 3 "$run.err")"
    elif ((sent < 2)); then
        not_ok "${FUNCNAME[0]} ($1)" "found only $sent ports"
    elif grep -rqE 'starting it again' "$run.err"; then
        not_ok "${FUNCNAME[0]} ($1)" "a process died: $(cat "$run.err")"
    else
        ok "${FUNCNAME[0]} ($1, $sent ports)"
    fi
}

garbage_changes_nothing ipc
garbage_changes_nothing tcp --port=$((21000 + RANDOM % 2900)) # keys.sh has others
summary
