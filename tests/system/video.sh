#!/bin/bash
# Videos and pictures: a short run of the swimmer is filmed without a screen.
# What needs OpenGL or ffmpeg is skipped where they are not.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

actor=$(program softq-actor)
run=$work/run
# Mesa keeps what it allocates
export ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0

short=(--no-install --warmup=200 --units=16 --value_particles=4
    --particles_fixed=2 --particles_moved=2 --minibatch=16 --max_updates=20
    --horizon=50 --evaluation_episodes=2 --progress=none)

film() { # file, further options
    local file=$1
    shift
    "$actor" --evaluate="$run" --video="$file" --video_size=160x120 \
        --episodes=1 "$@" >"$work/out" 2>"$work/err" </dev/null
}

facts() { # file: codec,width,height,rate,seconds,frames
    ffprobe -v error -count_frames -of csv=p=0 -select_streams v -show_entries \
        stream=codec_name,width,height,r_frame_rate,duration,nb_read_frames "$1"
}

trains() {
    "$root/deploy/local.sh" swimmer "${short[@]}" --run_dir="$run" \
        >"$work/out" 2>&1 </dev/null || not_ok a_short_run "$(tail -n 3 "$work/out")"
}

# Status 2 and one line with the word; no file of that name, nor half of one.
refuses() { # name, word, command...
    local name=$1 word=$2 status
    shift 2
    "$@"
    status=$?
    if [[ $status != 2 || $(grep -c . "$work/err") != 1 ]] ||
        ! grep -qF -- "$word" "$work/err"; then
        not_ok "$name" "status $status, not one line with '$word': \
$(head -c 300 "$work/err")"
    elif compgen -G "$work/no*" >/dev/null; then
        not_ok "$name" "it leaves $(echo "$work"/no*)"
    else
        ok "$name"
    fi
}

without_ffmpeg() {
    PATH=$work/without film "$work/no.mp4"
}

without_opengl() {
    LD_LIBRARY_PATH=$work/broken film "$work/no.mp4"
}

mistakes_are_one_line() {
    refuses "a_wrong_camera_lists_the_right_ones" 'track, follow' \
        film "$work/no.mp4" --camera=nowhere
    refuses "a_size_is_refused_with_its_range" '[16, 4096]' \
        film "$work/no.mp4" --video_size=161x120
    refuses "another_ending_is_refused" '.mp4' film "$work/no.avi"
    mkdir "$work/without" "$work/broken"
    refuses "no_ffmpeg_is_said" 'package ffmpeg' without_ffmpeg
    : >"$work/broken/libEGL.so.1"
    : >"$work/broken/libOSMesa.so.8"
    refuses "no_opengl_is_said" libegl1 without_opengl
}

# A picture of a task needs no run; whether one can be drawn here at all.
can_draw() {
    "$actor" --task=swimmer --picture="$work/swimmer.png" \
        --video_size=160x120 2>"$work/err"
}

same() { # name, what is right, what is there
    if [[ $3 == "$2" ]]; then
        ok "$1"
    else
        not_ok "$1" "$3, not $2: $(cat "$work/out" "$work/err")"
    fi
}

a_video_plays_in_real_time() {
    # 50 steps of 0.04 s and the start, half a second of the last: 64 an episode
    film "$work/a.mp4" --video_episodes=2
    same "${FUNCNAME[0]}" h264,160,120,25/1,5.120000,128 \
        "$(facts "$work/a.mp4" 2>&1)"
    # the same 2 s at half the rate: 26 frames and 7
    film "$work/b.mp4" --video_episodes=1 --video_rate=12.5
    same "${FUNCNAME[0]} at another rate" h264,160,120,25/2,2.640000,33 \
        "$(facts "$work/b.mp4" 2>&1)"
    same the_evaluation_is_there_too 1 \
        "$(awk '$1 == "episodes" { print $2 }' "$work/out")"
}

evaluate_sh_puts_it_into_the_run() {
    "$root/deploy/evaluate.sh" "$run" --no-install --video=auto \
        --video_episodes=1 --episodes=1 --video_size=160x120 \
        --horizon=5 >"$work/out" 2>"$work/err" </dev/null
    same "${FUNCNAME[0]}" h264,160,120,25/1,0.760000,19 \
        "$(facts "$(echo "$run"/video/*.mp4)" 2>&1)"
}

ctrl_c_leaves_nothing() {
    local pid status
    env --default-signal=INT "$actor" --evaluate="$run" --episodes=1 \
        --video="$work/c.mp4" --horizon=100000 >"$work/out" 2>&1 </dev/null &
    pid=$!
    within 60 test -e "$work/c.part.mp4"
    kill -INT "$pid"
    within 30 ended "$pid" || kill -9 "$pid"
    wait "$pid"
    status=$?
    if [[ $status != 130 ]]; then
        not_ok "${FUNCNAME[0]}" "status $status: $(<"$work/out")"
    elif compgen -G "$work/c.*" >/dev/null; then
        not_ok "${FUNCNAME[0]}" "it leaves $(echo "$work"/c.*)"
    else
        ok "${FUNCNAME[0]}"
    fi
}

# A limit on a file's size stands for a full disk.
a_full_disk_is_one_line() {
    refuses "${FUNCNAME[0]}" 'ffmpeg' full
}

full() {
    (
        ulimit -f 1
        film "$work/no.mp4" --video_size=640x480
    )
}

every_task_has_a_picture() {
    if "$root/deploy/gallery.sh" "$work/gallery" --no-install \
        --video_size=160x120 >"$work/out" 2>"$work/err" &&
        [[ $(ffprobe -v error -of csv=p=0 -show_entries stream=width \
            "$work/gallery/gallery.png") -ge 1280 ]]; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(cat "$work/out" "$work/err")"
    fi
}

trains
if ! command -v ffmpeg >/dev/null; then
    skip video "there is no ffmpeg"
elif ! can_draw && grep -q 'nothing to draw with' "$work/err"; then
    skip video "$(<"$work/err")"
else
    mistakes_are_one_line
    a_video_plays_in_real_time
    evaluate_sh_puts_it_into_the_run
    a_full_disk_is_one_line
    ctrl_c_leaves_nothing
    every_task_has_a_picture
fi
summary
