# shellcheck shell=bash
# One host's part of a run over several: deploy/cluster.sh sends this text over
# ssh to a bash there, with a command and its words. Nothing else has to be there
# than bash, coreutils, util-linux and tar.
#
#   FOLDER/bundles/HASH/     programs, once for each content (deploy/bundle.sh)
#   FOLDER/runs/NAME/        the run as one on disk, and
#     keys/  alive           the lifeline of its supervisor: removed, it stops
#     supervised             locked for as long as any of its processes is there
#     ended                  the supervisor's exit status
#     console       what the learner and the supervisor print
set -u
unset LC_ALL
export LC_NUMERIC=C

folder='' run='' bundle=''

fail() {
    echo "$*" >&2
    exit 2
}

# $HOME is where a relative folder begins.
find_folders() { # FOLDER, NAME, HASH
    cd || exit 2
    folder=$1
    [[ $folder == /* ]] || folder=$PWD/$folder
    run=$folder/runs/$2 bundle=$folder/bundles/$3
}

# -- before anything is sent --

# Space of the disk that a folder will lie on, in KiB.
room() { # folder
    local path=$1
    while [[ ! -d $path ]]; do path=$(dirname -- "$path"); done
    df -Pk -- "$path" | { read -r _ && read -r _ _ _ space _ && echo "$space"; }
}

listening() { # port
    local hex address state
    printf -v hex '%04X' "$1"
    while read -r _ address _ state _; do
        [[ $state == 0A && ${address##*:} == "$hex" ]] && return
    done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
    return 1
}

facts() { # replay_dir, cores, programs, ports...
    local replay=$1 cores=$2 programs=$3 tool port
    shift 3
    echo "time=$(date +%s)"
    echo "arch=$(uname -m)"
    echo "glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2)"
    echo "flags=$(sed -n 's/^\(flags\|Features\)[[:space:]]*: //p; T; q' /proc/cpuinfo)"
    echo "cores=$(nproc)"
    echo "memory=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)"
    for tool in tar setsid flock sha256sum; do
        command -v "$tool" >/dev/null || echo "no_tool=$tool"
    done
    if [[ -n $cores ]]; then
        taskset -c "$cores" true 2>/dev/null || echo "no_cores=$cores"
    fi
    mkdir -p -- "$folder/bundles" "$folder/runs" 2>/dev/null &&
        [[ -w $folder/runs ]] || echo "no_folder=$folder"
    echo "room=$(room "$folder")"
    if [[ -n $replay ]]; then
        mkdir -p -- "$replay" 2>/dev/null && [[ -w $replay ]] ||
            echo "no_replay=$replay"
        echo "replay_room=$(room "$replay")"
    fi
    [[ ! -d $bundle ]] || echo bundle=here
    if compgen -G "${replay:-$run}/${run##*/}/*.ring" >/dev/null ||
        compgen -G "$run/replay/*.ring" >/dev/null; then
        echo rings=here
    fi
    [[ ! -e $run/launch.ini ]] || echo known=yes
    if [[ -n $programs ]]; then
        echo "version=$("$programs/softq-learner" --version 2>&1 | head -n 1)"
    fi
    for port; do
        ! listening "$port" || echo "taken=$port"
    done
    if supervised; then echo run=live; fi
}

# -- what is sent --

unpack() { # stdin: the archive
    local new
    [[ ! -d $bundle ]] || { cat >/dev/null && return; }
    new=$(mktemp -d "$folder/bundles/new.XXXXXX") || exit 2
    if ! tar -xf - -C "$new"; then
        rm -rf -- "$new"
        fail 'the bundle could not be unpacked'
    fi
    chmod 755 "$new"
    mv -T -- "$new" "$bundle" 2>/dev/null || rm -rf -- "$new"
}

# Do the programs start here? The loader's own words if not.
verify() { # programs' folder or nothing, program...
    local bin=${1:-$bundle/bin} p said
    shift
    for p; do
        said=$("$bin/$p" --version 2>&1) && continue
        case $?:$said in
        132:*) fail "$bin/$p uses instructions that this CPU lacks" ;;
        *'shared libraries: '*) fail "$bin/$p: ${said#*shared libraries: }" ;;
        *) fail "$bin/$p does not start: ${said:-it says nothing}" ;;
        esac
    done
}

keys() { # host's name, its roles, programs: prints the line for the others' lists
    export SOFTQ_BUILD=${3:-$bundle/bin} SOFTQ_KEYS=$run/keys
    mkdir -p -- "$run" || exit 2
    [[ -e $run/keys/public ]] ||
        "$bundle/deploy/keys.sh" new "--name=$1" "--roles=$2" >/dev/null 2>&1 ||
        fail "cannot make keys in $run/keys"
    printf '%s %s %s\n' "$(head -n 1 -- "$run/keys/public")" "$1" "$2"
}

receive() { # stdin: an archive of the run's files
    mkdir -p -- "$run/logs" && tar -xf - -C "$run" || exit 2
}

# -- the run --

supervised() {
    [[ -e $run/supervised ]] && ! flock -n "$run/supervised" true
}

condition() {
    if supervised; then
        echo running
    elif [[ -e $run/ended ]]; then
        echo "ended $(<"$run/ended")"
    elif [[ -e $run/supervised ]]; then
        echo killed
    else
        echo new
    fi
}

# The words are supervise's, {run}, {bin} and {bundle} in them this host's.
start() { # cores, memory, replay_dir or nothing, programs, word...
    local cores=$1 memory=$2 replay=$3 bin=${4:-$bundle/bin} words=() limits=()
    shift 4
    supervised && return
    mkdir -p -- "$run/logs" ${replay:+"$replay"} || exit 2
    words=("${@//\{run\}/$run}")
    words=("${words[@]//\{bin\}/$bin}")
    words=("${words[@]//\{bundle\}/$bundle}")
    : >"$run/alive" || exit 2
    rm -f -- "$run/ended"
    [[ -z $cores ]] || limits+=(taskset -c "$cores")
    if [[ -n $memory ]]; then
        if systemd-run --user --scope -q true 2>/dev/null; then
            limits+=(systemd-run --user --scope -q -p "MemoryMax=$memory"
                -p MemorySwapMax=0)
        else
            ulimit -v "$(numfmt --from=iec --to-unit=1024 "$memory")" || exit 2
            echo "memory=$memory holds for each process there (no systemd of" \
                "the user's)"
        fi
    fi
    # shellcheck disable=SC2016 # for that shell
    setsid bash -c 'flock -w 5 9 || exit
        run=$1 && shift
        "$@"
        echo $? >"$run/ended"' bash "$run" "${limits[@]}" \
        "$bundle/deploy/supervise" "--run=$run" "--lifeline=$run/alive" \
        "${words[@]}" 9>>"$run/supervised" >>"$run/console" 2>&1 \
        </dev/null &
    locked_within 50
}

# Its children hold the lock with it.
locked_within() { # tenths of a second
    local left=$1
    until supervised || [[ -e $run/ended ]]; do
        ((left-- > 0)) || fail "the supervisor does not start: \
$(tail -n 1 -- "$run/console")"
        sleep 0.1
    done
}

# Its address is written when it listens.
await() { # seconds
    local left=$(($1 * 5))
    until [[ $run/address -nt $run/alive ]]; do
        supervised || fail "the learner ended: $(tail -n 1 -- "$run"/logs/learner.log)"
        ((left-- > 0)) || fail "the learner does not listen after $1 s: \
$(tail -n 1 -- "$run"/logs/learner.log)"
        sleep 0.2
    done
}

stop() { # seconds
    local left=$(($1 * 5))
    rm -f -- "$run/alive"
    while supervised; do
        ((left-- > 0)) || fail "processes of $run are still there after $1 s"
        sleep 0.2
    done
}

# Each process as its supervisor saw it last.
state() {
    local day time name rest
    local -A last=()
    condition
    while read -r day time name rest; do
        case $rest in
        'started as '*) last[$name]="runs since $day $time" ;;
        *' ended with status '*) last[$name]="ended with status ${rest##* }" ;;
        esac
    done < <(cat -- "$run/logs/supervise.log" 2>/dev/null)
    for name in "${!last[@]}"; do echo "$name ${last[$name]}"; done | sort -V
}

# What the console has after so many bytes, behind one line: bytes, state.
progress() { # offset
    local size
    size=$(stat -c %s -- "$run/console" 2>/dev/null || echo 0)
    echo "$size $(condition)"
    tail -c "+$(($1 + 1))" -- "$run/console" 2>/dev/null |
        head -c "$((size > $1 ? size - $1 : 0))"
}

status() { # programs
    "${1:-$bundle/bin}/softq-learner" "--status=$run"
}

logs() { # lines
    tail -n "$1" -- "$run"/logs/*.log
}

# For the launching machine: no rings, no keys, nothing of the moment.
pack() { # path...
    local path there=()
    cd -- "$run" || exit 2
    for path; do [[ ! -e $path ]] || there+=("$path"); done
    # a checkpoint may go while we read
    tar -cf - --warning=none --ignore-failed-read -- "${there[@]}"
    (($? <= 1))
}

main() {
    local command=$1
    find_folders "${@:2:3}"
    "$command" "${@:5}"
}

# one line: behind it may come what the command reads
main "$@"; exit
