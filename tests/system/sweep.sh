#!/bin/bash
# deploy/sweep.sh: settings by seeds, stopped half way, gone on with, compared.
# not sanitised: a script over runs like any other test's
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

sweep=$root/deploy/sweep.sh folder=$work/sweep

ended_runs() {
    local list=("$folder"/*/evaluation-random.json)
    [[ -e ${list[0]} ]] && echo ${#list[@]} || echo 0
}

at_least_ended() { # how many
    (($(ended_runs) >= $1))
}

rows_of_summary() {
    grep -c '^"' "$folder/summary.csv"
}

it_stops_with_nothing_left() {
    local status early
    # of seconds each: actors tell of their episodes every half second
    env --default-signal=INT "$sweep" multigoal --seeds=1-2 --vary=alpha=5,20 \
        --folder="$folder" "${small[@]/--max_updates=0/--max_updates=15000}" \
        >"$work/out" 2>"$work/err" </dev/null &
    launcher=$!
    within 60 at_least_ended 1
    early=$(ended_runs)
    kill -INT "$launcher"
    finish "$launcher" 20
    if [[ $status != 130 ]] || ! grep -q -- "--resume $folder" "$work/err"; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 3 "$work/err")"
    elif ! within 10 gone "$folder"; then
        not_ok "${FUNCNAME[0]}" "left: $(processes_of "$folder" | head -n 2)"
    elif ((early == 4)); then
        not_ok "${FUNCNAME[0]}" "all had ended before it was stopped"
    else
        ok "${FUNCNAME[0]}"
    fi
}

it_goes_on_and_compares() {
    if ! "$sweep" --resume "$folder" --at_once=2 >"$work/out" 2>"$work/err"; then
        not_ok "${FUNCNAME[0]}" "$(tail -n 3 "$work/err")"
    elif [[ $(ended_runs) != 4 || $(rows_of_summary) != 4 ]]; then
        not_ok "${FUNCNAME[0]}" "$(ended_runs) runs, $(rows_of_summary) rows"
    elif ! grep -qE '^alpha=5 +2 ' "$work/out" ||
        ! grep -qE '^alpha=20 +2 ' "$work/out"; then
        not_ok "${FUNCNAME[0]}" "$(<"$work/out")"
    elif [[ ! -s $folder/curves.png || ! -s $folder/curves.svg ]]; then
        not_ok "${FUNCNAME[0]}" "no curves: $(tail -n 3 "$work/err")"
    else
        ok "${FUNCNAME[0]}"
    fi
}

# By hand: mean and standard deviation of the two seeds of a setting.
the_table_adds_up() {
    local expected
    expected=$(awk -F'",|,' '/^"alpha=5"/ { x[++n] = $3 }
        END { m = (x[1] + x[2]) / 2; d = x[1] - x[2]
            printf "%.5g %.4g", m, (d < 0 ? -d : d) / sqrt(2) }' \
        "$folder/summary.csv")
    if [[ $(awk '$1 == "alpha=5" { print $3, $4 }' "$work/out") == "$expected" ]]; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "not $expected: $(<"$work/out")"
    fi
}

it_stops_with_nothing_left
it_goes_on_and_compares
the_table_adds_up
refuses a_sweep_is_not_begun_twice 'is a sweep already' \
    "$sweep" multigoal --folder="$folder"
refuses seeds_that_are_none 'seeds = ' "$sweep" multigoal --seeds=3-1
refuses what_is_no_sweep 'no sweep in' "$sweep" --resume "$work"
summary
