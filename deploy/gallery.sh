#!/bin/bash
# One picture of every task, and all of them on one sheet.
#
#   deploy/gallery.sh [FOLDER] [--no-install] [--name=value ...]
#
# Draws FOLDER/gallery.png (FOLDER: of a checkout its figures, else ./figures)
# from a picture a task, each a moment into an episode of random actions. With
# --keep the pictures themselves stay beside it, as FOLDER/TASK.png. Options are
# those of `softq-actor --help`, e.g. --seed=2 --picture_after=0.5. Installs what
# is missing (Debian packages; --no-install: refuses instead).
#
# Exit status: 0, or 1 when a picture could not be drawn.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

across=4 # pictures in a row
side=320 # of a picture on the sheet, pixels

folder=${installed:+figures} install=() keep='' options=()
for argument; do
    case $argument in
    --help | -h) help "$0" ;;
    --no[-_]install) install=(--no-install) ;;
    --keep) keep=yes ;;
    --*) options+=("$argument") ;;
    *) folder=$argument ;;
    esac
done
folder=${folder:-$here/figures}
actor=$(built softq-actor)
[[ -x $actor ]] || refuse "there is no $actor: build first (ninja -C build)"
"$here/install.sh" "${install[@]}" --video || exit 2
mkdir -p -- "$folder" || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf -- "$work"' EXIT

failed=0 n=0
for task in $("$actor" --list_tasks | awk '{ print $1 }'); do
    if "$actor" --task="$task" --picture="$work/$task.png" "${options[@]}"; then
        ln -s "$task.png" "$(printf '%s/%03d.png' "$work" "$n")"
        [[ -z $keep ]] || cp -- "$work/$task.png" "$folder/" || exit 2
        n=$((n + 1))
    else
        failed=1
    fi
done
((n)) || refuse 'there is no picture to show'

# few colours make a small file
ffmpeg -nostdin -loglevel error -y -i "$work/%03d.png" -frames:v 1 -vf \
    "scale=$side:-2:flags=area,tile=${across}x$(((n + across - 1) / across)):padding=4:color=white,split[a][b];[a]palettegen=max_colors=128:stats_mode=full[p];[b][p]paletteuse=dither=none" \
    "$work/gallery.png" || refuse 'the sheet could not be put together'
mv -f -- "$work/gallery.png" "$folder/" || exit 2
echo "$folder/gallery.png: $n tasks, $(stat -c %s "$folder/gallery.png") bytes"
exit "$failed"
