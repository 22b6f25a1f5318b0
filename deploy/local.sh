#!/bin/bash
# Trains, evaluates and draws one run on this machine.
#
#   deploy/local.sh TASK [--name=value ...]
#   deploy/local.sh --resume RUN [--name=value ...]
#   deploy/local.sh my-robot.ini [--name=value ...]   your MJCF model
#   deploy/local.sh ./my_env.so [--name=value ...]    your environment in C
#   deploy/local.sh TASK --init_from=RUN [--init_parts=q|f]   fine-tune RUN
#   deploy/compose.sh RUN RUN [...]                           compose runs
#
# Installs what is missing (Debian packages; --no-install: refuses instead),
# builds, makes the folder runs/TASK-TIME (or --run_dir=RUN) and starts a
# learner, --shards=R replay shards and --actors=N actors there, talking over
# private sockets. Options are those of `softq-learner --help`, on top of
# deploy/presets/TASK.ini; `--name value` is the same.
#
# my-robot.ini describes a task in its section [robot] (README, "Your own task");
# its other lines are options, on top of deploy/own-task.ini. my_env.so is built
# as deploy/examples/my_env.c says; my-task.ini --env=./my_env.so brings options
# along. The task's name is the file's. The run keeps copies in RUN/task.
#
# --transport=tcp listens on loopback, with --keys=DIR (deploy/keys.sh) only for
# who is allowed to; without, for every user of this machine.
#
# Ctrl-C writes a checkpoint and stops everything within 10 s, a second one
# kills. --resume goes on from the newest checkpoint.
#
# Exit status: the learner's (0 finished or stopped, 1 crash, 2 refused, 3
# non-finite numbers), or the evaluation's if only that failed.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

task='' run='' resume='' compose='' install=() options=() ledger=() import=()
preset='' robot='' env='' child='' interrupted=''
programs=(softq-actor softq-replay softq-learner)

# -- the command line --

# One option, its name with '_' for '-', what is ours taken out.
take_option() { # --name=value or --flag
    local name=${1%%=*}
    name=${name//-/_}
    name=--${name#__}
    case $name in
    --run_dir) run=${1#*=} ;;
    --resume) resume=${1#*=} ;;
    --ledger) ledger=("--ledger=${1#*=}") ;;
    --import) import=("--import=${1#*=}") ;;
    --compose) compose=${1#*=} ;;
    --robot) robot=${1#*=} ;;
    --env) env=${1#*=} ;;
    --init_from) init_from "${1#*=}" ;;
    --model) model_file "${1#*=}" ;;
    --keys) keys_folder "${1#*=}" ;;
    --join | --index | --name | --lifeline | --evaluate | --status | \
        --check | --keep | --list_tasks | --make_keys | --check_keys | \
        --export | --out | --audit)
        refuse "$name is not for a launch" ;;
    *) options+=("$name${1#"${1%%=*}"}") ;;
    esac
}

# The run may be resumed from anywhere, so the other one's path is absolute.
init_from() { # RUN
    local from=''
    [[ -z $1 ]] || from=$(existing_run "$1") || exit 2
    options+=("--init_from=$from")
}

# Absolute for the same reason; a mistake is told before anything is built.
model_file() { # FILE
    [[ -z $1 || -r $1 ]] || refuse "cannot read the model $1: give an MJCF file"
    options+=("--model=${1:+$(readlink -f -- "$1")}")
}

keys_folder() { # DIR
    [[ -z $1 || -d $1 ]] ||
        refuse "there is no folder of keys $1: deploy/keys.sh new makes it"
    options+=("--keys=${1:+$(readlink -f -- "$1")}")
}

