# shellcheck shell=bash
# The hosts of a run over several machines, sourced by cluster.sh: the file that
# describes them, and ssh to them.

: "${here:?}"

hosts=()           # names, in the file's order
declare -A host=() # NAME/KEY: value
learner_host='' shards=0 actors=0 evaluators=0
declare -A first_shard=() first_actor=() first_evaluator=() # their numbers go on from host to host
host_keys='address, user, port, learner, shards, actors, evaluators, cores, memory,'
host_keys+=' folder, replay_dir, advertise, programs'

# -- the hosts file --

# file, line, what is wrong, what is right
refuse_line() {
    refuse "$1:$2: $3: $4"
}

# One key of a host; each has its own shape.
check_value() { # file, line, host, key, value
    local shape='' allowed=''
    case $4 in
    address) shape='[A-Za-z0-9][^[:space:]@]*'
        allowed='what ssh connects to: a host name, an address or a name of ssh_config' ;;
    user) shape='[A-Za-z_][A-Za-z0-9_.-]*' allowed='a user name' ;;
    port) shape='[0-9]{1,5}' allowed='1 to 65535, of sshd' ;;
    learner) shape='yes|no' allowed='yes or no' ;;
    shards) shape='[0-9]{1,3}' allowed='0 to 256' ;;
    actors) shape='[0-9]{1,5}' allowed='0 to 10000' ;;
    evaluators) shape='[0-9]{1,3}' allowed='0 to 256' ;;
    cores) shape='[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*'
        allowed='numbers of cores, as 0-3,6' ;;
    memory) shape='[1-9][0-9]*[KMGT]' allowed='a number and K, M, G or T, as 8G' ;;
    folder) shape='[^~].*' allowed='a path there, absolute or from the home, without ~' ;;
    replay_dir | programs) shape='/.*' allowed='an absolute path there' ;;
    advertise) shape='[A-Za-z0-9][A-Za-z0-9.-]*' allowed='a host name or an IPv4 address' ;;
    *) refuse_line "$1" "$2" "[$3] has no key '$4'" "allowed are $host_keys" ;;
    esac
    [[ -z ${host[$3/$4]+there} ]] ||
        refuse_line "$1" "$2" "[$3] $4 stands there twice" 'once is enough'
    if [[ ! $5 =~ ^($shape)$ ]] || ! in_range "$4" "$5"; then
        refuse_line "$1" "$2" "[$3] $4 = $5" "allowed is $allowed"
    fi
}

