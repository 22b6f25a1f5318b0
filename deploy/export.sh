#!/bin/bash
# Writes a run's newest checkpoint for other programs: sampler.onnx, q.onnx and
# sampler.h (a C header without dependencies).
#
#   deploy/export.sh RUN [FOLDER] [--name=value ...]
#
# FOLDER: RUN/export unless given. --checkpoint=FILE: another checkpoint.
# Exit status: 0, or 2 with one line that says why not.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

case ${1-} in
--help | -h) help "$0" ;;
'' | -*) refuse 'usage: deploy/export.sh RUN [FOLDER] [--name=value ...]' ;;
esac
run=$(existing_run "$1") || exit 2
shift
arguments=("--export=$run")
case ${1-} in
'' | -*) ;;
*)
    arguments+=("--out=$1")
    shift
    ;;
esac
actor=$(program "$run" softq-actor)
# the run's own may be from before there were exports
"$actor" --help 2>/dev/null | grep -q -- --export || actor=$(built softq-actor)
exec "$actor" "${arguments[@]}" "$@"
