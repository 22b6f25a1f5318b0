#!/bin/bash
# Draws a run's figures from its files into RUN/figures, each as PNG and as SVG:
# learning, for the multigoal task trajectories and q, for others path, and where
# the paper judges a task by a number of its own (the farthest it came, the
# nearest to its target ...) statistic. What must be played for them and is
# missing or of an older checkpoint is played first.
#
#   deploy/plot.sh RUN [RUN ...]
#   deploy/plot.sh --curves=FOLDER RUN [RUN ...]    only those, into FOLDER
#
# Further runs of the same task are lines of the first one's statistic. Several
# runs are also drawn as curves: mean return, with one standard deviation over
# the runs that differ in their seed alone, a colour for each setting. Curves are
# those of the evaluators (RUN/evaluations.csv) where all runs have some, else of
# the training episodes.
#
# Exit status: 0, or 1 when a figure could not be drawn.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

shown=100

draw() { # script, figure's path without its end, gnuplot's assignments
    local out said
    for out in "$2.png" "$2.svg"; do
        said=$(setpriv --pdeathsig TERM -- gnuplot \
            -e "style='$here/plot/style.gp'; out='$out'; shown=$shown; task='$task'; $3" \
            "$here/plot/$1.gp" 2>&1)
        # gnuplot may complain and still end with 0
        if [[ $? != 0 || ! -s $out ]]; then
            say "$out was not drawn: ${said:-gnuplot says nothing}"
            failed=1
        else
            echo "$out"
        fi
    done
}

# The settings of each run but for its seed, where the runs differ: a line a run,
# "alpha = 0.1; algorithm = ddpg" or "all".
write_settings() { # run...
    awk -F ' *= *' '
        FNR == 1 { n++ }
        /^[a-z]/ && $1 != "seed" {
            value[n, $1] = $2
            if (!($1 in first)) { first[$1] = $2; order[++m] = $1 }
            else if (first[$1] != $2) differs[$1] = 1
        }
        END {
            for (i = 1; i <= n; i++) {
                text = ""
                for (j = 1; j <= m; j++)
                    if (order[j] in differs)
                        text = text (text == "" ? "" : "; ") order[j] " = " \
                            value[i, order[j]]
                print text == "" ? "all" : text
            }
        }' "${@/%//config.ini}"
}

# Has every run two evaluations to draw a line by?
evaluated() { # run...
    local r n
    for r; do
        n=$(grep -c '^[0-9]' "$r/evaluations.csv" 2>/dev/null)
        ((${n:-0} >= 2)) || return
    done
}

# A run's table of steps and returns; evaluations end in another order than
# their parameters'.
write_returns() { # run, its table
    head -n 1 -- "$1/$2" && tail -n +2 -- "$1/$2" | sort -t, -s -k2,2n
}

# What the tables' returns are, for a figure's title.
describe_returns() { # run, its table
    if [[ $2 == evaluations.csv ]]; then
        echo "mean return of $(tail -n 1 "$1/$2" | cut -d, -f5) evaluation episodes"
    else
        echo 'mean return of the last 100 training episodes'
    fi
}

# Runs of one setting on one axis: a block a setting, its first line its name,
# then steps, mean return, and that less and plus a standard deviation.
write_curves() { # table, run...
    local r i=0 settings table=$1
    shift
    mapfile -t settings < <(write_settings "$@")
    for r; do
        write_returns "$r" "$table" | awk -F, -v setting="${settings[i]}" \
            -v run="$r" '
            NR == 1 { for (k = 1; k <= NF; k++) at[$k] = k; next }
            $at["mean_return"] ~ /^[-0-9]/ {
                print setting "\t" run "\t" $at["steps"] "\t" $at["mean_return"]
            }'
        i=$((i + 1))
    done | awk -F '\t' -f "$here/plot/curves.awk"
}

draw_curves() { # folder, run...
    local folder=$1 table=progress.csv
    shift
    ! evaluated "$@" || table=evaluations.csv
    write_curves "$table" "$@" >"$folder/curves.csv"
    if grep -q '^[0-9]' "$folder/curves.csv"; then
        draw curves "$folder/curves" "data='$folder/curves.csv'; \
            what='$(describe_returns "$1" "$table")'"
    else
        say 'curves were not drawn: no episode has ended yet'
        failed=1
    fi
}

count_episodes() { # of a trace file, at most `shown`
    awk -F, -v most="$shown" 'NR > 1 && NF && $1 < most { seen[$1] = 1 }
        END { n = 0; for (e in seen) n++; print n }' "$1"
}

# What a task's model shows from above, one a line: wall,x,y,half x,half y,
# target,x,y,0,0 or threshold,m,0,0,0.
read_model() { # task
    local folder
    folder=$(option_of "$run/config.ini" models)
    awk '
        function attribute(name) {
            return match($0, name "=\"[^\"]*\"") ? substr($0, \
                RSTART + length(name) + 2, RLENGTH - length(name) - 3) : ""
        }
        { split(attribute("pos"), at, " "); split(attribute("size"), half, " ") }
        / class="wall"/ { print "wall," at[1] "," at[2] "," half[1] "," half[2] }
        / name="target"/ { print "target," at[1] "," at[2] ",0,0" }
        / name="threshold"/ { print "threshold," attribute("data") ",0,0,0" }
    ' "${folder:-$models_folder}/$1.xml" 2>/dev/null
}

