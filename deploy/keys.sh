#!/bin/bash
# Keys: who may take part in runs over a network.
#
#   deploy/keys.sh new [--name=NAME] [--roles=ROLES]   this host's pair of keys
#   deploy/keys.sh show                                its line, to be copied
#   deploy/keys.sh allow PUBLIC_KEY NAME ROLES         let a host in, or change
#                                                      its name or roles
#   deploy/keys.sh remove NAME|PUBLIC_KEY              keep it out
#   deploy/keys.sh list                                who is allowed
#   deploy/keys.sh check                               is this folder in order?
#   deploy/keys.sh reload RUN                          tell the run's learner and
#                                                      shards on this host
#
# Each takes --keys=DIR (else $SOFTQ_KEYS, else ~/.config/softq/keys). NAME is
# this host's if it is not given. ROLES are one or more, by commas, of learner,
# actor, shard, evaluator, observer; of a new pair all, for one machine.
#
#   DIR/secret    0600, never leaves this host; nothing prints it
#   DIR/public    the same pair's public key
#   DIR/allowed   PUBLIC_KEY NAME ROLES, a host a line; the same file everywhere
#
# Three machines, hub (learner), box (shards) and lab (actors):
#
#   each$ deploy/keys.sh new --roles=...     learner,observer  shard  actor
#   hub$  deploy/keys.sh allow KEY box shard; deploy/keys.sh allow KEY lab actor
#   hub$  scp ~/.config/softq/keys/allowed box:.config/softq/keys/   and to lab
#
# and --keys=DIR for every program. allowed holds no secret. Later changes: the
# same allow or remove, the same copy, then reload on hub and box. An actor's
# host only needs the learner's line of it.
#
# Exit status: 0; 2 refused, in one line.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

readonly every_role=learner,actor,shard,evaluator,observer
keys=${SOFTQ_KEYS:-${XDG_CONFIG_HOME:-${HOME:-}/.config}/softq/keys}
name='' roles='' words=()

