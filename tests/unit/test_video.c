#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actor/video.h"
#include "tests/unit/test.h"

enum { W = 16, H = 16, BYTES = 3 * W * H };
static const volatile sig_atomic_t go = 0, stop = 1;

/* A folder with an ffmpeg of our own, the only one in the path. */
struct folder {
    char path[64], file[96], part[96];
    char *before; /* PATH */
};

static int set_up(void **state) {
    struct folder *folder = calloc(1, sizeof(*folder));
    assert_non_null(folder);
    strcpy(folder->path, "/tmp/softq-video-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->file, sizeof(folder->file), "%s/a.mp4", folder->path);
    snprintf(folder->part, sizeof(folder->part), "%s/a.part.mp4", folder->path);
    const char *before = getenv("PATH");
    folder->before = strdup(before ? before : "/usr/bin:/bin");
    setenv("PATH", folder->path, 1);
    *state = folder;
    return 0;
}

static int tear_down(void **state) {
    struct folder *folder = *state;
    char command[128];
    setenv("PATH", folder->before, 1);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder->path);
    assert_int_equal(system(command), 0);
    free(folder->before);
    free(folder);
    return 0;
}

/* body has the output's name in $out, and the usual programs. */
static void ffmpeg_is(const struct folder *folder, const char *body) {
    char path[96];
    snprintf(path, sizeof(path), "%s/ffmpeg", folder->path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\nPATH=/usr/bin:/bin\nfor out; do :; done\n%s\n",
            body);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0700), 0);
}

static off_t size_of(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 ? info.st_size : -1;
}

static int open_here(struct video *video, const struct folder *folder,
                     char why[256]) {
    memset(why, 0, 256);
    return video_open(video, folder->file, W, H, 25.0, why, 256);
}

