#!/bin/bash
# The Debian package: made here, sound by lintian, installed in a Debian 12 with
# nothing in it, where `softq local multigoal` trains, evaluates and draws, an
# environment builds by pkg-config, and a removal leaves nothing.
set -u
here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
# shellcheck source=tests/system/lib.bash
. "$here/../lib.bash"
# shellcheck source=tests/system/slow/tree.bash
. "$here/tree.bash"

the_package_is_made() {
    local start=$SECONDS
    if DEBEMAIL=softq@example.org "$root/deploy/package.sh" "$work/deb" >"$work/out" 2>"$work/err" &&
        deb=$(tail -n 1 "$work/out") && [[ -s $deb ]]; then
        ok "${FUNCNAME[0]}"
        echo "# $((SECONDS - start)) s, $(stat -c %s "$deb") bytes"
    else
        not_ok "${FUNCNAME[0]}" "$(tail -n 20 "$work/err")"
        return 1
    fi
}

lintian_finds_nothing() {
    if ! command -v lintian >/dev/null; then
        skip "${FUNCNAME[0]}" 'lintian is not installed'
    elif lintian --allow-root --fail-on error,warning "$deb" >"$work/out" 2>&1; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(cat "$work/out")"
    fi
}

# Files of the whole tree that are no package manager's own.
files_of_tree() {
    (cd "$tree" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./tmp -o -path ./var \
        -o -path ./root -o -path ./home \) -prune -o -print | sort)
}

in_home() { # command
    inside "cd /home/stranger && $1"
}

it_installs_alone() {
    rm -rf "${tree:?}/home/stranger" # neither checkout nor runs
    mkdir -p "$tree$project" && cp "$deb" "$tree/home/stranger/softq.deb" || return
    inside apt-get update >"$work/out" 2>&1
    # what it depends on, first: so that its own removal can be told apart
    in_home "apt-get install -y --no-install-recommends \
        \$(dpkg-deb -f softq.deb Depends | sed 's/ ([^)]*)//g; s/|[^,]*//g; s/,/ /g') \
        gcc libc6-dev pkg-config" >>"$work/out" 2>&1
    in_home 'useradd -m user' >>"$work/out" 2>&1
    files_of_tree >"$work/before"
    if in_home 'apt-get install -y --no-install-recommends ./softq.deb' >>"$work/out" 2>&1; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(tail -n 20 "$work/out")"
    fi
}

a_run_of_a_few_hundred_updates() {
    local start=$SECONDS json status
    in_home 'softq local multigoal --no-install --max_updates=400 --progress=lines' \
        >"$work/out" 2>&1 </dev/null
    status=$?
    json=$(find "$tree/home/stranger/runs" -name evaluation.json 2>/dev/null)
    if [[ $status == 0 && -n $json && -s ${json%/*}/figures/learning.png ]] &&
        has_updates "${json%/*}" 400; then
        ok "${FUNCNAME[0]}"
        echo "# $((SECONDS - start)) s"
    else
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 10 "$work/out")"
    fi
}

# As a user without rights, whose folder the run lands in.
a_users_robot_trains() {
    in_home 'su - user -c "softq local swimmer --no-install \
        --max_updates=100 --warmup=300 --evaluation_episodes=2 --progress=lines && ls -d runs/swimmer-*"' \
        >"$work/out" 2>&1 </dev/null
    if [[ $(tail -n 1 "$work/out") == runs/swimmer-* ]]; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(tail -n 10 "$work/out")"
    fi
}

a_users_environment_builds() {
    # shellcheck disable=SC2016 # the shell's there
    in_home 'gcc -O2 -shared -fPIC $(pkg-config --cflags softq) -o my_env.so \
        /usr/share/softq/deploy/examples/my_env.c -lm && softq-actor --check=./my_env.so' \
        >"$work/out" 2>&1 </dev/null
    if grep -q '^spec ' "$work/out"; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(tail -n 10 "$work/out")"
    fi
}

# Nothing of where it was made is inside.
it_knows_no_checkout() {
    if grep -rlaF -e "$root" "$tree"/usr/bin/softq* "$tree/usr/share/softq" >"$work/out"; then
        not_ok "${FUNCNAME[0]}" "$root stands in $(cat "$work/out")"
    else
        ok "${FUNCNAME[0]}"
    fi
}

a_removal_leaves_nothing() {
    in_home 'apt-get remove -y softq' >"$work/out" 2>&1
    files_of_tree >"$work/after"
    if diff "$work/before" "$work/after" >"$work/diff" &&
        ! in_home 'dpkg -s softq' >/dev/null 2>&1; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(head -n 20 "$work/diff")"
    fi
}

deb=''
if ! command -v dpkg-deb >/dev/null; then
    skip package 'this is no Debian'
elif the_package_is_made; then
    lintian_finds_nothing
    why=$(no_tree_because)
    if [[ -n $why ]]; then
        skip installed_package "$why"
    else
        it_installs_alone
        a_run_of_a_few_hundred_updates
        a_users_robot_trains
        a_users_environment_builds
        it_knows_no_checkout
        a_removal_leaves_nothing
    fi
fi
remove_tree
summary
