#!/bin/bash
# What a live run is doing: in words who waits for whom and what is not as it
# should be, then the counters behind it.
#
#   deploy/status.sh RUN|ADDRESS             once
#   deploy/status.sh RUN|ADDRESS --watch     again every two seconds, to Ctrl-C
#   deploy/status.sh RUN|ADDRESS --table     counters only, a `name value` a line
#
# RUN is a run's folder on this host, ADDRESS what its actors join
# (tcp://HOST:5550). A run's keys are found by its config.ini; for an address
# --keys=DIR names them. Exit status: the learner's; 2 when none answers.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

usage='usage: deploy/status.sh RUN|ADDRESS [--watch | --table] [--keys=DIR]'
whom='' form=words keys=()
for argument; do
    case $argument in
    --help | -h) help "$0" ;;
    --watch | --table) form=${argument#--} ;;
    --keys=?*) keys=("$argument") ;;
    -*) refuse "$argument is no option; $usage" ;;
    *) [[ -z $whom ]] || refuse "$usage" && whom=$argument ;;
    esac
done
[[ -n $whom ]] || refuse "$usage"
learner=$(program "$whom" softq-learner)

words() {
    local table
    table=$("$learner" "--status=$whom" "${keys[@]}") || return
    sed -n 's/^why //p' <<<"$table" | fold -s -w "${COLUMNS:-100}"
    echo
    grep -v '^why ' <<<"$table"
}

case $form in
table) exec "$learner" "--status=$whom" "${keys[@]}" ;;
words) words ;;
watch)
    while text=$(words); do
        printf '\e[H\e[J%s\n' "$text"
        sleep 2
    done
    ;;
esac
