#!/bin/bash
# The multigoal task by three methods side by side, in one figure: soft
# Q-learning, its variant with particles in action space (as the released code),
# and DDPG. Above: paths from the origin; below: Q there, with sampled actions.
#
#   deploy/compare.sh [--folder=FOLDER] [--name=value ...]
#
# Trains each by deploy/local.sh and its multigoal preset into
# FOLDER/{sql,action,ddpg} (FOLDER: runs/compare-TIME), one after the other in
# about four minutes on two cores, and draws FOLDER/compare.png. A run that is
# there already is not trained again. Options are those of deploy/local.sh; all
# three explore by Ornstein-Uhlenbeck noise unless --exploration says otherwise.
#
# Exit status: 0, or that of the first training that failed.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

folder='' options=()
while (($#)); do
    case $1 in
    --help | -h) help "$0" ;;
    --folder=*) folder=${1#*=} ;;
    --run?dir* | --algorithm* | --svgd?space* | --resume* | --task*)
        refuse "${1%%=*} is not for a comparison" ;;
    --*) options+=("$1") ;;
    *) refuse "what is $1? Write --name=value" ;;
    esac
    shift
done
printf -v stamp '%(%Y%m%d-%H%M%S)T' -1
folder=${folder:-runs/compare-$stamp}
mkdir -p -- "$folder" || exit 2
case $folder in *"'"*) refuse "gnuplot cannot take the ' in $folder" ;; esac

train() { # name, its own options
    local name=$1
    shift
    [[ ! -e $folder/$name/evaluation.json ]] || return 0
    say "$name"
    "$here/local.sh" multigoal "--run_dir=$folder/$name" --exploration=ou "$@" \
        "${options[@]}"
}

train sql --algorithm=sql --svgd_space=presquash || exit
train action --algorithm=sql --svgd_space=action || exit
train ddpg --algorithm=ddpg || exit

command -v gnuplot >/dev/null || refuse 'gnuplot is missing (Debian: gnuplot-nox)'
out=$folder/compare.png
said=$(gnuplot -e "style='$here/plot/style.gp'; out='$out'; folder='$folder'" \
    "$here/plot/compare.gp" 2>&1)
if [[ $? != 0 || ! -s $out ]]; then
    say "$out was not drawn: ${said:-gnuplot says nothing}"
    exit 1
fi
echo "figure in $out"