in_range() { # key, value
    case $1 in
    port) ((10#$2 >= 1 && 10#$2 <= 65535)) ;;
    shards | evaluators) ((10#$2 <= 256)) ;;
    actors) ((10#$2 <= 10000)) ;;
    esac
}

read_hosts() { # file
    local file=$1 line n=0 name='' key value lines
    [[ -r $file ]] || refuse "cannot read the hosts file $file:" \
        "$here/examples/hosts.ini is one"
    mapfile -t lines <"$file"
    for line in "${lines[@]}"; do
        n=$((n + 1))
        line=${line%$'\r'}
        line=${line#"${line%%[![:space:]]*}"}
        line=${line%"${line##*[![:space:]]}"}
        case $line in
        '' | '#'* | ';'*) ;;
        '['*']')
            name=${line:1:-1}
            [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$ ]] || refuse_line \
                "$file" "$n" "$line" 'allowed are 32 of letters, digits, . _ and -'
            [[ " ${hosts[*]} " != *" $name "* ]] ||
                refuse_line "$file" "$n" "$line stands there twice" \
                    'one section a host'
            hosts+=("$name")
            ;;
        *=*)
            key=${line%%=*} value=${line#*=}
            key=${key%"${key##*[![:space:]]}"}
            value=${value#"${value%%[![:space:]]*}"}
            [[ -n $name ]] || refuse_line "$file" "$n" "$line" \
                'before it comes the [NAME] of a host'
            check_value "$file" "$n" "$name" "$key" "$value"
            host[$name/$key]=$value
            ;;
        *) refuse_line "$file" "$n" "$line" 'allowed are [NAME] and KEY = VALUE' ;;
        esac
    done
    count_hosts "$file"
}

# Who does what; one learner, at least one shard, nobody idle.
count_hosts() { # file
    local h
    ((${#hosts[@]})) || refuse "$1: no host: a section [NAME] for each"
    for h in "${hosts[@]}"; do
        : "${host[$h/address]:=$h}" "${host[$h/shards]:=0}"
        : "${host[$h/actors]:=0}" "${host[$h/evaluators]:=0}"
        : "${host[$h/learner]:=no}"
        : "${host[$h/folder]:=softq}"
        host[$h/shards]=$((10#${host[$h/shards]}))
        host[$h/actors]=$((10#${host[$h/actors]}))
        host[$h/evaluators]=$((10#${host[$h/evaluators]}))
        if [[ ${host[$h/learner]} == yes ]]; then
            [[ -z $learner_host ]] ||
                refuse "$1: [$learner_host] and [$h] have learner = yes: one host has"
            learner_host=$h
        elif ((${host[$h/shards]} + ${host[$h/actors]} +
            ${host[$h/evaluators]} == 0)); then
            refuse "$1: [$h] has nothing to do: learner = yes, shards, actors or evaluators"
        fi
        # shellcheck disable=SC2034 # cluster.sh numbers its processes by them
        first_shard[$h]=$shards first_actor[$h]=$actors first_evaluator[$h]=$evaluators
        shards=$((shards + ${host[$h/shards]}))
        actors=$((actors + ${host[$h/actors]}))
        evaluators=$((evaluators + ${host[$h/evaluators]}))
    done
    [[ -n $learner_host ]] || refuse "$1: no host has learner = yes"
    ((shards >= 1 && shards <= 256)) ||
        refuse "$1: $shards shards in all: allowed are 1 to 256 (shards = N)"
    ((actors <= 10000)) ||
        refuse "$1: $actors actors in all: allowed are 0 to 10000"
    ((evaluators <= 256)) ||
        refuse "$1: $evaluators evaluators in all: allowed are 0 to 256"
}

# -- ssh --

control='' ssh_config='' # folder of the connections; a file for ssh -F
patience=10               # s, to connect

open_control() {
    control=$(mktemp -d "${XDG_RUNTIME_DIR:-/tmp}/softq-ssh-XXXXXX") || exit 2
}

close_control() {
    local h
    [[ -n $control ]] || return
    for h in "${hosts[@]}"; do
        [[ ! -S $control/$h ]] || ssh_to "$h" -O exit 2>/dev/null
    done
    rm -rf -- "$control"
}

ssh_to() { # host, ssh's own options, then the command there
    local h=$1 target=()
    shift
    [[ -z $ssh_config ]] || target+=(-F "$ssh_config")
    [[ -z ${host[$h/user]-} ]] || target+=(-l "${host[$h/user]}")
    [[ -z ${host[$h/port]-} ]] || target+=(-p "${host[$h/port]}")
    target+=(-T -o BatchMode=yes -o "ConnectTimeout=$patience" -o ControlPath="$control/$h"
        -o ServerAliveInterval=5 -o ServerAliveCountMax=3)
    # shellcheck disable=SC2029 # the words are quoted for there
    if [[ ${1-} == -[MOG]* ]]; then
        ssh "${target[@]}" "$@" "${host[$h/address]}"
    else
        ssh "${target[@]}" "${host[$h/address]}" "$@"
    fi
}

# One connection that all later commands share, or why there is none.
connect() { # host
    local said=$control/$1.said words
    [[ ! -S $control/$1 ]] || return 0
    ssh_to "$1" -M -f -N </dev/null >/dev/null 2>"$said" && return
    words=$(grep -v '^Warning: ' "$said" | tail -n 1)
    case $(cat "$said") in
    *'Could not resolve'*)
        words="its name ${host[$1/address]} is unknown here: address = in the hosts file" ;;
    *'Permission denied'*)
        words="ssh lets none of our keys in: ssh-copy-id $(shown_target "$1")" ;;
    *'Host key verification failed'* | *'IDENTIFICATION HAS CHANGED'*)
        words="its ssh host key is new or another than before: look at it by ssh $(shown_target "$1")" ;;
    *'Connection refused'*)
        words="no sshd answers there (connection refused): is it running, and is port right?" ;;
    *'timed out'* | *'No route'* | *'unreachable'*)
        words="does not answer within $patience s: is it up, and reachable from here?" ;;
    esac
    complain "$1" "${words:-ssh fails without a word: ssh $(shown_target "$1")}"
}

shown_target() {
    echo "${host[$1/port]:+-p ${host[$1/port]} }${host[$1/user]:+${host[$1/user]}@}${host[$1/address]}"
}

# In words, and the failure of the one who calls.
complain() { # host, what
    say "$1: ${*:2}"
    return 1
}

# One command of on_host.sh there; our stdin is the command's.
on() { # host, run's name, command, its words...
    local h=$1 name=$2 command=$3 words
    shift 3
    printf -v words '%q ' bash -s -- "$command" "${host[$h/folder]}" "$name" \
        "${bundle:-none}" "$@"
    cat -- "$here/on_host.sh" - | ssh_to "$h" "$words"
}

# The same, or its last words as a complaint.
must() { # host, run's name, command, its words...
    local said=$control/$1.said
    on "$@" 2>"$said" && return
    said=$(grep -v '^mux_client\|^Warning: ' "$said" | tail -n 1)
    complain "$1" "${said:-the connection broke off}"
}

# A function on every host (or those given) at once; false when one failed.
each() { # function [host...]
    local what=$1 h pids=() bad=0
    shift
    for h in "${@:-${hosts[@]}}"; do
        "$what" "$h" </dev/null &
        pids+=($!)
    done
    for h in "${pids[@]}"; do wait "$h" || bad=1; done
    return "$bad"
}

# Where others reach it: what the file says, else the host that ssh connects to.
advertised() { # host
    local name=${host[$1/advertise]-}
    [[ -n $name ]] || name=$(ssh_to "$1" -G | sed -n 's/^hostname //p')
    echo "$name"
}
