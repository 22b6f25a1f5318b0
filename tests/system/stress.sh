#!/bin/bash
# deploy/stress.sh in small: its verdict is 0 with simulated and with real
# actors, and is not when a row is missing, a run stood still, lost a process or
# grew, or nobody saw whether it did; Ctrl-C leaves nothing behind.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

stress=("$root/deploy/stress.sh" --no-install --shards=2 --minutes=0.17)

verdict() { # name, expected status, claim, command...
    local name=$1 expected=$2 claim=$3 status
    shift 3
    timeout -k 5 $((120 * pace)) "$@" >"$work/out" 2>&1 </dev/null
    status=$?
    if [[ $status == "$expected" ]] && grep -q -- "$claim" "$work/out"; then
        ok "$name"
    else
        not_ok "$name" "status $status, not '$claim': $(grep '^NOT OK' "$work/out"; tail -n 12 "$work/out")"
    fi
}

a_lost_row_is_told() {
    local run=$work/simulated
    verdict "${FUNCNAME[0]}, before" 0 '^ok .*acknowledged row' \
        "$root/deploy/stress.sh" --report "$run"
    "$(program ring_spoil)" "$run/replay/shard-1.ring" delete ||
        not_ok "${FUNCNAME[0]}" 'no row could be deleted'
    verdict "${FUNCNAME[0]}" 1 '^NOT OK .*acknowledged row' \
        "$root/deploy/stress.sh" --report="$run"
}

# A kept run of N seconds, told anew: four processes of 8 MiB, a sample in 30 s;
# rows and updates rise. GROWTH: KiB an hour of shard-1.
invent() { # seconds, growth
    local run=$work/simulated
    rm -rf "$work/told"
    mkdir "$work/told" "$work/told/replay"
    cp -r "$run"/{config.ini,launch.ini,status.txt,logs,facts.txt} "$work/told"
    run=$work/told
    sed -i -e "s/^seconds .*/seconds $1/" -e 's/^audit .*/audit /' "$run/facts.txt"
    awk -v n="$1" -v growth="$2" -v rss="$run/rss.csv" -v csv="$run/stress.csv" 'BEGIN {
        print "seconds,name,pid,rss_anon_kib" >rss
        print "seconds,stored,updates,stored_per_second" >csv
        for (t = 5; t < n; t += 5) print t "," 90 * t "," 80 * t ",90" >csv
        print n "," 90 * n "," 80 * n ",90" >csv
        for (t = 0; t <= n; t += 30) {
            print t ",learner,11,8192\n" t ",shard-0,12,8192" >rss
            print t ",shard-1,13," int(8192 + t / 3600 * growth) >rss
            print t ",actor-all,14,8192" >rss
        }
    }'
}

told() { # name, expected status, claim
    verdict "$1" "$2" "$3" "$root/deploy/stress.sh" --report "$work/told"
}

growth_is_told() {
    local run=$work/told
    invent 3600 0
    told a_flat_run_passes 0 '^ok .*grows by 1 % an hour (4 processes'
    told a_flat_run_passes_the_second_half 0 '^ok .*no process grows (4 processes'
    invent 600 $((6 * 600))
    told "${FUNCNAME[0]}" 1 '^NOT OK .*no process grows: 1 processes: shard-1 +300'
    invent 3600 260
    told growth_of_3_percent_an_hour_is_told 1 \
        '^NOT OK .*1 % an hour: 1 processes: shard-1 3.'
}

what_was_not_measured_is_told() {
    local run=$work/told missing='^NOT OK .*no process grows: not known, .*1 of 4: shard-1'
    invent 3600 0
    sed -i '/shard-1/d' "$run/rss.csv"
    told a_process_that_is_missing_is_told 1 "$missing 0"
    told a_process_without_a_slope_is_told 1 \
        '^NOT OK .*by 1 % an hour: not known, .*1 of 4: shard-1 0'
    invent 600 0
    sed -i 's/^\(3[3-9].\|[4-6]..\),shard-1,13,/\1,shard-1,15,/' "$run/rss.csv"
    told a_process_that_was_replaced_is_told 1 "$missing 0"
    invent 600 0
    sed -i '/^\([34]..\|5[0-3].\),shard-1/d' "$run/rss.csv"
    told few_samples_are_told 1 "$missing 3"
    invent 600 0
    sed -i 2,\$d "$run/rss.csv"
    told no_samples_are_told 1 '^NOT OK .*no process grows: not known, rss.csv is empty'
    invent 600 0
    sed -i 's/,8192$/,0/' "$run/rss.csv"
    told no_memory_at_all_is_no_crash 0 '^ok .*no process grows (4 processes'
}

