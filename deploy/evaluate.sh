#!/bin/bash
# Plays a run's newest checkpoint: table, evaluation.json and what the figures
# are drawn from (RUN/figures/data).
#
#   deploy/evaluate.sh RUN [--name=value ...]      e.g. --episodes=1000
#   deploy/evaluate.sh RUN --video=auto            films it, into RUN/video
#
# For --video and --picture it installs what is missing (Debian packages;
# --no-install: refuses instead).
# Exit status: the evaluation's.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

case ${1-} in
--help | -h) help "$0" ;;
'' | -*) refuse 'usage: deploy/evaluate.sh RUN [--name=value ...]' ;;
esac
run=$(existing_run "$1") || exit 2
shift
data=$run/figures/data
mkdir -p -- "$data" || exit 2

arguments=("--evaluate=$run" "--traces=$data/traces.csv")
episodes=$(option_of "$run/config.ini" evaluation_episodes)
[[ -z $episodes ]] || arguments+=("--episodes=$episodes")
if [[ $(option_of "$run/config.ini" task) == multigoal ]]; then
    arguments+=("--q_figure=$data" "--q_states=-2.5,0:0,0:2.5,2.5")
fi
films='' install=() options=()
for option; do
    case $option in
    --no[-_]install) install=(--no-install) ;;
    *) options+=("$option") ;;&
    --video=?* | --video | --picture=?* | --picture) films=yes ;;
    esac
done
[[ -z $films ]] || "$here/install.sh" "${install[@]}" --video || exit 2

# it dies with us: nothing else could tell it
exec setpriv --pdeathsig TERM -- "$(program "$run" softq-actor)" \
    "${arguments[@]}" "${options[@]}"
