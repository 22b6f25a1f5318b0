#!/bin/bash
# Trains one run on several machines, over ssh.
#
#   deploy/cluster.sh hosts.ini TASK [--name=value ...]   check, send, start, follow
#   deploy/cluster.sh hosts.ini TASK --check              check only
#   deploy/cluster.sh status RUN        what every host's processes do, in words
#   deploy/cluster.sh logs RUN [HOST]   the last lines of their logs
#   deploy/cluster.sh fetch RUN         checkpoints, curves, logs into RUN here
#   deploy/cluster.sh stop RUN          with a checkpoint, no process left
#   deploy/cluster.sh resume RUN [--name=value ...]   start what does not run,
#                                       from the newest checkpoint; follow
#
# hosts.ini has a section a host (deploy/examples/hosts.ini): [NAME], and
#   address, user, port   ssh to it; address is NAME if not given
#   learner = yes         on one host
#   shards, actors        so many there, 0 if not given
#   evaluators            so many there that play the newest parameters
#   cores, memory         limits of all processes there: 0-3,6 and 16G
#   folder                where all lies there: softq, in the home, if not given
#   replay_dir            where its shards' rings lie: a local disk
#   advertise             where the other hosts reach it, if not where ssh does
#   programs              softq's programs there, instead of sending ours
#
# A host needs sshd, bash, tar, coreutils and util-linux, and no softq: it is sent
# the programs with their libraries, once for each build. Ports (--port=P, 5550):
# the learner's P, each shard's P + 10 + index; the page stays on its loopback.
# Every host makes a pair of keys for the run, whose secret never leaves it;
# --insecure goes without keys. TASK and options are deploy/local.sh's;
# --ssh_config=FILE is ssh's -F. RUN (--run_dir) is this machine's folder of the
# run; the hosts' own is FOLDER/runs/NAME.
#
# Ctrl-C leaves the run going. Exit status: 0; 1 when a host could not be asked or
# the learner crashed; 2 refused, in a line a reason; 3 non-finite numbers.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
go_on='cluster.sh resume'
# shellcheck source=deploy/launch.sh
. "$here/launch.sh"
# shellcheck source=deploy/hosts.sh
. "$here/hosts.sh"
# shellcheck source=deploy/cluster_check.sh
. "$here/cluster_check.sh"

command=launch words=() install=() secure=yes check_only='' bundle='' name=''

# -- the command line --

take_option() { # --name=value
    local option=${1%%=*}
    option=--${option#--}
    option=${option//-/_}
    option=--${option#__}
    case $option in
    --run_dir) run=${1#*=} ;;
    --robot) robot=${1#*=} ;;
    --env) env=${1#*=} ;;
    --ssh_config) ssh_config=$(readlink -f -- "${1#*=}") ;;
    --shards | --actors | --evaluators | --replay_dir | --advertise)
        refuse "$option stands in the hosts file (deploy/cluster.sh --help)" ;;
    --init_from | --import | --compose | --model)
        refuse "$option needs files that are on this machine only: train by" \
            'deploy/local.sh' ;;
    --transport | --bind | --keys | --join | --index | --name | --lifeline | \
        --evaluator)
        refuse "$option is set by deploy/cluster.sh itself" ;;
    *) options+=("$option${1#"${1%%=*}"}") ;;
    esac
}

