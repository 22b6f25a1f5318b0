#!/bin/bash
# deploy/systemd's units under a systemd of the user's own (started here, in a
# mount and a network namespace): a learner, a shard and two actors with keys train
# on one machine, a killed learner is started again and goes on, and a stop leaves
# no process and a checkpoint. A scope of that systemd limits a host's memory.
set -u
here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
# shellcheck source=tests/chaos/net.bash
. "$here/../../chaos/net.bash"
enter_namespaces "$@"
# shellcheck source=tests/system/lib.bash
. "$here/../lib.bash"

export HOME=$work/home XDG_RUNTIME_DIR=/run/user/$UID
unset DBUS_SESSION_BUS_ADDRESS XDG_CONFIG_HOME
run=$work/run units=(softq-learner softq-shard@0 softq-actor@{0,1})

# Why there can be no such systemd here, or nothing.
no_systemd_because() {
    local systemd=/lib/systemd/systemd
    [[ -n ${SOFTQ_NAMESPACES-} ]] || { echo 'no leave to make namespaces' && return; }
    [[ -x $systemd ]] || { echo "no $systemd" && return; }
    mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system "$HOME" &&
        mkdir -p "$XDG_RUNTIME_DIR" && chmod 700 "$XDG_RUNTIME_DIR" && ip link set lo up || return
    "$systemd" --user --log-target=console >"$work/systemd" 2>&1 &
    within 20 systemctl --user is-system-running -q 2>/dev/null ||
        echo "systemd --user does not come up: $(tail -n 1 "$work/systemd")"
}

# What README tells to write and to copy.
install_units() {
    mkdir -p "$HOME/.config/systemd/user" "$HOME/.config/softq" || return
    cp "$root"/deploy/systemd/* "$HOME/.config/systemd/user/" || return
    cat >"$HOME/.config/softq/service" <<SERVICE
RUN=$run
BIN=$(dirname "$(program softq-learner)")
JOIN=tcp://127.0.0.1:5550
OPTIONS=--config=$root/deploy/presets/multigoal.ini --max_updates=0 --checkpoint_seconds=1
SERVICE
    "$root/deploy/keys.sh" new >/dev/null || return
    systemctl --user daemon-reload
}

told() { # why it failed
    echo "$1: $(systemctl --user --no-pager status "${units[@]}" 2>&1 | tail -n 40)"
}

units_train() {
    if ! install_units 2>"$work/err"; then
        not_ok "${FUNCNAME[0]}" "$(cat "$work/err")"
    elif ! systemctl --user start "${units[@]}" 2>"$work/err" ||
        ! within 60 has_updates "$run" 100; then
        not_ok "${FUNCNAME[0]}" "$(told 'no updates')"
    else
        ok "${FUNCNAME[0]}"
    fi
}

a_killed_learner_comes_back() {
    local at
    at=$(updates_of "$run")
    systemctl --user kill -s KILL softq-learner
    if within 60 grep -q '^generation = 2\|^generation 2$' "$run/state" &&
        within 60 has_updates "$run" $((at + 100)); then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(told "stands at $(updates_of "$run") after $at")"
    fi
}

a_stop_leaves_a_checkpoint() {
    systemctl --user stop "${units[@]}"
    if ! gone "--run_dir=$run"; then
        not_ok "${FUNCNAME[0]}" "left: $(processes_of "--run_dir=$run")"
    elif ! compgen -G "$run/checkpoints/*.safetensors" >/dev/null ||
        [[ $(systemctl --user show -P Result softq-learner) != success ]]; then
        not_ok "${FUNCNAME[0]}" "$(told 'no checkpoint')"
    else
        ok "${FUNCNAME[0]}"
    fi
}

# The words that deploy/on_host.sh gives it.
a_scope_limits_memory() {
    local words
    words=$(sed -n 's/.*limits+=(\(systemd-run .*\)$/\1/p; s/^ *-p MemorySwapMax=0)/-p MemorySwapMax=0/p' \
        "$root/deploy/on_host.sh" | tr '\n' ' ')
    words=${words/\"MemoryMax=\$memory\"/MemoryMax=64M}
    # shellcheck disable=SC2086 # words
    if ! $words true 2>"$work/err"; then
        not_ok "${FUNCNAME[0]}" "$words: $(cat "$work/err")"
    elif $words bash -o pipefail -c 'head -c 200M /dev/zero | tail >/dev/null' \
        2>/dev/null; then
        not_ok "${FUNCNAME[0]}" '200 MB are had in 64'
    else
        ok "${FUNCNAME[0]}"
    fi
}

why=$(no_systemd_because)
if [[ -n $why ]]; then
    skip 'units under systemd' "$why"
    exit 0
fi
units_train
a_killed_learner_comes_back
a_stop_leaves_a_checkpoint
a_scope_limits_memory
systemctl --user exit
wait
summary
