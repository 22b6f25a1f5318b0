#!/bin/bash
# What a live run is doing.
#
#   deploy/status.sh RUN|ADDRESS
#
# Exit status: the learner's.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

case ${1-} in
--help | -h) help "$0" ;;
'' | -*) refuse 'usage: deploy/status.sh RUN|ADDRESS' ;;
esac
exec "$(program "$1" softq-learner)" "--status=$1"