read_arguments() {
    while (($#)); do
        case $1 in
        --help | -h) help "$0" ;;
        --keys=?*) keys=${1#*=} ;;
        --name=?*) name=${1#*=} ;;
        --roles=?*) roles=${1#*=} ;;
        --keys | --name | --roles)
            [[ $# -gt 1 ]] || refuse "$1 needs a value"
            set -- "$1=$2" "${@:3}"
            continue
            ;;
        -*) refuse "what is $1? deploy/keys.sh --help" ;;
        *) words+=("$1") ;;
        esac
        shift
    done
    ((${#words[@]})) || refuse 'usage: deploy/keys.sh' \
        'new|show|allow|remove|list|check|reload (--help says more)'
}

# So many words after the command, or its usage.
takes() { # how many, usage
    ((${#words[@]} == 1 + $1)) ||
        refuse "usage: deploy/keys.sh ${words[0]}${2:+ $2}"
}

# -- the folder --

own_key() {
    [[ -r $keys/public ]] ||
        refuse "there are no keys in $keys: deploy/keys.sh new makes them"
    head -n 1 -- "$keys/public"
}

host_name() {
    local host
    host=$(uname -n)
    host=${host%%.*}
    echo "${host//[^A-Za-z0-9._-]/-}"
}

# Other lines for allowed, whole: whoever reads it sees the old or the new.
write_allowed() { # stdin
    local new=$keys/allowed.new
    if ! cat >"$new" || ! chmod 644 -- "$new"; then
        rm -f -- "$new"
        refuse "cannot write $new"
    fi
    if ! checked "$new"; then
        rm -f -- "$new"
        exit 2
    fi
    mv -f -- "$new" "$keys/allowed" || refuse "cannot write $keys/allowed"
}

lines() {
    if [[ -e $keys/allowed ]]; then
        cat -- "$keys/allowed"
    else
        echo '# PUBLIC_KEY NAME ROLES: who may take part (deploy/keys.sh allow)'
    fi
}

# The programs read lists, and say in one line what is wrong with one.
checked() { # file or folder
    local learner
    learner=$(built softq-learner)
    [[ -x $learner ]] ||
        refuse "$learner is not built: meson setup build && ninja -C build"
    "$learner" "--check_keys=$1" --log_level=error
}

# -- commands --

new() {
    takes 0
    local key
    mkdir -p -- "$(dirname -- "$keys")" || exit 2
    key=$("$(built softq-learner)" "--make_keys=$keys") || exit 2
    put "$key" "${name:-$(host_name)}" "${roles:-$every_role}"
    say "made $keys; the other hosts' lists need this line (never copy secret):"
    show
}

show() {
    local key line
    key=$(own_key) || exit 2
    line=$(lines | awk -v key="$key" '$1 == key')
    echo "${line:-$key ${name:-$(host_name)} ${roles:-$every_role}}"
}

# Its line in the place of the old one, or as the last.
put() { # key, name, roles
    local others
    others=$(lines | awk -v key="$1" '$1 != key')
    printf '%s\n%s\n' "$others" "$*" | write_allowed || exit 2
}

allow() {
    takes 3 'PUBLIC_KEY NAME ROLES'
    [[ -d $keys ]] || refuse "there is no $keys: deploy/keys.sh new makes it"
    put "${words[@]:1}"
    say "$keys/allowed: ${words[2]} may be ${words[3]//,/, }; copy it to the" \
        'other hosts, then deploy/keys.sh reload RUN where a run is live'
}

remove() {
    takes 1 'NAME|PUBLIC_KEY'
    local who=${words[1]} left
    lines | awk -v who="$who" '
        !/^[ \t]*#/ && ($1 == who || $2 == who) { found = 1 }
        END { exit !found }' || refuse "$keys/allowed has no $who"
    left=$(lines | awk -v who="$who" \
        '/^[ \t]*#/ || ($1 != who && $2 != who)')
    printf '%s\n' "$left" | write_allowed || exit 2
    say "$keys/allowed: without $who; copy it to the other hosts, then" \
        'deploy/keys.sh reload RUN where a run is live'
}

list() {
    takes 0
    [[ -r $keys/allowed ]] ||
        refuse "there is no $keys/allowed: deploy/keys.sh allow begins it"
    awk '!/^[ \t]*(#|$)/ { printf "%-20s %-45s %s\n", $2, $3, $1 }' \
        "$keys/allowed"
}

check() {
    takes 0
    checked "$keys" || exit 2
    echo "$keys is in order: $(list | grep -c .) keys allowed"
}

# SIGHUP to the run's learner and shards on this host, ours only.
reload() {
    takes 1 RUN
    local run told=0 dir pid line
    run=$(readlink -f -- "${words[1]}")
    [[ -d $run ]] || refuse "there is no run ${words[1]} on this host"
    [[ ! -e $keys/allowed ]] || checked "$keys/allowed" || exit 2
    for dir in /proc/[0-9]*; do
        [[ -O $dir ]] || continue
        pid=${dir#/proc/}
        { mapfile -d '' -t line <"$dir/cmdline"; } 2>/dev/null || continue
        [[ ${line[0]-} == */softq-learner || ${line[0]-} == */softq-replay ]] ||
            continue
        is_of_run "$run" "$dir" "${line[@]}" || continue
        # who has no keys does not catch it, and would end by it
        [[ $(sed -n 's/^SigCgt:[[:space:]]*//p' "$dir/status") == *[13579bdf] ]] ||
            continue
        kill -HUP "$pid" && told=$((told + 1))
    done
    ((told)) || refuse "no learner or shard of ${words[1]} with keys runs here"
    say "told $told processes of ${words[1]}"
}

# Does --run_dir of this command line, as its process sees it, name the run?
is_of_run() { # run, /proc/PID, command line...
    local run=$1 dir=$2 word path
    shift 2
    for word; do
        case $word in --run[-_]dir=*)
            path=${word#*=}
            [[ $path == /* ]] || path=$(readlink -- "$dir/cwd")/$path
            [[ $(readlink -f -- "$path") == "$run" ]] && return
            ;;
        esac
    done
    return 1
}

read_arguments "$@"
case ${words[0]} in
new | show | allow | remove | list | check | reload) "${words[0]}" ;;
*) refuse "what is ${words[0]}? new, show, allow, remove, list, check, reload" ;;
esac
