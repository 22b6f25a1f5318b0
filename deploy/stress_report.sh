# shellcheck shell=bash
# shellcheck disable=SC2154 # stress.sh sets what is read
# What a stress run comes to: the table at its end and the verdict. Sourced by
# stress.sh, whose run, counts and options it reads.

readonly least_samples=5 # of a process after half time, for a verdict

failed=''
judge() { # ok or not, claim
    if [[ $1 == ok ]]; then
        echo "ok      $2"
    else
        echo "NOT OK  $2"
        failed=yes
    fi
}

value_of() { # name, in lines "name value" on stdin
    awk -v name="$1" '$1 == name { v = $2 } END { print v }'
}

latencies() { # name in words, prefix, lines
    awk -v words="$1" -v p="$2" '
        { v[$1] = $2 }
        END {
            printf "%-28s %10d  p50 %.2f  p95 %.2f  p99 %.2f  p99.9 %.2f ms\n",
                words, v[p "s"], v[p "_us_p50"] / 1e3, v[p "_us_p95"] / 1e3,
                v[p "_us_p99"] / 1e3, v[p "_us_p999"] / 1e3
        }' <<<"$3"
}

# -- did it go on? --

# "END SPAN ROWS UPDATES" of stress.csv: its last line, and what was stored and
# updated in the SPAN s before it: a quarter of the run, at least 10 s and, as no
# fault lasts, at most 60; from the line before that on, if that is near, or from
# the start. What a killed process counts from 0 again is no fall.
progress() {
    awk -F, -v most="$([[ -n $faults ]] || echo 60)" '
        BEGIN { t[0] = stored[0] = updates[0] = 0 }
        NR > 1 { t[++n] = $1; stored[n] = $2; updates[n] = $3 }
        END {
            span = t[n] / 4
            if (most != "" && span > most) span = most
            if (span < 10) span = 10
            from = t[n] - span
            while (i < n && t[i + 1] <= from) i++
            if (from - t[i] > 60) i++
            if (i == 0 || t[n] - t[i] > span) span = t[n] - t[i]
            for (i++; i <= n; i++) {
                if (stored[i] > stored[i - 1]) rows += stored[i] - stored[i - 1]
                if (updates[i] > updates[i - 1]) made += updates[i] - updates[i - 1]
            }
            printf "%d %d %.0f %.0f\n", t[n], span, rows, made
        }' "$run/stress.csv"
}

report_progress() {
    local end span rows updates words
    read -r end span rows updates < <(progress)
    if [[ $interrupted == yes ]]; then
        echo "not judged: the learner answers to the end (interrupted after $end s of $seconds s)"
    elif ((end >= seconds)); then
        judge ok "the learner answers to the end ($end s)"
    else
        words="the learner answers to the end: last at $end s of $seconds s"
        [[ $interrupted != unknown ]] ||
            words+=' (not known: whether it was interrupted)'
        judge no "$words"
    fi
    words="seen in the last $span s until $end s"
    judge "$( ((rows > 0)) && echo ok)" "rows are stored ($rows $words)"
    judge "$( ((updates > 0)) && echo ok)" "the learner updates ($updates times $words)"
}

# "NAME STATUS" of each process that ended before anybody asked it to.
ended_early() {
    cat -- "$run/logs/supervise.log.old" "$run/logs/supervise.log" 2>/dev/null |
        awk '$3 == "stopping:" { exit }
            $5 == "ended" && $6 == "with" { print $3, $8 }'
}

