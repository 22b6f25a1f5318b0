#!/bin/bash
# The global limiter over several actors and shards, judged from outside: while
# a run loses and regains a shard, has one declared dead that stands still, loses
# a shard's disk and its learner, and goes on from an older checkpoint with
# another ratio, every look at the learner's books finds
# |du - ratio di| <= ratio R (slack + batch) + 1, and once di > 50 R (slack +
# batch) the two agree to 2 %. du: updates started, di: rows stored, each since
# warm-up or a new ratio.
#
#   tests/chaos/ratio.sh [RATIO ...]      default: 0 0.1 1 4
# not sanitised: kills.sh and pauses.sh go through the same code
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../system/lib.bash"

readonly shards=3 slack=64 batch=16
readonly far=$((50 * shards * (slack + batch))) # rows for the 2 %

look() { # run: a line of the books' numbers, "late" if nobody answers
    "$(program softq-learner)" --status="$1" 2>/dev/null | awk '
        { v[$1] = $2 }
        END {
            if (!("limiter_u0" in v)) { print "none"; exit }
            print v["warm"], v["limiter_updates"] - v["limiter_u0"],
                v["limiter_inserted"] - v["limiter_i0"]
        }'
}

watch_books() { # run: looks until $run.enough is there
    until [[ -e $1.enough ]]; do
        look "$1"
        sleep 0.1
    done >>"$1.looks"
}

# looks, the worst one, and how many were far enough for the 2 %
judge() { # looks, ratio
    awk -v ratio="$2" -v room=$((shards * (slack + batch))) '
        $1 != 1 { next }
        {
            n++
            off = $2 - ratio * $3
            if (off < 0) off = -off
            if (off > worst) worst = off
            bad += off > ratio * room + 1
            if ($3 > 50 * room) {
                far++
                bad += off > 0.02 * ratio * $3
            }
            last = $3
        }
        END { printf "%d %d %.1f %d %d\n", n, bad, worst, far, last }' "$1"
}

has_looks() { # run, how many while warm
    (($(grep -c '^1 ' "$1.looks") >= $2))
}

stored_beyond() { # run, rows since warm-up
    local warm du di
    read -r warm du di < <(look "$1")
    [[ $warm == 1 ]] && ((di >= $2 && du >= 0))
}

shards_serve() { # run, how many
    "$(program softq-learner)" --status="$1" 2>/dev/null | grep -qx "shards $2"
}

lives_again() { # run, process, the pid it had
    pid_of "$1" "$2" && [[ $pid != "$3" ]]
}

# The supervised process, not one that asks it for its status.
restart() { # run, process, a file that goes with it
    local pid before
    pid_of "$1" "$2" || return
    before=$pid
    kill -9 "$before" || return
    [[ -z ${3-} ]] || rm -f "$3"
    within 10 lives_again "$1" "$2" "$before"
}

lose() { # run, shard, its disk too?
    local disk=''
    [[ $3 == no ]] || disk=$1/replay/shard-$2.ring
    restart "$1" "shard-$2" "$disk" && sleep 1.5 &&
        within 30 shards_serve "$1" $shards
}

is_declared_dead() { # run, shard, more often than that
    (($(declared_dead "$1" "$2") > $3))
}

# For as long as it takes: a restart is not surely longer than dead_after.
hold() { # run, shard
    local pid before status
    before=$(declared_dead "$1" "$2")
    pid_of "$1" "shard-$2" && kill -STOP "$pid" || return
    within 10 is_declared_dead "$1" "$2" "$before"
    status=$?
    kill -CONT "$pid"
    ((status == 0)) && within 30 shards_serve "$1" $shards
}

generation_of() { # run
    awk '$1 == "generation" { print $2 }' "$1/state"
}

has_generation_beyond() { # run, generation
    (($(generation_of "$1") > $2))
}

lose_learner() { # run
    local before
    before=$(generation_of "$1")
    restart "$1" learner && within 30 has_generation_beyond "$1" "$before" &&
        within 30 shards_serve "$1" $shards
}

# What a run goes through; fails at $step. Kills of one process are a second
# apart: the supervisor's pause.
go_through() { # run
    local steps=("within 60 stored_beyond $1 2000" "lose $1 1 no"
        "hold $1 0" "lose $1 2 yes" "lose_learner $1"
        "within 90 stored_beyond $1 $((far + 1000))" "within 30 has_looks $1 20")
    for step in "${steps[@]}"; do $step || return; done
}

start_books() { # run
    rm -f "$1.enough" "$1.looks"
    watch_books "$1" &
    watcher=$!
}

stop_books() { # run
    touch "$1.enough"
    wait "$watcher"
}

check_judged() { # name, looks, ratio
    local n bad worst beyond last
    read -r n bad worst beyond last < <(judge "$2" "$3")
    if ((n < 20)); then
        not_ok "$1" "only $n looks at a warm run"
    elif ((bad > 0)); then
        not_ok "$1" "$bad of $n looks are off, the worst by $worst updates"
    elif ((beyond == 0)); then
        not_ok "$1" "no look beyond $far rows, the last at $last"
    else
        ok "$1 ($n looks, worst $worst updates off; $beyond of them beyond \
$far rows, the last at $last)"
    fi
}

# The bound can be missed: looks that are off by one too many are found.
the_judge_can_say_no() {
    local looks=$work/invented room=$((shards * (slack + batch)))
    printf '1 %d 1000\n' $((1000 + room + 2)) >"$looks"
    [[ $(judge "$looks" 1) == '1 1 '* ]] || {
        not_ok "${FUNCNAME[0]}" "drift is not found"
        return
    }
    printf '1 %d %d\n' $((50 * room)) $((52 * room)) >"$looks"
    [[ $(judge "$looks" 1) == '1 2 '* ]] || {
        not_ok "${FUNCNAME[0]}" "2 % are not found"
        return
    }
    printf '1 %d 1000\n' $((1000 + room + 1)) >"$looks"
    if [[ $(judge "$looks" 1) == '1 0 '* ]]; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "refuses what is within the bound"
    fi
}

the_ratio_is_kept() { # ratio
    local run=$work/ratio-$1 other=0.5
    launch "$run" --shards=$shards --actors=4 --environments=4 --slack=$slack \
        --batch=$batch --dead_after=1.5 --ratio="$1" --replay_size=3000000 \
        --units=16
    start_books "$run"
    go_through "$run" || not_ok "ratio $1" "stuck at $step: $(tail -n 3 "$run.err")"
    stop_books "$run"
    if [[ $1 != 0 ]]; then
        check_judged "ratio $1" "$run.looks" "$1"
    elif within 30 has_updates "$run" 200 && stored_beyond "$run" 3000; then
        ok "ratio 0: neither waits"
    else
        not_ok "ratio 0" "$(look "$run")"
    fi
    kill -INT "$launcher"
    finish "$launcher" 20
    [[ $1 == 1 ]] || return
    env --default-signal=INT "$root/deploy/local.sh" --no-install \
        --resume "$run" --ratio=$other --progress=lines >"$run.out" \
        2>"$run.err" </dev/null &
    launcher=$!
    within 30 shards_serve "$run" $shards
    start_books "$run"
    within 60 stored_beyond "$run" 60000
    sleep 3 # for looks enough
    stop_books "$run"
    check_judged "ratio 1, then $other" "$run.looks" $other
    kill -INT "$launcher"
    finish "$launcher" 20
}

the_judge_can_say_no
[[ $# -gt 0 ]] || set -- 0 0.1 1 4
for ratio; do the_ratio_is_kept "$ratio"; done
summary
