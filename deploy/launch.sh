# shellcheck shell=bash
# What local.sh and cluster.sh share: which task, the configuration and the
# folder of a run.

: "${here:?}" "${go_on:?is the command that goes on with a run}"
# shellcheck source=deploy/common.sh
. "$here/common.sh"

task='' run='' resume='' compose='' preset='' robot='' env='' options=()
programs=(softq-actor softq-replay softq-learner)

# -- the task --

# Sets preset, and robot or env where the task is the user's own.
find_task() {
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

# -- the configuration --

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

# -- the run's folder --

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
        refuse "$run is a run already: deploy/$go_on $run goes on with it"
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