# The first of the task's numbers that a figure of the paper shows, or nothing.
statistic_of() { # evaluation.json
    local name
    for name in max_forward min_distance net_displacement; do
        [[ -z $(number_of "$1" "mean_$name") ]] || echo "$name"
    done | head -n 1
}

# method,steps,value by runs, a line between two: a farthest and a nearest are
# those so far, the others are means of the episodes since the row before.
write_statistic() { # name, run...
    local name=$1 column=stat_mean r method
    shift
    case $name in
    max_*) column=stat_greatest ;;
    min_*) column=stat_least ;;
    esac
    for r; do
        method=$(option_of "$r/config.ini" algorithm)
        awk -F, -v column="$column" -v name="$name" -v method="$method" '
            NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
            !at[column] || $at[column] == "" { next }
            { x = $at[column] }
            seen && name ~ /^max_/ && x + 0 < best + 0 { x = best }
            seen && name ~ /^min_/ && x + 0 > best + 0 { x = best }
            { seen = 1; best = x
                print (method == "ddpg") "," $at["steps"] "," x }
            END { print "" }
        ' "$r/progress.csv"
    done
}

# Into how many of 8 sectors the episodes of a trace file went, those that came
# a metre far.
count_sectors() {
    awk -F, -v most="$shown" '
        NR == 1 || !NF || $1 >= most { next }
        $2 == 0 { x[$1] = $3; y[$1] = $4 }
        { dx[$1] = $3 - x[$1]; dy[$1] = $4 - y[$1] }
        END {
            for (e in dx)
                if (dx[e] ^ 2 + dy[e] ^ 2 >= 1) {
                    turn = atan2(dy[e], dx[e]) / 6.283185307179586 + 1
                    sector[int(8 * turn + 0.5) % 8] = 1
                }
            for (s in sector) n++
            print n + 0
        }' "$1"
}

curves=''
case ${1-} in
--help | -h) help "$0" ;;
--curves=?*)
    curves=${1#*=}
    [[ -d $curves ]] || refuse "there is no folder $curves"
    shift
    ;;
esac
case ${1-} in
'' | -*) refuse 'usage: deploy/plot.sh [--curves=FOLDER] RUN [RUN ...]' ;;
esac
runs=()
for run; do
    run=$(existing_run "$run") || exit 2
    case $run in *"'"*) refuse "gnuplot cannot take the ' in $run" ;; esac
    runs+=("$run")
done
command -v gnuplot >/dev/null || refuse 'gnuplot is missing (Debian: gnuplot-nox)'
run=${runs[0]}
data=$run/figures/data
task=$(option_of "$run/config.ini" task)
for other in "${runs[@]}"; do
    [[ $(option_of "$other/config.ini" task) == "$task" ]] ||
        refuse "one task a figure: $other is not $task"
done
failed=0
if [[ -n $curves ]]; then
    draw_curves "$curves" "${runs[@]}"
    exit $failed
fi
mkdir -p -- "$data" || exit 2

# learning curve: a composition plays nothing while it learns
if [[ $(option_of "$run/config.ini" algorithm) == compose ]]; then
    :
elif (($(wc -l <"$run/progress.csv" 2>/dev/null || echo 0) > 2)); then
    random=$(number_of "$run/evaluation-random.json" mean_return)
    table=progress.csv
    ! evaluated "$run" || table=evaluations.csv
    write_returns "$run" "$table" >"$data/returns.csv"
    draw learning "$run/figures/learning" "data='$data/returns.csv'; \
        what='$(describe_returns "$run" "$table")'; table='$table'; random='$random'"
else
    say 'learning was not drawn: progress.csv holds no two lines'
    failed=1
fi

((${#runs[@]} == 1)) || draw_curves "$run/figures" "${runs[@]}"

# what the policy does
newest=$(newest_checkpoint "$run")
if [[ -n $newest && ! $data/traces.csv -nt $newest ]]; then
    "$here/evaluate.sh" "$run" >/dev/null || failed=1
fi
if [[ ! -s $data/traces.csv ]]; then
    say 'no trace to draw: there is no checkpoint yet'
    exit 1
fi
shown=$(count_episodes "$data/traces.csv")
if [[ $task == multigoal ]]; then
    reward=$(option_of "$run/config.ini" multigoal_reward)
    draw trajectories "$run/figures/trajectories" "data='$data/traces.csv'; reward='$reward'"
    draw q "$run/figures/q" "folder='$data'"
else
    read_model "$task" >"$data/model.csv"
    statistic=$(statistic_of "$run/evaluation.json")
    sectors=''
    [[ $statistic != net_displacement ]] ||
        sectors=$(count_sectors "$data/traces.csv")
    draw paths "$run/figures/path" "data='$data/traces.csv'; model='$data/model.csv'; \
        sectors='$sectors'"
    [[ -z $statistic ]] ||
        write_statistic "$statistic" "${runs[@]}" >"$data/statistic.csv"
    # a run of before progress.csv had it has none
    if [[ -n $statistic ]] && grep -q , "$data/statistic.csv"; then
        line=$(sed -n 's/^threshold,\([^,]*\).*/\1/p' "$data/model.csv")
        random=$(number_of "$run/evaluation-random.json" "mean_$statistic")
        draw statistic "$run/figures/statistic" "data='$data/statistic.csv'; \
            statistic='$statistic'; line='$line'; random='$random'"
    fi
fi
exit $failed
