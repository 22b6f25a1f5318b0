#!/bin/bash
# Trains a task over seeds and option values, and compares: a table with the mean
# and the standard deviation over the seeds of each setting, and their curves.
#
#   deploy/sweep.sh TASK --seeds=1-5 [--vary=NAME=VALUE,VALUE ...] [--name=value ...]
#   deploy/sweep.sh --resume FOLDER [--at_once=N]
#   deploy/sweep.sh --table FOLDER        of the runs that have ended so far
#
# --seeds=1-5 or 1,2,7     which seeds (1-3)
# --vary=alpha=0.1,0.3     an option and its values; again for another one: every
#                          combination. Values with a comma of their own are
#                          separated by semicolons: --vary='svgd_alpha_ramp=1,0;10,4000'
# --at_once=N              runs at a time (1); each is a learner, shards and actors
# --folder=FOLDER          of the sweep (runs/sweep-TASK-TIME)
#
# TASK and other options are deploy/local.sh's and the same for every run. Runs are
# FOLDER/alpha_0.1-seed_2 and the like, their output beside them in .log files.
# Ctrl-C stops all within 10 s; --resume goes on with those that had not ended,
# each from its newest checkpoint. At the end: FOLDER/summary.csv, curves.png,
# curves.svg.
#
# Exit status: 0 when every run ended, 1 when one failed, 130 stopped.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

task='' folder='' resume='' table='' seeds=1-3 at_once=1 interrupted=''
vary=() options=()

# -- the command line --

take_option() { # --name=value
    local name=${1%%=*}
    name=${name#--}
    case ${name//-/_} in
    seeds) seeds=${1#*=} ;;
    vary) vary+=("${1#*=}") ;;
    at_once) at_once=${1#*=} ;;
    folder) folder=${1#*=} ;;
    resume) resume=${1#*=} ;;
    table) table=${1#*=} ;;
    run_dir | seed | task | compose)
        refuse "--$name is not for a sweep: give --folder, --seeds" ;;
    *) options+=("$1") ;;
    esac
}

read_arguments() {
    while (($#)); do
        case $1 in
        --help | -h) help "$0" ;;
        --no-install | --no_install | --lockstep) options+=("$1") ;;
        --*=*) take_option "$1" ;;
        --?*)
            [[ $# -gt 1 && $2 != --* ]] || refuse "$1 needs a value"
            take_option "$1=$2"
            shift
            ;;
        -*) refuse "what is $1? Write --name=value" ;;
        *)
            [[ -z $task ]] || refuse "one task a sweep: $task or $1?"
            task=$1
            ;;
        esac
        shift
    done
    [[ $at_once =~ ^[1-9][0-9]?$ ]] ||
        refuse "at_once = '$at_once': how many runs at a time, 1 to 99"
}

