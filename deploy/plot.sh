#!/bin/bash
# Draws a run's figures from its files into RUN/figures: learning.png, for the
# multigoal task trajectories.png and q.png, for others path.png. What must be
# played for them and is missing or of an older checkpoint is played first.
#
#   deploy/plot.sh RUN
#
# Exit status: 0, or 1 when a figure could not be drawn.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

shown=100

draw() { # script, out, gnuplot's assignments
    local out=$run/figures/$2 said
    said=$(setpriv --pdeathsig TERM -- gnuplot \
        -e "style='$here/plot/style.gp'; out='$out'; shown=$shown; task='$task'; $3" \
        "$here/plot/$1.gp" 2>&1)
    # gnuplot may complain and still end with 0
    if [[ $? != 0 || ! -s $out ]]; then
        say "$2 was not drawn: ${said:-gnuplot says nothing}"
        failed=1
    else
        echo "$out"
    fi
}

count_episodes() { # of a trace file, at most `shown`
    awk -F, -v most="$shown" 'NR > 1 && NF && $1 < most { seen[$1] = 1 }
        END { n = 0; for (e in seen) n++; print n }' "$1"
}

case ${1-} in
--help | -h) help "$0" ;;
'' | -*) refuse 'usage: deploy/plot.sh RUN' ;;
esac
run=$(existing_run "$1") || exit 2
command -v gnuplot >/dev/null || refuse 'gnuplot is missing (Debian: gnuplot-nox)'
case $run in *"'"*) refuse "gnuplot cannot take the ' in $run" ;; esac
data=$run/figures/data
task=$(option_of "$run/config.ini" task)
mkdir -p -- "$data" || exit 2
failed=0

# learning curve: a composition plays nothing while it learns
if [[ $(option_of "$run/config.ini" algorithm) == compose ]]; then
    :
elif (($(wc -l <"$run/progress.csv" 2>/dev/null || echo 0) > 2)); then
    random=$(number_of "$run/evaluation-random.json" mean_return)
    draw learning learning.png "data='$run/progress.csv'; random='$random'"
else
    say 'learning.png was not drawn: progress.csv holds no two lines'
    failed=1
fi

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
    draw trajectories trajectories.png "data='$data/traces.csv'; reward='$reward'"
    draw q q.png "folder='$data'"
else
    draw paths path.png "data='$data/traces.csv'"
fi
exit $failed