# Kept before Ctrl-C was noted, then with it.
an_end_that_nobody_saw_is_told() {
    local run=$work/told
    invent 240 0
    sed -i -e 's/^seconds .*/seconds 600/' -e /interrupted/d "$run/facts.txt"
    told "${FUNCNAME[0]}" 1 '^NOT OK .*to the end: last at 240 s of 600 s (not known'
    told a_memory_that_nobody_saw_is_told 1 \
        '^NOT OK .*no process grows: not known, rss.csv ends at 240 s of 600 s'
    echo 'interrupted yes' >>"$run/facts.txt"
    told an_interrupted_run_is_not_judged_to_its_end 0 \
        '^not judged: no process grows'
    if grep -q '^ok .*\(grows\|to the end\)' "$work/out"; then
        not_ok an_interrupted_run_claims_no_more "$(<"$work/out")"
    else
        ok an_interrupted_run_claims_no_more
    fi
}

standing_still_is_told() {
    local run=$work/told
    invent 600 0
    told a_run_that_went_on_passes 0 '^ok .*the learner updates (4800 times seen in the last 60 s'
    sed -i 's/^\(5[3-9].\|600\),\([0-9]*\),[0-9]*/\1,\2,43000/' "$run/stress.csv"
    told "${FUNCNAME[0]}" 1 '^NOT OK .*the learner updates (0 times seen in the last 60 s'
    invent 600 0
    sed -i 's/^\(5[3-9].\|600\),[0-9]*/\1,47000/' "$run/stress.csv"
    told standing_shards_are_told 1 '^NOT OK .*rows are stored (0 seen'
    invent 6 0
    told a_short_run_passes 0 '^ok .*the learner updates (480 times seen in the last 6 s'
    sed -i 's/,480,/,0,/; s/,400,/,0,/' "$run/stress.csv"
    told a_short_run_without_updates_is_told 1 '^NOT OK .*the learner updates (0'
}

processes_that_ended_are_told() {
    local log=$work/told/logs/supervise.log
    invent 600 0
    told nobody_ended 0 '^ok .*no process ended by itself'
    sed -i '/stopping:/i 2026-01-01 00:00:00 shard-1 (13) ended with status 139' "$log"
    told "${FUNCNAME[0]}" 1 '^NOT OK .*ended by itself: 1: shard-1 (status 139)'
    sed -i 's/^faults.*/faults yes/' "$work/told/facts.txt"
    told under_faults_they_may 0 '^ok .*the learner updates'
}

ctrl_c_leaves_nothing() {
    local run=$work/interrupted pid
    env --default-signal=INT "${stress[@]}" --simulated --minutes=5 \
        --run_dir="$run" >"$run.out" 2>&1 </dev/null &
    pid=$!
    if ! within 60 grep -q ' s  ' "$run.out"; then
        not_ok "${FUNCNAME[0]}" "it did not start: $(tail -n 3 "$run.out")"
    fi
    kill -INT "$pid"
    finish "$pid" 25
    if [[ $status != 0 ]]; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 3 "$run.out")"
    elif [[ -n $(processes_of "$run") || -e $run/sock || -e $run/replay ]]; then
        not_ok "${FUNCNAME[0]}" "left: $(processes_of "$run") $(ls "$run")"
    else
        ok "${FUNCNAME[0]}"
    fi
}

verdict simulated_actors_lose_nothing 0 '^ok .*acknowledged row' "${stress[@]}" \
    --simulated --actors=20 --rate 4000 --keep --run_dir="$work/simulated"
growth_is_told
what_was_not_measured_is_told
an_end_that_nobody_saw_is_told
standing_still_is_told
processes_that_ended_are_told
a_lost_row_is_told
verdict real_actors_lose_nothing 0 '^ok .*acknowledged row' "${stress[@]}" \
    --task=multigoal --actors 4 --run_dir="$work/real"
ctrl_c_leaves_nothing
refuses an_unknown_option_is_refused actrs "$root/deploy/stress.sh" \
    --no-install --actrs=3
refuses no_actors_are_refused actors "$root/deploy/stress.sh" --actors=0
refuses a_spec_of_one_number_is_refused simulated_spec \
    "$root/deploy/stress.sh" --no-install --simulated --spec=3
summary
