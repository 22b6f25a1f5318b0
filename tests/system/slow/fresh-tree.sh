#!/bin/bash
# A Debian 12 with nothing in it, the project's files, and the README's two
# commands: they alone install, build, train and test.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../lib.bash"

tree=$(mktemp -d "${TMPDIR:-/var/tmp}/softq-fresh-XXXXXX")
project=/home/stranger/softq

make_tree() {
    chmod 755 "$tree" # apt fetches as a user of its own
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

the_first_command_trains_from_nothing() {
    local start=$SECONDS json
    inside deploy/local.sh multigoal >"$work/first" 2>&1 </dev/null
    local status=$?
    json=$(find "$tree$project/runs" -name evaluation.json 2>/dev/null)
    if [[ $status == 0 && -n $json ]]; then
        ok "${FUNCNAME[0]}"
        echo "# $((SECONDS - start)) s: $(tr -d '\n' <"$json")"
    else
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 10 "$work/first")"
    fi
}

the_second_command_passes() {
    local start=$SECONDS
    inside tests/run.sh >"$work/second" 2>&1 </dev/null
    local status=$?
    if [[ $status == 0 ]] && tail -n 1 "$work/second" |
        grep -qE '^[0-9]+ passed, 0 failed, [0-9]+ skipped$'; then
        ok "${FUNCNAME[0]}"
        echo "# $((SECONDS - start)) s: $(tail -n 1 "$work/second")"
    else
        not_ok "${FUNCNAME[0]}" "status $status: $(
            grep -E '^(FAILED|not ok|failed)' "$work/second" | head -n 10
            tail -n 3 "$work/second")"
    fi
}

if ! command -v debootstrap >/dev/null; then
    skip fresh_tree 'debootstrap is not installed'
elif [[ $(id -u) != 0 ]] || ! unshare --mount --pid --fork true 2>/dev/null; then
    skip fresh_tree 'needs root, for a chroot'
elif ! make_tree; then
    skip fresh_tree "no Debian tree: $(tail -n 1 "$work/log")"
else
    the_first_command_trains_from_nothing
    the_second_command_passes
fi
rm -rf --one-file-system "$tree"
summary
