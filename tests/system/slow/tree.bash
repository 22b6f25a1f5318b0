# Sourced after lib.bash: a Debian 12 with nothing in it but the project's files.
# SOFTQ_TREE=FOLDER is used again if it is one, and stays; else the tree is made
# and goes with the script.
# shellcheck shell=bash

: "${root:?}" "${work:?}"
tree=${SOFTQ_TREE:-$(mktemp -d "${TMPDIR:-/var/tmp}/softq-fresh-XXXXXX")}
project=/home/stranger/softq

# Why there can be no such tree here, or nothing.
no_tree_because() {
    if ! command -v debootstrap >/dev/null; then
        echo 'debootstrap is not installed'
    elif [[ $(id -u) != 0 ]] || ! unshare --mount --pid --fork true 2>/dev/null; then
        echo 'needs root, for a chroot'
    elif ! make_tree; then
        echo "no Debian tree: $(tail -n 1 "$work/log")"
    fi
}

make_tree() {
    mkdir -p "$tree" && chmod 755 "$tree" || return # apt fetches as a user of its own
    [[ -d $tree/etc/apt ]] ||
        debootstrap --variant=minbase bookworm "$tree" >"$work/log" 2>&1 || return
    cp /etc/resolv.conf "$tree/etc/" || return
    mkdir -p "$tree$project" || return
    (cd "$root" && git ls-files -co --exclude-standard -z |
        xargs -0 -r ls -d 2>/dev/null | tar -cf - -T - | tar -xf - -C "$tree$project")
}

# In namespaces of its own: what is mounted and started there ends with it.
# shellcheck disable=SC2016 # the inner shell's own arguments
inside() { # command...
    unshare --mount --pid --fork --kill-child=KILL -- \
        bash -c 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" &&
            exec chroot "$1" env -i TERM=dumb HOME=/root LANG=C.UTF-8 \
                PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
                ${3:+http_proxy="$3"} bash -c "cd $2 && $4"' \
        inside "$tree" "$project" "${http_proxy-}" "$*"
}

remove_tree() {
    [[ -n ${SOFTQ_TREE-} ]] || rm -rf --one-file-system "$tree"
}
