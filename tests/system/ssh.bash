# Sourced by the tests of deploy/cluster.sh after tests/chaos/net.bash and
# lib.bash: hosts of make_hosts with an sshd each, and a folder each in $work.
# shellcheck shell=bash

: "${work:?}"
export PATH=$PATH:/usr/sbin:/sbin
declare -A sshd=()

# Why there can be no such hosts here, or nothing.
no_hosts_because() {
    if [[ -z ${SOFTQ_NAMESPACES-} ]]; then
        echo 'no leave to make network namespaces'
    elif ! command -v sshd >/dev/null || ! command -v ssh-keygen >/dev/null; then
        echo 'no openssh-server, openssh-client'
    elif ((UID != 0)) || [[ $(</proc/self/uid_map) != *4294967295 ]]; then
        echo 'sshd wants a real root'
    fi
}

# 10.77.0.10 on for them, 10.77.0.1 for this side, and fd77::10 on where there is
# IPv6; sets off their sshd.
make_ssh_hosts() { # host...
    local h i=10
    make_hosts "$@" && ip address add 10.77.0.1/24 dev bridge &&
        { ip address add fd77::1/64 dev bridge nodad 2>/dev/null || true; } &&
        mkdir -p /run/sshd && ssh-keygen -q -t ed25519 -N '' -f "$work/id" ||
        return
    for h; do
        mkdir -p "$work/$h/fake" && ssh-keygen -q -t ed25519 -N '' -f "$work/$h/host_key" ||
            return
        cp "$work/id.pub" "$work/$h/authorized_keys"
        cat >"$work/$h/sshd_config" <<CONFIG
HostKey $work/$h/host_key
AuthorizedKeysFile $work/$h/authorized_keys
UsePAM no
StrictModes no
PidFile none
SetEnv PATH=$work/$h/fake:$PATH
CONFIG
        printf 'Host %s\n    HostName 10.77.0.%s\n' "$h" "$i" >>"$work/ssh_config"
        ip -n "$h" address add "fd77::$i/64" dev eth0 nodad 2>/dev/null
        echo "10.77.0.$i,fd77::$i $(cat "$work/$h/host_key.pub")" >>"$work/known_hosts"
        start_sshd "$h" || return
        i=$((i + 1))
    done
    cat >>"$work/ssh_config" <<CONFIG
Host *
    IdentityFile $work/id
    IdentitiesOnly yes
    UserKnownHostsFile $work/known_hosts
    GlobalKnownHostsFile /dev/null
CONFIG
}

# What a command says there from now on; without words, what it says really.
fake() { # host, command, words
    if (($# > 2)); then
        printf '#!/bin/sh\necho %s\n' "$3" >"$work/$1/fake/$2"
        chmod +x "$work/$1/fake/$2"
    else
        rm "$work/$1/fake/$2"
    fi
}

start_sshd() { # host
    ip netns exec "$1" "$(command -v sshd)" -D -e -f "$work/$1/sshd_config" \
        >>"$work/$1/sshd.log" 2>&1 </dev/null &
    sshd[$1]=$!
    disown # bash would tell of its death
    within 5 listens "$1" 22
}

listens() { # host, port
    [[ -n $(ip netns exec "$1" ss -Hltn "sport = :$2") ]]
}

# As a power cut: sshd, its sessions and all of softq's there, at once.
switch_off() { # host
    local pids
    pids=$(ip netns pids "$1")
    # shellcheck disable=SC2086 # numbers
    kill -9 $pids 2>/dev/null # a parent's death ends some before their turn
}

# In the host's network and in its own view of the mounts.
on_host() { # host, command...
    nsenter -t "${sshd[$1]}" -n -m -- "${@:2}"
}
