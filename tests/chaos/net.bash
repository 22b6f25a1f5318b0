# Sourced by chaos.sh: hosts as network namespaces on a bridge, all in a network
# and a mount namespace of the script's own, which end with its processes: no
# packet leaves them, and there is nothing to clean up.
# shellcheck shell=bash

export PATH=$PATH:/usr/sbin:/sbin

# Where namespaces may be made, run the script again inside its own; else return.
enter_namespaces() { # the script's arguments
    local own=(unshare --net --mount --propagation private)
    [[ -z ${SOFTQ_NAMESPACES-} ]] || return
    ((UID == 0)) || own+=(--user --map-root-user)
    if "${own[@]}" true 2>/dev/null; then
        SOFTQ_NAMESPACES=yes exec "${own[@]}" "$0" "$@"
    fi
}

# One namespace a host, 10.77.0.10 on; fails where the kernel lacks something.
make_hosts() { # host...
    local host i=0
    [[ -n ${SOFTQ_NAMESPACES-} ]] || return
    mount -t tmpfs tmpfs /run && mkdir /run/netns &&
        ip link set lo up && ip link add bridge type bridge &&
        ip link set bridge up || return
    for host; do
        ip netns add "$host" &&
            ip link add "to-$host" type veth peer name eth0 netns "$host" &&
            ip link set "to-$host" master bridge up &&
            ip -n "$host" address add "10.77.0.$((10 + i))/24" dev eth0 &&
            ip -n "$host" link set eth0 up &&
            ip -n "$host" link set lo up || return
        i=$((i + 1))
    done
}

# -- faults, each with what mends it --

cut_off() { ip link set "to-$1" down; }
mend_cut_off() { ip link set "to-$1" up; }

# Both ways: what leaves the host, and what the bridge sends to it.
slow_down() { # host, kbit/s
    local shape=(root tbf rate "$2kbit" burst 16kb latency 400ms)
    tc qdisc add dev "to-$1" "${shape[@]}" &&
        tc -n "$1" qdisc add dev eth0 "${shape[@]}"
}

mend_slow_down() {
    tc qdisc del dev "to-$1" root
    tc -n "$1" qdisc del dev eth0 root
}

lose_packets() { # host, percent, each way
    ip netns exec "$1" nft -f - <<RULES
table inet chaos {
    chain in { type filter hook input priority 0; numgen random mod 100 < $2 drop; }
    chain out { type filter hook output priority 0; numgen random mod 100 < $2 drop; }
}
RULES
}

mend_lose_packets() { ip netns exec "$1" nft delete table inet chaos; }
