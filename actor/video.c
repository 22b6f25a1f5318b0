#include "actor/video.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LEAST = 16 /* pixels */,
    MOST_A_SECOND = 60,
    LOOK_EVERY = 100 /* ms, at *stop */
};

int video_size(const char *text, size_t *width, size_t *height) {
    unsigned w, h;
    int end = 0;
    if (sscanf(text, "%5ux%5u%n", &w, &h, &end) != 2 || text[end] != '\0' ||
        w < LEAST || w > VIDEO_MOST || h < LEAST || h > VIDEO_MOST ||
        w % 2 != 0 || h % 2 != 0)
        return -EINVAL;
    *width = w;
    *height = h;
    return 0;
}

double video_rate(double dt) {
    return 1.0 / (dt * fmax(1.0, ceil(1.0 / (dt * MOST_A_SECOND) - 1e-6)));
}

uint64_t video_due(uint64_t steps, double dt, double rate) {
    // a frame whose time is this step's, but for rounding, is due
    return 1 + (uint64_t)floor((double)steps * dt * rate + 1e-6);
}

static bool ends_in(const char *text, const char *end) {
    const size_t len = strlen(text), n = strlen(end);
    return len > n && strcmp(text + len - n, end) == 0;
}

int video_part(char *part, size_t n, const char *path) {
    if (!ends_in(path, ".mp4") && !ends_in(path, ".png")) return -EINVAL;
    const char *end = strrchr(path, '.');
    const int len =
        snprintf(part, n, "%.*s.part%s", (int)(end - path), path, end);
    return len >= 0 && (size_t)len < n ? 0 : -ENAMETOOLONG;
}

/* The first line of what ffmpeg said; empty when it said nothing. */
static void first_line(const struct video *video, char *text, size_t n) {
    const ssize_t len = pread(video->said, text, n - 1, 0);
    text[len > 0 ? len : 0] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
}