# "1-3,7" to a line a seed.
list_seeds() {
    local part
    for part in ${1//,/ }; do
        if [[ $part =~ ^[0-9]{1,9}$ ]]; then
            echo "$part"
        elif [[ $part =~ ^([0-9]{1,9})-([0-9]{1,9})$ ]] &&
            ((10#${BASH_REMATCH[1]} <= 10#${BASH_REMATCH[2]})) &&
            ((10#${BASH_REMATCH[2]} - 10#${BASH_REMATCH[1]} < 1000)); then
            seq "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
        else
            return 1
        fi
    done
}

# Every combination of the values, a line each: name=value TAB name=value ...
list_settings() {
    local lines=('') next line one values value
    for one in "${vary[@]}"; do
        IFS=, && [[ $one != *';'* ]] || IFS=';'
        read -ra values <<<"${one#*=}"
        unset IFS
        next=()
        for line in "${lines[@]}"; do
            for value in "${values[@]}"; do
                next+=("$line${line:+$'\t'}${one%%=*}=$value")
            done
        done
        lines=("${next[@]}")
    done
    printf '%s\n' "${lines[@]}"
}

run_name() { # setting, seed
    local name=${1//=/_}
    name=${name//$'\t'/-}
    name=${name:+$name-}seed_$2
    echo "${name//[^A-Za-z0-9._-]/+}"
}

# A new sweep is written down whole: FOLDER/sweep has a line a run (its folder,
# then its options), FOLDER/options what all have alike.
begin() {
    local one list setting seed stamp
    [[ -n $task ]] || refuse 'name a task: deploy/sweep.sh --help says more'
    for one in "${vary[@]}"; do
        [[ $one =~ ^[a-z_-]+=. ]] ||
            refuse "vary = '$one': write --vary=NAME=VALUE,VALUE"
    done
    list=$(list_seeds "$seeds") ||
        refuse "seeds = '$seeds': write 1-5 or 1,2,7, each at most 999999999"
    printf -v stamp '%(%Y%m%d-%H%M%S)T' -1
    folder=${folder:-runs/sweep-$(basename -- "${task%.*}")-$stamp}
    [[ ! -e $folder/sweep ]] ||
        refuse "$folder is a sweep already: deploy/sweep.sh --resume $folder"
    [[ ! -e $task ]] || task=$(readlink -f -- "$task")
    mkdir -p -- "$folder" || exit 2
    while IFS= read -r setting; do
        for seed in $list; do
            printf '%s\t%s%s--seed=%s\n' "$(run_name "$setting" "$seed")" \
                "${setting:+--${setting//$'\t'/$'\t'--}}" \
                "${setting:+$'\t'}" "$seed"
        done
    done < <(list_settings) >"$folder/plan"
    check_plan
    printf '%s\n' "$task" "${options[@]}" >"$folder/options" || exit 2
    mv -- "$folder/plan" "$folder/sweep" || exit 2
}

give_up() {
    rm -f -- "$folder/plan"
    rmdir -- "$folder" 2>/dev/null
    refuse "$@"
}

# A mistake is told before the first run, not by each.
check_plan() {
    local fields double
    double=$(cut -f1 "$folder/plan" | sort | uniq -d | head -n 1)
    [[ -z $double ]] || give_up "$double comes twice: repeated values or seeds?"
    while IFS=$'\t' read -ra fields; do
        "$here/local.sh" "$task" "${options[@]}" "${fields[@]:1}" \
            --print_config >/dev/null || give_up "${fields[0]} cannot begin"
    done <"$folder/plan"
}

# -- the runs --

ended() { # run
    [[ -s $1/evaluation.json && -s $1/evaluation-random.json ]]
}

# One run to its end; what it says is in its log.
play() { # name, its options
    local run=$folder/$1
    shift
    if [[ -n $(newest_checkpoint "$run") ]]; then
        exec setpriv --pdeathsig TERM -- "$here/local.sh" --resume "$run" --progress=lines
    fi
    rm -rf -- "$run" # without a checkpoint there is nothing to go on with
    exec setpriv --pdeathsig TERM -- "$here/local.sh" "${common[@]}" "$@" "--run_dir=$run" --progress=lines
}

# shellcheck disable=SC2317 # a trap calls it
on_signal() {
    interrupted=yes
    ((${#running[@]} == 0)) || kill -TERM "${!running[@]}" 2>/dev/null
}

show() { # what happened
    say "$1 ($done_ of $total ended, ${#running[@]} under way)"
}

# Wait until at most so many are under way.
collect() { # most
    local pid status
    while ((${#running[@]} > $1)); do
        wait -n -p pid "${!running[@]}"
        status=$?
        [[ -n ${pid-} ]] || continue # a trap cut the wait short
        local name=${running[$pid]}
        unset "running[$pid]"
        if [[ -n $interrupted ]]; then
            show "$name stopped"
        elif ((status)) || ! ended "$folder/$name"; then
            failed=$((failed + 1))
            show "$name failed with status $status: $folder/$name.log says why"
        else
            done_=$((done_ + 1))
            show "$name: mean return $(number_of \
                "$folder/$name/evaluation.json" mean_return)"
        fi
    done
}

train_all() {
    local fields
    declare -gA running=()
    done_=0 failed=0 total=$(wc -l <"$folder/sweep")
    mapfile -t common <"$folder/options"
    trap on_signal INT TERM HUP
    while IFS=$'\t' read -ra fields; do
        if ended "$folder/${fields[0]}"; then
            done_=$((done_ + 1))
            continue
        fi
        collect $((at_once - 1))
        [[ -z $interrupted ]] || break
        play "${fields[@]}" >>"$folder/${fields[0]}.log" 2>&1 </dev/null &
        running[$!]=${fields[0]}
        show "${fields[0]} begins"
    done <"$folder/sweep"
    collect 0
    trap - INT TERM HUP
}

# -- what it comes to --

write_summary() {
    local fields run
    echo 'setting,seed,mean_return,std_return,episodes,random_mean_return,updates,steps,seconds'
    while IFS=$'\t' read -ra fields; do
        run=$folder/${fields[0]}
        ended "$run" || continue
        local setting=${fields[*]:1:${#fields[@]}-2}
        printf '"%s",%s,%s,%s,%s,%s,%s\n' "${setting//--/}" \
            "${fields[-1]#--seed=}" \
            "$(number_of "$run/evaluation.json" mean_return)" \
            "$(number_of "$run/evaluation.json" std_return)" \
            "$(number_of "$run/evaluation.json" episodes)" \
            "$(number_of "$run/evaluation-random.json" mean_return)" \
            "$(tail -n 1 "$run/progress.csv" |
                awk -F, '{ print $2 "," $3 "," $1 }')"
    done <"$folder/sweep"
}

print_table() {
    awk -F'",|,' '
        NR == 1 { next }
        {
            sub(/^"/, "", $1)
            key = $1 == "" ? "all" : $1
            if (!(key in n)) order[++m] = key
            i = ++n[key]
            x[key, i] = $3
            sum[key] += $3
            base[key] += $6
            seconds[key] += $9
        }
        END {
            printf "%-44s %5s %12s %12s %12s %12s %12s %9s\n", "setting", \
                "seeds", "mean return", "sd of seeds", "least", "greatest", \
                "random", "seconds"
            for (k = 1; k <= m; k++) {
                key = order[k]
                mean = sum[key] / n[key]
                squares = 0
                least = greatest = x[key, 1]
                for (i = 1; i <= n[key]; i++) {
                    squares += (x[key, i] - mean) ^ 2
                    if (x[key, i] + 0 < least + 0) least = x[key, i]
                    if (x[key, i] + 0 > greatest + 0) greatest = x[key, i]
                }
                sd = n[key] > 1 ? sprintf("%.4g", \
                    sqrt(squares / (n[key] - 1))) : "-"
                printf "%-44s %5d %12.5g %12s %12.5g %12.5g %12.5g %9.0f\n", \
                    key, n[key], mean, sd, least, greatest, \
                    base[key] / n[key], seconds[key] / n[key]
            }
        }' "$folder/summary.csv"
}

draw_curves() {
    local fields runs=()
    while IFS=$'\t' read -ra fields; do
        ! ended "$folder/${fields[0]}" || runs+=("$folder/${fields[0]}")
    done <"$folder/sweep"
    ((${#runs[@]} > 0)) || return 0
    "$here/plot.sh" "--curves=$folder" "${runs[@]}" >/dev/null &&
        echo "figures in $folder: curves.png curves.svg"
}

sum_up() {
    write_summary >"$folder/summary.csv" || exit 2
    echo
    print_table
    echo
    draw_curves
}

read_arguments "$@"
existing=${resume:-$table}
if [[ -n $existing ]]; then
    [[ -z $task && ${#options[@]} -eq 0 && ${#vary[@]} -eq 0 ]] ||
        refuse "--resume and --table take a sweep's FOLDER and nothing else"
    [[ -f $existing/sweep ]] || refuse "there is no sweep in $existing"
    folder=$existing
    if [[ -n $table ]]; then
        sum_up
        exit
    fi
else
    begin
fi
exec {lock}<"$folder"
flock -n "$lock" || refuse "$folder is under way: is there another terminal with it?"
echo "sweep $folder: $(wc -l <"$folder/sweep") runs"
train_all {lock}<&-
if [[ -n $interrupted ]]; then
    say "stopped; go on: $(call sweep --resume "$folder")"
    exit 130
fi
sum_up
((failed == 0))
