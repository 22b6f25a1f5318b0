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
# builds a checkout, makes the folder runs/TASK-TIME (or --run_dir=RUN) and starts
# a learner, --shards=R replay shards and --actors=N actors there, talking over
# private sockets; --evaluators=E processes beside them play the newest parameters
# without exploration every --evaluate_every=U updates. Options are those of
# `softq-learner --help`, on top of deploy/presets/TASK.ini; `--name value` is the
# same.
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
go_on='local.sh --resume'
# shellcheck source=deploy/launch.sh
. "$here/launch.sh"

install=() ledger=() import=() child='' interrupted=''

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
    --join | --index | --name | --lifeline | --evaluate | --evaluator | --status | \
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
    find_task
}

# -- the run --

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
    local i line actors beside
    beside=$(beside_learner "${options[@]}")
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
    actors=$(effective actors)
    for ((i = 0; i < actors; i++)); do
        commands+=(-- "actor-$i" "$run/bin/softq-actor" "${peer[@]}"
            "--name=actor-$i" "$beside" "--idle_actors=$actors" "${ledger[@]}")
    done
    for ((i = 0; i < $(effective evaluators); i++)); do
        commands+=(-- "evaluator-$i" "$run/bin/softq-actor" "${peer[@]}"
            "--name=evaluator-$i" --evaluator=true "$beside")
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
    [[ -n $(newest_checkpoint "$run") ]] || return
    if (($2)); then
        echo 'the newest checkpoint is there'
    else
        echo 'stopped with a checkpoint'
    fi
    echo "go on:         $(call local --resume "$1")"
    echo "play and draw: $(call evaluate "$1"); $(call plot "$1")"
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