report_ends() {
    local ended
    [[ -z $faults ]] || return 0
    ended=$(ended_early | awk '{ n++; list = list " " $1 " (status " $2 ")" }
        END { if (n) print n ":" substr(list, 1, 200) }')
    if [[ ! -s $run/logs/supervise.log ]]; then
        judge no 'no process ended by itself: not known without logs/supervise.log'
    elif [[ -n $ended ]]; then
        judge no "no process ended by itself: $ended"
    else
        judge ok 'no process ended by itself (logs/supervise.log)'
    fi
}

# -- memory --

# Of each process that lived from half time to the end: KiB there and now, the
# slope of a least-squares line between, in % of the first an hour, and how many
# samples that is.
growth() {
    awk -F, -v half=$((seconds / 2)) '
        NR > 1 {
            key = $2 " " $3
            if ($1 <= half || !(key in at)) at[key] = $4
            if ($1 <= half) seen[key] = 1
            else {
                n[key]++
                x = $1 - half
                y = $4 - at[key]
                sx[key] += x; sy[key] += y
                sxx[key] += x * x; sxy[key] += x * y
            }
            now[key] = $4
            t[key] = $1
            if ($1 > end) end = $1
        }
        END {
            for (key in now) {
                if (!seen[key] || t[key] < end || !n[key]) continue
                split(key, k, " ")
                d = n[key] * sxx[key] - sx[key] ^ 2
                slope = d > 0 ? (n[key] * sxy[key] - sx[key] * sy[key]) / d : 0
                first = at[key] > 0 ? at[key] : 1
                print k[1], at[key], now[key], slope * 3600 / first * 100, n[key]
            }
        }' "$run/rss.csv"
}

# The names of all processes that a run has.
expected() {
    local i
    echo learner
    for ((i = 0; i < shards; i++)); do echo "shard-$i"; done
    if [[ -n $simulated ]]; then
        echo actor-all
    else
        for ((i = 0; i < actors; i++)); do echo "actor-$i"; done
    fi
}

# Why rss.csv cannot say that nothing grew, or nothing. growth() on stdin.
unseen_memory() {
    local end lacking
    end=$(tail -n +2 "$run/rss.csv" | tail -n 1 | cut -d, -f1)
    if [[ -z $end ]]; then
        echo 'rss.csv is empty'
    elif ((end < seconds - 2 * memory_every)); then
        echo "rss.csv ends at $end s of $seconds s"
    elif [[ ! $shards =~ ^[0-9]+$ ]]; then
        echo 'how many shards there were is not known'
    else
        lacking=$(awk -v names="$(expected)" -v least="$least_samples" '
            { n[$1] = $5 }
            END {
                m = split(names, name, "\n")
                for (i = 1; i <= m; i++) {
                    if (n[name[i]] >= least) continue
                    lack++
                    list = list " " name[i] " " n[name[i]] + 0
                }
                if (lack) print lack " of " m ":" substr(list, 1, 200)
            }')
        [[ -z $lacking ]] || echo "processes with fewer than $least_samples" \
            "samples from half time to the end, $lacking"
    fi
}

report_memory() {
    local grown steep unseen all
    echo
    all=$(growth)
    [[ -z $all ]] || awk '
        { role = $1; sub(/-.*/, "", role); n[role]++; from[role] += $2; to[role] += $3
          d = $3 - $2
          if (!(role in most) || d > most[role]) { most[role] = d; who[role] = $1 }
          if (!(role in slope) || $4 > slope[role]) slope[role] = $4 }
        END {
            for (role in n)
                printf "RssAnon %-8s %5d processes  half time %.1f MiB  end %.1f MiB  most grown %s %+d KiB  steepest %+.2f %% an hour\n",
                    role, n[role], from[role] / 1024, to[role] / 1024, who[role], most[role], slope[role]
        }' <<<"$all"
    grown=$(awk '
        { d = $3 - $2; allowed = $2 / 100 > 256 ? $2 / 100 : 256
          if (d > allowed) { n++; list = list " " $1 " +" d } }
        END { if (n) print n " processes:" substr(list, 1, 200) }' <<<"$all")
    [[ -z $grown ]] ||
        echo "grown by more than max(256 KiB, 1 %) in the second half: $grown"
    ((seconds >= 600)) && [[ -z $faults ]] || return 0
    if [[ $interrupted == yes ]]; then
        echo 'not judged: no process grows (interrupted)'
        return
    fi
    unseen=$(unseen_memory <<<"$all")
    judge_growth 'no process grows' "$grown"
    ((seconds >= 3600)) || return 0
    steep=$(awk '$4 >= 1 { n++; list = list " " $1 " " $4 }
        END { if (n) print n " processes:" substr(list, 1, 200) }' <<<"$all")
    judge_growth 'no process grows by 1 % an hour' "$steep"
}

judge_growth() { # claim, who does; $unseen: why nobody knows
    if [[ -n $2 ]]; then
        judge no "$1: $2"
    elif [[ -n $unseen ]]; then
        judge no "$1: not known, $unseen"
    else
        judge ok "$1 ($(expected | wc -l) processes, half time to the end)"
    fi
}

# -- all of it --

# What --report needs again.
keep_facts() {
    local name
    printf '%s\n' "${final-}" >"$run/status.txt"
    for name in actors seconds simulated faults audit served_most early \
        interrupted; do
        echo "$name ${!name}"
    done >"$run/facts.txt"
}

recall_facts() {
    local name value
    run=$(existing_run "$reported") || exit 2
    [[ -e $run/facts.txt && -d $run/replay ]] ||
        refuse "$reported was not kept: run deploy/stress.sh with --keep"
    final=$(<"$run/status.txt")
    interrupted=unknown # to runs kept before it was noted
    shards=$(option_of "$run/launch.ini" shards)
    while read -r name value; do
        declare -g "$name=$value"
    done <"$run/facts.txt"
    memory_period
}

report() {
    local text=$final own verdict
    echo
    if [[ -n $simulated ]]; then
        own=$(grep -v -- '^----' "$run/logs/actor-all.log")
        latencies 'inserts, all with parameters' insert "$own"
        latencies 'pulls, all with parameters' pull "$own"
        echo "held back (no room, or not yet joined): $(value_of held_batches \
            <<<"$own") batches"
    else
        latencies 'inserts' insert "$text"
        latencies 'pulls' pull "$text"
    fi
    latencies 'minibatches' sample "$text"
    awk -F, 'NR > 1 && $4 > 0 { n++; s += $4; u += $5 }
        END { if (n) printf "throughput: %.0f rows/s stored, %.0f updates/s\n", s / n, u / n }' \
        "$run/stress.csv"
    awk '$1 == "shard" { for (i = 5; i < NF; i += 2) v[$i] += $(i + 1) }
        END { printf "stored %d  duplicate batches asked again %d  refused %d  busy %d (shards, since each last started)\n",
            v["stored"], v["duplicates"], v["refused"], v["busy"] }' <<<"$text"
    report_memory
    echo
    [[ -z $early ]] || judge no "the run lasted: $early"
    report_progress
    report_ends
    if ((served_most >= actors)); then
        judge ok "every actor was served parameters ($served_most)"
    else
        judge no "every actor was served parameters: $served_most of $actors"
    fi
    [[ -n $audit ]] || return
    if verdict=$("$run/bin/softq-replay" "--audit=$run" \
        "--ledger=$run/ledger" 2>&1); then
        judge ok 'every acknowledged row is stored'
    else
        judge no 'every acknowledged row is stored'
    fi
    echo "$verdict" >"$run/audit.txt"
    grep -E '^(sent_rows|acked_rows|missing_rows|altered_rows|duplicate_batches|overwritten_batches) ' \
        "$run/audit.txt" | tr '\n' ' '
    echo
    [[ -z $failed ]] || head -n 20 "$run/audit.txt"
}