/* Why it ended as it did, by waitpid()'s status. Returns the errno. */
static int explain(const struct video *video, int status, char *why, size_t n) {
    char line[256];
    first_line(video, line, sizeof(line));
    if (WIFSIGNALED(status))
        snprintf(why, n, "%s: ffmpeg was ended by signal %d (%s)", video->path,
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(why, n, "%s: ffmpeg gave up: %s", video->path,
                 line[0] != '\0' ? line : "it does not say why");
    return -EIO;
}

static int start(struct video *video, char *const *argv, int input) {
    posix_spawn_file_actions_t files;
    if (posix_spawn_file_actions_init(&files) != 0) return -ENOMEM;
    int err = posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
    if (!err)
        err = posix_spawn_file_actions_adddup2(&files, video->said,
                                               STDERR_FILENO);
    if (!err)
        err = posix_spawn_file_actions_addopen(&files, STDOUT_FILENO,
                                               "/dev/null", O_WRONLY, 0);
    if (!err)
        err = posix_spawnp(&video->child, argv[0], &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    if (err) video->child = 0;
    return -err;
}

static int start_ffmpeg(struct video *video, size_t width, size_t height,
                        double rate, int input) {
    char size[32], per_second[32];
    snprintf(size, sizeof(size), "%zux%zu", width, height);
    snprintf(per_second, sizeof(per_second), "%.9g", rate);
    const char *const film[] = {
        "-c:v",     "libx264", "-preset",   "veryfast",   "-crf", "20",
        "-pix_fmt", "yuv420p", "-movflags", "+faststart", NULL};
    const char *const picture[] = {"-frames:v", "1", "-update", "1", NULL};
    const char *argv[40] = {
        "ffmpeg",  "-hide_banner", "-loglevel", "error",      "-nostdin",
        "-xerror", "-y",           "-f",        "rawvideo",   "-pixel_format",
        "rgb24",   "-video_size",  size,        "-framerate", per_second,
        "-i",      "pipe:0"};
    size_t n = 0;
    while (argv[n]) n++;
    for (const char *const *more = ends_in(video->path, ".png") ? picture
                                                                : film;
         *more; more++)
        argv[n++] = *more;
    argv[n] = video->part;
    return start(video, (char *const *)argv, input);
}

int video_open(struct video *video, const char *path, size_t width,
               size_t height, double rate, char *why, size_t n) {
    *video = (struct video){.bytes = 3 * width * height, .input = -1};
    int pair[2];
    int err = video_part(video->part, sizeof(video->part), path);
    if (err) {
        snprintf(why, n, "%s: %s", path,
                 err == -EINVAL ? "a video's name ends in .mp4, a picture's in "
                                  ".png"
                                : strerror(-err));
        return err;
    }
    snprintf(video->path, sizeof(video->path), "%s", path);
    video->said = memfd_create("ffmpeg", MFD_CLOEXEC);
    // a socket for a pipe: what is sent to a dead one raises no signal
    if (video->said < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        err = -errno;
        snprintf(why, n, "%s: %s", path, strerror(-err));
        return err;
    }
    video->input = pair[0];
    err = start_ffmpeg(video, width, height, rate, pair[1]);
    close(pair[1]);
    if (err == -ENOENT)
        snprintf(why, n,
                 "there is no ffmpeg: install Debian's package ffmpeg "
                 "(deploy/install.sh --video)");
    else if (err)
        snprintf(why, n, "ffmpeg: %s", strerror(-err));
    return err;
}

/* Take the child's status, waiting for it unless *stop. */
static int wait_for(struct video *video, const volatile sig_atomic_t *stop,
                    int *status) {
    const struct timespec pause = {.tv_nsec = LOOK_EVERY * 100000L};
    for (;;) {
        const pid_t pid = waitpid(video->child, status, WNOHANG);
        if (pid == video->child) {
            video->child = 0;
            return 0;
        }
        if (pid < 0 && errno != EINTR) return -errno;
        if (stop && *stop) return -EINTR;
        nanosleep(&pause, NULL);
    }
}

/* It no longer listens: why. */
static int broken(struct video *video, const volatile sig_atomic_t *stop,
                  char *why, size_t n) {
    int status = 0;
    const int err = wait_for(video, stop, &status);
    return err ? err : explain(video, status, why, n);
}

int video_write(struct video *video, const unsigned char *frame,
                const volatile sig_atomic_t *stop, char *why, size_t n) {
    size_t done = 0;
    while (done < video->bytes) {
        if (*stop) return -EINTR;
        struct pollfd ready = {.fd = video->input, .events = POLLOUT};
        if (poll(&ready, 1, LOOK_EVERY) <= 0) continue;
        const ssize_t sent =
            send(video->input, frame + done, video->bytes - done,
                 MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            done += (size_t)sent;
        } else if (errno != EAGAIN && errno != EINTR) {
            return broken(video, stop, why, n);
        }
    }
    video->frames++;
    return 0;
}

int video_close(struct video *video, const volatile sig_atomic_t *stop,
                char *why, size_t n) {
    int status = 0;
    close(video->input);
    video->input = -1;
    int err = wait_for(video, stop, &status);
    if (err) return err;
    if (status != 0) return explain(video, status, why, n);
    if (rename(video->part, video->path) != 0) {
        err = -errno;
        snprintf(why, n, "%s: %s", video->path, strerror(-err));
        return err;
    }
    close(video->said);
    *video = (struct video){.frames = video->frames};
    return 0;
}

void video_abandon(struct video *video) {
    if (video->part[0] == '\0') return;
    if (video->input >= 0) close(video->input);
    if (video->child > 0) {
        kill(video->child, SIGKILL);
        while (waitpid(video->child, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    if (video->path[0] != '\0') unlink(video->part);
    if (video->said > 0) close(video->said);
    *video = (struct video){0};
}