read_arguments() {
    while (($#)); do
        case $1 in
        --help | -h) help "$0" ;;
        --no-install | --no_install) install=(--no-install) ;;
        --lockstep | --insecure | --print?config | --idle?priority)
            take_option "$1" ;;
        --*=*) take_option "$1" ;;
        --?*)
            [[ $# -gt 1 && $2 != --* ]] || refuse "$1 needs a value"
            take_option "$1=$2"
            shift
            ;;
        -*) refuse "what is $1? Write --name=value" ;;
        *)
            [[ -z $task ]] || refuse "one task at a time: $task or $1?"
            task=$1
            ;;
        esac
        shift
    done
    if [[ -n $resume ]]; then
        [[ -z $task && -z $run && -z $robot$env ]] ||
            refuse '--resume RUN takes no TASK and no --run_dir: the run has' \
                'its task in RUN/task'
        run=$(existing_run "$resume") || exit 2
        flock -n "$run/lock" true 2>/dev/null ||
            refuse "$resume is running: is there another terminal with it?"
        task=$(option_of "$run/config.ini" task)
        [[ ! -e $run/sources ]] || compose=$(<"$run/sources")
        return
    fi
    [[ -n $task ]] ||
        refuse "name a task: $(tasks) (deploy/local.sh --help says more)"
    # a composition takes its settings from the first run that it composes
    preset=${compose:+${compose%%:*}/config.ini}
    preset=${preset:-$here/presets/$task.ini}
    # ... and its task, where that was the user's own
    if [[ -n $compose && -d ${compose%%:*}/task && -z $robot$env &&
        $task == "$(option_of "$preset" task)" ]]; then
        return
    fi
    find_own_task
    [[ -n $robot$env || ($task != */* && -e $here/presets/$task.ini) ]] ||
        refuse "there is no task '$task': $(tasks), or a file my-robot.ini or" \
            './my_env.so of your own'
}

# A description or a shared object: the task has the file's name.
find_own_task() {
    local file=$task
    case $file in
    *.ini | *.so)
        [[ -f $file ]] || refuse "there is no file $file"
        task=$(basename -- "${file%.*}")
        ;;
    esac
    case $file in
    *.ini)
        preset=$file
        if grep -q '^[[:space:]]*\[robot\]' -- "$file"; then
            robot=${robot:-$file}
        elif [[ -z $robot$env ]]; then
            refuse "$file describes no task: it has no section [robot], and" \
                'there is no --env=FILE.so'
        fi
        ;;
    *.so)
        [[ -z $robot$env ]] || refuse "one task at a time: $file or $robot$env?"
        env=$file
        ;;
    esac
    # a built-in task's preset is not for another task of that name
    [[ -z $robot$env || $preset != "$here/presets/"* ]] || preset=''
}

tasks() {
    local list=("$here"/presets/*.ini) names=''
    for preset in "${list[@]}"; do
        names+=", $(basename "$preset" .ini)"
    done
    echo "${names#, }"
}

# -- the run --

# The effective configuration, or the learner's one line and status 2.
configure() {
    local learner
    learner=$(built softq-learner)
    if [[ -n $resume ]]; then
        effective=$("$learner" "--run_dir=$run" "${options[@]}" \
            --print_config) || exit 2
    else
        local files=()
        [[ -z $robot$env ]] || files+=("--config=$here/own-task.ini")
        [[ -z $preset ]] || files+=("--config=$preset")
        options=("${files[@]}" "--task=$task" "${options[@]}")
        effective=$("$learner" "${options[@]}" --print_config) || exit 2
    fi
    local keys
    keys=$(effective keys)
    [[ -z $keys ]] || "$learner" "--check_keys=$keys" || exit 2
    [[ -z $compose || -n $resume ]] || check_composition
    if [[ $(effective task) != "$task" ]]; then
        refuse "the task is $task: leave out --task=$(effective task)"
    fi
    local o
    for o in "${options[@]}"; do
        case $o in --print_config | --print_config=true)
            echo "$effective"
            exit 0
            ;;
        esac
    done
}

# What only the end of a composition would show otherwise.
check_composition() {
    local have want
    [[ $(effective algorithm) == compose ]] ||
        refuse '--compose belongs to --algorithm=compose: deploy/compose.sh' \
            'RUN RUN gives both'
    have=$(sed -n 's/^spec //p' "${compose%%:*}/state")
    # a built-in task's shape; one of the user's own is not in the list
    [[ -z $robot$env ]] || return 0
    want=$("$(built softq-actor)" --list-tasks |
        awk -v task="$task" '$1 == task { print $3, $5 }')
    [[ -z $want || -z $have || $want == "$have" ]] ||
        refuse "the task $task has observations of ${want% *} and actions of" \
            "${want#* }, the composed runs have ${have% *} and ${have#* }: name" \
            'a task of their shape'
}

effective() { option_of /dev/stdin "$1" <<<"$effective"; }

# A folder of our own for the run, with programs that no rebuild swaps.
make_run() {
    local stamp n=''
    if [[ -z $run ]]; then
        printf -v stamp '%(%Y%m%d-%H%M%S)T' -1
        mkdir -p runs || exit 2
        until mkdir "runs/$task-$stamp$n" 2>/dev/null; do
            [[ -e runs/$task-$stamp$n ]] || refuse "cannot make runs/$task-$stamp$n"
            n=$((${n:-0} - 1))
        done
        run=runs/$task-$stamp$n
    elif [[ -z $resume && (-e $run/config.ini || -e $run/state) ]]; then
        refuse "$run is a run already: deploy/local.sh --resume $run goes on" \
            "with it"
    fi
    mkdir -p -- "$run" && mkdir -p -- "$run/bin" "$run/logs" || exit 2
    run=$(cd -- "$run" && pwd -P)
    [[ -n $resume ]] || keep_task
    keep_programs "$run" "${programs[@]}"
    echo "$effective" >"$run/launch.ini" || exit 2
    [[ -z $compose ]] || echo "$compose" >"$run/sources" || exit 2
}

# What a task of the user's own needs, so that the run can go on from anywhere.
keep_task() {
    if [[ -n $robot$env ]]; then
        if ! "$(built softq-actor)" "--task=$task" "--keep=$run/task" \
            "--robot=$robot" "--env=$env" --log_level=warn; then
            rm -rf -- "$run/task"
            rmdir -- "$run/bin" "$run/logs" "$run"
            exit 2
        fi
    elif [[ -n $compose && -d ${compose%%:*}/task ]] &&
        [[ $task == "$(option_of "${compose%%:*}/config.ini" task)" ]]; then
        cp -r -- "${compose%%:*}/task" "$run/task" || exit 2
    fi
}

# Run a command that ends with us; a signal of ours goes to it as SIGTERM.
attend() {
    local status
    "$@" &
    child=$!
    while :; do
        wait "$child" 2>/dev/null
        status=$?
        # a wait that a trap cut short, or the end
        kill -0 "$child" 2>/dev/null || break
    done
    if ((status > 128)); then
        # the trap's status may stand where the command's belongs
        wait "$child"
        status=$?
    fi
    child=''
    return "$status"
}

# shellcheck disable=SC2317 # a trap calls it
on_signal() {
    interrupted=yes
    [[ -z $child ]] || kill -TERM "$child" 2>/dev/null
}

train() {
    local i line
    local commands=(-- learner "$run/bin/softq-learner" "--run_dir=$run"
        "${options[@]}")
    if [[ -n $compose ]]; then
        commands+=("--compose=$compose")
        import=("--import=$compose")
    fi
    local peer=("--config=$run/launch.ini" "--join=$run" "--run_dir=$run")
    for ((i = 0; i < $(effective shards); i++)); do
        commands+=(-- "shard-$i" "$run/bin/softq-replay" "${peer[@]}"
            "--index=$i" "--name=shard-$i" "${import[@]}")
    done
    for ((i = 0; i < $(effective actors); i++)); do
        commands+=(-- "actor-$i" "$run/bin/softq-actor" "${peer[@]}"
            "--name=actor-$i" --idle_priority=true "${ledger[@]}")
    done
    exec {line}<> <(:)
    attend supervise_under "$run" "$line" "${commands[@]}"
}

# What the policy does now, beside random actions, and the figures.
evaluate() {
    local episodes
    episodes=$(effective evaluation_episodes)
    echo
    attend "$here/evaluate.sh" "$run" "--episodes=$episodes" || return
    # few episodes of random actions tell their spread badly
    attend "$here/evaluate.sh" "$run" \
        "--episodes=$((episodes > 200 ? episodes : 200))" --random_policy=true \
        --traces= --q_figure= >/dev/null || return
    printf '%-10s mean %.2f   std %.2f\n\n' random \
        "$(number_of "$run/evaluation-random.json" mean_return)" \
        "$(number_of "$run/evaluation-random.json" std_return)"
    attend setpriv --pdeathsig TERM -- "$here/plot.sh" "$run" \
        >"$run/logs/plot.log" || return
    echo "figures in $(shown_path "$run")/figures:" \
        "$(cd -- "$run/figures" && echo *.png)"
}

say_how_to_go_on() { # the run as shown, status
    local scripts=${0%/*}
    [[ -n $(newest_checkpoint "$run") ]] || return
    if (($2)); then
        echo 'the newest checkpoint is there'
    else
        echo 'stopped with a checkpoint'
    fi
    printf 'go on:         %q --resume %q\n' "$scripts/local.sh" "$1"
    printf 'play and draw: %q %q; %q %q\n' "$scripts/evaluate.sh" "$1" \
        "$scripts/plot.sh" "$1"
}

main() {
    local status name
    read_arguments "$@"
    "$here/install.sh" "${install[@]}" || exit 2
    build "${programs[@]}"
    configure
    make_run
    trap on_signal INT TERM HUP
    name=$(shown_path "$run")
    echo "run $name"
    train
    status=$?
    if ((status > 128)); then
        say 'the supervisor was killed: its processes stop by themselves'
        flock -w 10 "$run/lock" true
        status=1
    fi
    remove_sockets "$run"
    if [[ -n $interrupted ]] || ((status)); then
        say_how_to_go_on "$name" "$status"
        ((status == 0)) || say "logs are in $name/logs"
        exit "$status"
    fi
    evaluate || status=$?
    if [[ -n $interrupted ]]; then
        status=0 # stopped is no failure, in the evaluation either
        say_how_to_go_on "$name" "$status"
    fi
    exit "$status"
}

main "$@"