/* Even numbers in the range are a size, and nothing else is. */
static void a_size_is_two_even_numbers(void **unused) {
    (void)unused;
    static const char *const wrong[] = {
        "",         "640",      "640x",     "640x481", "641x480", "14x480",
        "640x480 ", "640x4098", "-640x480", "640*480", "axb"};
    size_t w = 0, h = 0;
    assert_int_equal(video_size("640x480", &w, &h), 0);
    assert_int_equal(w, 640);
    assert_int_equal(h, 480);
    assert_int_equal(video_size("16x4096", &w, &h), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_int_equal(video_size(wrong[i], &w, &h), -EINVAL);
}

/* A frame a step, up to 60 a second: of faster ones every second, third ... */
static void a_rate_fits_the_step(void **unused) {
    (void)unused;
    assert_close((float)video_rate(0.2), 5.0f, 1e-4f);
    assert_close((float)video_rate(0.04), 25.0f, 1e-4f);
    assert_close((float)video_rate(1.0 / 60.0), 60.0f, 1e-4f);
    assert_close((float)video_rate(0.015), 33.33333f, 1e-4f);
    assert_close((float)video_rate(0.008), 41.66667f, 1e-4f);
}

/* One frame a step at the step's own rate; at others real time is kept. */
static void frames_keep_the_time(void **unused) {
    (void)unused;
    for (uint64_t step = 0; step <= 1000; step++) {
        assert_int_equal(video_due(step, 0.04, 1.0 / 0.04), step + 1);
        assert_int_equal(video_due(step, 0.015, 1.0 / 0.015), step + 1);
    }
    assert_int_equal(video_due(0, 0.04, 50.0), 1);
    assert_int_equal(video_due(1, 0.04, 50.0), 3);
    assert_int_equal(video_due(1, 0.04, 20.0), 1);
    assert_int_equal(video_due(5, 0.04, 20.0), 5);
    assert_int_equal(video_due(1000, 0.015, 30.0), 451);
}

/* The unfinished file lies beside the finished one and ends alike. */
static void an_unfinished_file_has_another_name(void **unused) {
    (void)unused;
    char part[64];
    assert_int_equal(video_part(part, sizeof(part), "a/b.mp4"), 0);
    assert_string_equal(part, "a/b.part.mp4");
    assert_int_equal(video_part(part, sizeof(part), "x.y.png"), 0);
    assert_string_equal(part, "x.y.part.png");
    assert_int_equal(video_part(part, sizeof(part), "a.avi"), -EINVAL);
    assert_int_equal(video_part(part, sizeof(part), ".mp4"), -EINVAL);
    assert_int_equal(video_part(part, 8, "a/b.mp4"), -ENAMETOOLONG);
}

/* Without ffmpeg the package is named. */
static void no_ffmpeg_is_said(void **state) {
    struct video video;
    char why[256];
    assert_int_equal(open_here(&video, *state, why), -ENOENT);
    assert_non_null(strstr(why, "package ffmpeg"));
    video_abandon(&video);
}

/* Every byte arrives, and the file has its name only when it is closed. */
static void a_whole_video_gets_its_name(void **state) {
    const struct folder *folder = *state;
    struct video video;
    unsigned char frame[BYTES];
    char why[256];
    memset(frame, 7, sizeof(frame));
    ffmpeg_is(folder, "cat >\"$out\"");
    assert_int_equal(open_here(&video, folder, why), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(video_write(&video, frame, &go, why, sizeof(why)), 0);
    assert_int_equal(size_of(folder->file), -1);
    assert_int_equal(video_close(&video, &go, why, sizeof(why)), 0);
    assert_int_equal(size_of(folder->file), 1000 * BYTES);
    assert_int_equal(size_of(folder->part), -1);
    assert_int_equal(video.frames, 1000);
    video_abandon(&video); // nothing is left to abandon
    assert_int_equal(size_of(folder->file), 1000 * BYTES);
}

/* What ffmpeg says when it gives up is passed on, however late. */
static void what_ffmpeg_says_is_passed_on(void **state) {
    const struct folder *folder = *state;
    struct video video;
    unsigned char frame[BYTES] = {0};
    char why[256];
    int err = 0;
    ffmpeg_is(folder, "echo half >\"$out\"; echo 'No space left' >&2; exit 1");
    assert_int_equal(open_here(&video, folder, why), 0);
    for (int i = 0; i < 100000 && !err; i++)
        err = video_write(&video, frame, &go, why, sizeof(why));
    assert_int_equal(err, -EIO);
    assert_non_null(strstr(why, "No space left"));
    video_abandon(&video);
    assert_int_equal(size_of(folder->part), -1);

    ffmpeg_is(folder, "cat >\"$out\"; echo 'late: no space' >&2; exit 1");
    assert_int_equal(open_here(&video, folder, why), 0);
    assert_int_equal(video_write(&video, frame, &go, why, sizeof(why)), 0);
    assert_int_equal(video_close(&video, &go, why, sizeof(why)), -EIO);
    assert_non_null(strstr(why, "late: no space"));
    video_abandon(&video);

    ffmpeg_is(folder, "kill -9 $$");
    assert_int_equal(open_here(&video, folder, why), 0);
    assert_int_equal(video_close(&video, &go, why, sizeof(why)), -EIO);
    assert_non_null(strstr(why, "signal 9"));
    video_abandon(&video);
    assert_int_equal(size_of(folder->file), -1);
    assert_int_equal(size_of(folder->part), -1);
}

/* Stopped, and with an ffmpeg that reads nothing, nobody waits and nothing
 * stays. */
static void stopping_leaves_nothing(void **state) {
    const struct folder *folder = *state;
    struct video video;
    unsigned char frame[BYTES] = {0};
    char why[256];
    ffmpeg_is(folder, "echo half >\"$out\"; exec sleep 600");
    assert_int_equal(open_here(&video, folder, why), 0);
    while (size_of(folder->part) != 5) usleep(1000);
    assert_int_equal(video_write(&video, frame, &stop, why, sizeof(why)),
                     -EINTR);
    assert_int_equal(video_close(&video, &stop, why, sizeof(why)), -EINTR);
    video_abandon(&video);
    assert_int_equal(size_of(folder->file), -1);
    assert_int_equal(size_of(folder->part), -1);
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_size_is_two_even_numbers),
        cmocka_unit_test(a_rate_fits_the_step),
        cmocka_unit_test(frames_keep_the_time),
        cmocka_unit_test(an_unfinished_file_has_another_name),
        cmocka_unit_test_setup_teardown(no_ffmpeg_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_whole_video_gets_its_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_ffmpeg_says_is_passed_on, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(stopping_leaves_nothing, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
