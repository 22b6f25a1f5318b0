#!/bin/bash
# What a live run is doing.
#
#   deploy/status.sh RUN|ADDRESS [--keys=DIR]
#
# A run's keys are found by its config.ini; an address may need them.
# Exit status: the learner's.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

case ${1-} in
--help | -h) help "$0" ;;
'' | -*) refuse 'usage: deploy/status.sh RUN|ADDRESS [--keys=DIR]' ;;
esac
exec "$(program "$1" softq-learner)" "--status=$1" "${@:2}"