read_arguments() {
    while (($#)); do
        case $1 in
        --help | -h) help "$0" ;;
        --no-install | --no_install) install=(--no-install) ;;
        --insecure) secure='' ;;
        --check) check_only=yes ;;
        --*=*) take_option "$1" ;;
        --*)
            [[ $# -gt 1 && $2 != --* ]] || refuse "$1 needs a value"
            take_option "$1=$2"
            shift
            ;;
        -*) refuse "what is $1? Write --name=value" ;;
        *) words+=("$1") ;;
        esac
        shift
    done
    case ${words[0]-} in
    stop | status | logs | resume | fetch)
        command=${words[0]}
        words=("${words[@]:1}")
        ;;
    esac
    [[ $command == launch || $command == resume || ${#options[@]} == 0 ]] ||
        refuse "${options[0]%%=*} is not for $command"
}

takes() { # least, most words, usage
    ((${#words[@]} >= $1 && ${#words[@]} <= $2)) ||
        refuse "usage: deploy/cluster.sh $3 (--help says more)"
}

# A run that was launched from here, with its hosts.
load_run() { # RUN
    run=$(readlink -f -- "$1")
    [[ -e $run/cluster.ini ]] ||
        refuse "$1 is no run of deploy/cluster.sh: it has no cluster.ini"
    name=$(basename -- "$run")
    bundle=$(option_of "$run/cluster.ini" bundle)
    secure=$(option_of "$run/cluster.ini" secure)
    [[ -n $ssh_config ]] || ssh_config=$(option_of "$run/cluster.ini" ssh_config)
    read_hosts "$run/hosts.ini"
    open_control
}

# -- what a host gets --

programs_of() { # host: what its processes need
    [[ ${host[$1/learner]} != yes ]] || echo softq-learner
    ((${host[$1/shards]} == 0)) || echo softq-replay
    ((${host[$1/actors]} + ${host[$1/evaluators]} == 0)) || echo softq-actor
}

roles_of() { # host: what its key may be
    local roles=''
    [[ ${host[$1/learner]} != yes ]] || roles+=,learner,observer
    ((${host[$1/shards]} == 0)) || roles+=,shard
    ((${host[$1/actors]} == 0)) || roles+=,actor
    ((${host[$1/evaluators]} == 0)) || roles+=,evaluator
    echo "${roles#,}"
}

send_bundle() { # host
    local needed
    mapfile -t needed < <(programs_of "$1")
    must "$1" "$name" unpack <"$bundle_folder/bundle.tar" &&
        must "$1" "$name" verify "${host[$1/programs]-}" "${needed[@]}"
}

make_keys() { # host
    must "$1" "$name" keys "$1" "$(roles_of "$1")" "${host[$1/programs]-}" \
        >"$control/$1.key"
}

send_run() { # host
    local files=(launch.ini) f
    for f in task keys/allowed; do [[ ! -e $run/$f ]] || files+=("$f"); done
    tar -cf - -C "$run" -- "${files[@]}" | must "$1" "$name" receive
}

# Programs, keys and files everywhere; nothing of it is secret.
deliver() {
    local h
    say "sending the programs to ${#hosts[@]} hosts"
    each send_bundle || exit 2
    if [[ -n $secure ]]; then
        each make_keys || exit 2
        mkdir -p -- "$run/keys" || exit 2
        for h in "${hosts[@]}"; do cat -- "$control/$h.key"; done \
            >"$run/keys/allowed"
        "$(built softq-learner)" "--check_keys=$run/keys/allowed" \
            --log_level=error || exit 2
    fi
    each send_run || exit 2
}

# -- the processes --

# Supervise's words for a host, in `process`.
processes_on() { # host
    local h=$1 i at port own=() here_is every=0.0.0.0
    port=$(effective port)
    here_is=$(advertised "$h")
    [[ $here_is != '['* ]] || every='[::]'
    local common=('--config={run}/launch.ini' '--run_dir={run}' --transport=tcp
        "--port=$port" "--log_level=$(effective log_level)")
    if [[ -n $secure ]]; then
        common+=('--keys={run}/keys')
    else
        common+=(--insecure=true)
    fi
    local serve=("--bind=$every" "--advertise=$here_is")
    at=tcp://$(advertised "$learner_host"):$port
    [[ ${host[$h/learner]} != yes ]] ||
        at=tcp://127.0.0.1:$port own=("$(beside_learner "${options[@]}")"
            "--idle_actors=${host[$h/actors]}")
    [[ -n ${host[$h/programs]-} ]] || own+=('--models={bundle}/models')
    process=()
    if [[ ${host[$h/learner]} == yes ]]; then
        process+=(-- learner '{bin}/softq-learner' "${common[@]}" "${serve[@]}"
            --progress=lines)
    fi
    for ((i = first_shard[$h]; i < first_shard[$h] + ${host[$h/shards]}; i++)); do
        process+=(-- "shard-$i" '{bin}/softq-replay' "${common[@]}" "${serve[@]}"
            "--join=$at" "--index=$i" "--name=shard-$i"
            ${host[$h/replay_dir]:+"--replay_dir=${host[$h/replay_dir]}/$name"})
    done
    for ((i = first_actor[$h]; i < first_actor[$h] + ${host[$h/actors]}; i++)); do
        process+=(-- "actor-$i" '{bin}/softq-actor' "${common[@]}" "--join=$at"
            "--name=actor-$i" "${own[@]}")
    done
    for ((i = first_evaluator[$h]; i < first_evaluator[$h] + ${host[$h/evaluators]}; i++)); do
        process+=(-- "evaluator-$i" '{bin}/softq-actor' "${common[@]}" "--join=$at"
            "--name=evaluator-$i" --evaluator=true "${own[@]}")
    done
}

start_host() { # host
    local process
    processes_on "$1"
    must "$1" "$name" start "${host[$1/cores]-}" "${host[$1/memory]-}" \
        "${host[$1/replay_dir]:+${host[$1/replay_dir]}/$name}" \
        "${host[$1/programs]-}" "${process[@]}" >"$control/$1.out"
    local status=$?
    sed "s/^/$1: /" "$control/$1.out"
    return "$status"
}

# The learner first, then the shards' hosts, then those of actors alone.
start_all() {
    local h with_shards=() others=()
    for h in "${hosts[@]}"; do
        [[ $h != "$learner_host" ]] || continue
        if ((${host[$h/shards]})); then with_shards+=("$h"); else others+=("$h"); fi
    done
    start_host "$learner_host" &&
        must "$learner_host" "$name" await 60 || exit 2
    ((${#with_shards[@]} == 0)) || each start_host "${with_shards[@]}" || failed=1
    ((${#others[@]} == 0)) || each start_host "${others[@]}" || failed=1
}

# -- commands --

launch() {
    local shown
    takes 2 2 'hosts.ini TASK [--name=value ...]'
    task=${words[1]}
    read_hosts "${words[0]}"
    find_task
    "$here/install.sh" "${install[@]}" || exit 2
    build "${programs[@]}"
    options+=("--shards=$shards" "--actors=$actors" "--evaluators=$evaluators")
    configure
    bundle=$("$here/bundle.sh" ${env:+"$env"}) || exit 2
    name=${run:+$(basename -- "$run")}
    name=${name:-none}
    open_control
    each check_host || exit 2
    [[ -z $check_only ]] || exit 0
    [[ -z $run || ! -e $run/cluster.ini ]] ||
        refuse "$run is a run already: deploy/$go_on $run goes on with it"
    make_run
    name=$(basename -- "$run")
    [[ $name =~ ^[A-Za-z0-9._-]+$ ]] ||
        refuse "the run's folder $name: letters, digits, . _ and - only"
    cp -- "${words[0]}" "$run/hosts.ini" || exit 2
    write_settings
    shown=$(shown_path "$run")
    echo "run $shown"
    deliver
    start_all
    follow 0
}

write_settings() {
    printf '%s = %s\n' bundle "$bundle" secure "$secure" ssh_config "$ssh_config" \
        >"$run/cluster.ini" || exit 2
}

resume() {
    local seen=0 given=${#options[@]}
    takes 1 1 'resume RUN [--name=value ...]'
    load_run "${words[0]}"
    build "${programs[@]}"
    resume=$run
    options=("--config=$run/launch.ini" "${options[@]}" "--shards=$shards"
        "--actors=$actors" "--evaluators=$evaluators")
    effective=$("$(built softq-learner)" "${options[@]}" --print_config) || exit 2
    [[ ! -e $run/task/env.so ]] || env=$run/task/env.so
    bundle=$("$here/bundle.sh" ${env:+"$env"}) || exit 2
    each check_host || exit 2
    [[ -z $check_only ]] || exit 0
    if ((given)) && grep -q '^run=live$' "$control/$learner_host.facts"; then
        refuse "$name runs: its options hold from start to end; stop it, then resume"
    fi
    make_run
    write_settings
    deliver
    read -r seen _ < <(on "$learner_host" "$name" progress 1000000000000)
    start_all
    follow "${seen:-0}"
}

stop_host() { # host
    connect "$1" && must "$1" "$name" stop 20
}

stop_others() {
    local h others=()
    for h in "${hosts[@]}"; do [[ $h == "$learner_host" ]] || others+=("$h"); done
    ((${#others[@]} == 0)) || each stop_host "${others[@]}"
}

stop() {
    local bad=0
    takes 1 1 'stop RUN'
    load_run "${words[0]}"
    # it tells the others
    stop_host "$learner_host" || bad=1
    stop_others || bad=1
    if ((bad)); then
        say 'a host that could not be asked ends by itself when its learner has' \
            "been gone for $(option_of "$run/launch.ini" orphan_after) s; or stop" \
            'it when it is back'
        exit 1
    fi
    echo "stopped: no process of $name is left on ${#hosts[@]} hosts"
    echo "go on: $(call cluster resume "${words[0]}"); results:" \
        "$(call cluster fetch "${words[0]}")"
}

state_of() { # host
    connect "$1" && must "$1" "$name" state >"$control/$1.state"
}

status() {
    local h how bad=0
    takes 1 1 'status RUN'
    load_run "${words[0]}"
    each state_of || bad=1
    for h in "${hosts[@]}"; do
        [[ -s $control/$h.state ]] || continue
        read -r how <"$control/$h.state"
        case $how in
        running) how='its supervisor runs' ;;
        new) how='nothing has been started there' ;;
        killed) how='its supervisor was killed, or the host was off: resume' ;;
        'ended 0') how='ended well' ;;
        ended*) how="ended with status ${how#ended }" ;;
        esac
        echo "$h: $how"
        sed '1d; s/^/    /' "$control/$h.state"
    done
    if [[ $(head -n 1 -- "$control/$learner_host.state" 2>/dev/null) == running ]]
    then
        must "$learner_host" "$name" status "${host[$learner_host/programs]-}" \
            >"$control/words" || bad=1
        echo
        sed -n 's/^why //p' "$control/words" | fold -s -w "${COLUMNS:-100}"
        echo
        grep -v '^why ' "$control/words"
    fi
    exit "$bad"
}

logs_of() { # host
    connect "$1" && must "$1" "$name" logs 20 | sed "s/^/$1: /"
}

logs() {
    local h
    takes 1 2 'logs RUN [HOST]'
    load_run "${words[0]}"
    h=${words[1]-}
    [[ -z $h || " ${hosts[*]} " == *" $h "* ]] ||
        refuse "$run has no host $h: ${hosts[*]}"
    for h in ${h:-"${hosts[@]}"}; do logs_of "$h" || failed=1; done
    exit "$failed"
}

# Logs lie in a folder a host: their names are the same everywhere.
fetch_from() { # host
    local files=(logs)
    [[ $1 != "$learner_host" ]] || files+=(config.ini state progress.csv
        evaluations.csv checkpoints tensorboard)
    mkdir -p -- "$run/logs/$1" && connect "$1" &&
        must "$1" "$name" pack "${files[@]}" |
        tar -xf - -C "$run" --transform="s,^logs,logs/$1,"
    [[ ${PIPESTATUS[*]} != *[1-9]* ]]
}

fetch() {
    takes 1 1 'fetch RUN'
    load_run "${words[0]}"
    each fetch_from || failed=1
    say_results
    exit "$failed"
}

say_results() {
    local shown newest
    shown=$(shown_path "$run")
    newest=$(newest_checkpoint "$run")
    [[ -n $newest ]] || { say "$shown has no checkpoint yet" && return; }
    echo "fetched into $shown: $(basename -- "$newest"), curves, logs"
    echo "play and draw: $(call evaluate "$shown"); $(call plot "$shown")"
}

# -- following --

# shellcheck disable=SC2317 # a trap calls it
leave() {
    local shown
    shown=$(shown_path "$run")
    {
        printf '\nthe run goes on without this terminal\n'
        printf 'come back: %q resume %q; %q status %q\n' "$0" "$shown" "$0" "$shown"
        printf 'end it:    %q stop %q\n' "$0" "$shown"
    } >&"$terminal"
    exit 0
}

# The learner's lines until its supervisor has ended.
follow() { # bytes of them that are old
    local at=$1 size how code away=''
    trap leave INT TERM HUP
    say "started on ${#hosts[@]} hosts; Ctrl-C leaves it going. The page:" \
        "ssh -L 8000:127.0.0.1:$(http_port) $(shown_target "$learner_host")"
    while :; do
        if on "$learner_host" "$name" progress "$at" >"$control/progress" \
            2>/dev/null </dev/null; then
            [[ -z $away ]] || say "$learner_host is back"
            away=''
            read -r size how code <"$control/progress"
            tail -n +2 "$control/progress"
            at=$size
            [[ $how == running ]] || break
        elif [[ -z $away ]]; then
            away=yes
            say "$learner_host does not answer: trying again"
        fi
        sleep 2
    done
    trap - INT TERM HUP
    # who was just away has not heard of the end
    [[ $how != ended ]] || stop_others || failed=1
    each fetch_from || failed=1
    [[ $how == ended ]] || code=1
    if [[ $code != 0 ]]; then
        say "the learner on $learner_host $how${code:+ with status $code}:" \
            "logs are in $(shown_path "$run")/logs/$learner_host"
        exit "$code"
    fi
    say_results
    exit "$failed"
}

http_port() {
    local port
    port=$(effective http_port)
    echo "$((port ? port : $(effective port) + 1))"
}

failed=0
read_arguments "$@"
trap close_control EXIT
# every ssh would read it; a trap comes while stdout is a function's file
exec {terminal}>&1 </dev/null
"$command"
