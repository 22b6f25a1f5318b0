#include "actor/film.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "actor/render.h"
#include "actor/rollout.h"
#include "actor/video.h"
#include "common/exit_status.h"
#include "common/log.h"
#include "common/mlp.h"
#include "common/rundir.h"

static const double rest = 0.5; // s on an episode's last frame

/* All that a signal handler may touch. */
static volatile sig_atomic_t caught;

static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
enum { ENDS = sizeof(ends) / sizeof(*ends) };

struct film {
    struct config config; /* with one environment */
    struct rollout rollout;
    struct render *render;
    struct video video;
    size_t width, height;
    double rate;       /* frames a second */
    const void *state; /* of the only environment; borrowed */

    bool rolling;
    uint64_t shown;   /* frames of the running episode */
    uint64_t episode; /* it is this one, from 0 */
    double ret;
    time_t reported;
    int err;
    char *why; /* (n) */
    size_t n;
};

static void on_signal(int signal) {
    caught = signal;
}

/* What was ignored stays so. */
static void catch_signals(struct sigaction *before) {
    const struct sigaction act = {.sa_handler = on_signal};
    caught = 0;
    for (int i = 0; i < ENDS; i++) {
        sigaction(ends[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN) sigaction(ends[i], &act, NULL);
    }
}

static void release_signals(const struct sigaction *before) {
    for (int i = 0; i < ENDS; i++) sigaction(ends[i], &before[i], NULL);
}

static void show_progress(struct film *film) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec == film->reported ||
        film->config.progress == PROGRESS_NONE || !isatty(STDOUT_FILENO))
        return;
    film->reported = now.tv_sec;
    printf("\r\033[Kfilming %s: episode %" PRIu64 " of %" PRIu64 ", %" PRIu64
           " frames",
           film->config.task, film->episode + 1, film->config.video_episodes,
           film->video.frames);
    fflush(stdout);
}

/* The state as it is now, so many times. */
static int shoot(struct film *film, uint64_t step, uint64_t times) {
    char values[96];
    if (times == 0) return 0;
    snprintf(values, sizeof(values),
             "%s\n%" PRIu64 " of %" PRIu64 "\n%.2f s\n%.2f", film->config.task,
             film->episode + 1, film->config.video_episodes,
             (double)step * render_dt(film->render), film->ret);
    const unsigned char *frame = render_draw(
        film->render, film->state, "task\nepisode\ntime\nreturn", values);
    for (uint64_t i = 0; i < times; i++) {
        int err = video_write(&film->video, frame, &caught, film->why, film->n);
        if (err) return err;
    }
    show_progress(film);
    return 0;
}

/* A rollout_watcher; user is the struct film. */
static void watch(void *user, size_t env, uint64_t step, const void *state,
                  const struct env_result *result) {
    struct film *film = user;
    assert(env == 0);
    film->state = state;
    if (step == 0) film->shown = 0, film->ret = 0.0;
    if (result) film->ret += result->reward;
    if (!film->rolling || film->err ||
        film->episode == film->config.video_episodes)
        return;
    const uint64_t due = video_due(step, render_dt(film->render), film->rate);
    const bool over = result && (result->terminal || result->truncated);
    const uint64_t still = over ? (uint64_t)ceil(rest * film->rate) : 0;
    film->err = shoot(film, step, due - film->shown + still);
    film->shown = due;
    if (over) film->episode++;
}

/* The stage and its camera; nothing is written yet. */
static int set_up(struct film *film, const struct config *config,
                  const struct policy *policy, bool smooth, char *why,
                  size_t n) {
    *film = (struct film){.config = *config, .why = why, .n = n};
    film->config.environments = 1;
    if (policy) film->config.units = policy->shape.H;
    if (video_size(config->video_size, &film->width, &film->height) != 0) {
        snprintf(why, n,
                 "option video_size is \"%s\": give WxH, both even and in "
                 "[16, %d], as 640x480",
                 config->video_size, (int)VIDEO_MOST);
        return -EINVAL;
    }
    int err = rollout_init(&film->rollout, &film->config, RNG_EVALUATOR, 0, 0,
                           why, n);
    if (err) return err;
    err = rollout_set_policy(&film->rollout, policy, 0);
    if (err) {
        snprintf(why, n, "out of memory");
        return err;
    }
    rollout_watch(&film->rollout, watch, film);
    const struct render_options options = {.width = film->width,
                                           .height = film->height,
                                           .camera = config->camera,
                                           .models = config->models,
                                           .smooth = smooth};
    err = render_new(&film->render, film->rollout.class, film->state, &options,
                     why, n);
    if (err) return err;
    film->rate = config->video_rate > 0.0 ? config->video_rate
                                          : video_rate(render_dt(film->render));
    return 0;
}

static void take_down(struct film *film) {
    video_abandon(&film->video);
    render_free(film->render);
    rollout_finish(&film->rollout);
}

/* RUN/video/<checkpoint less .safetensors>.mp4, or as it was given. */
static int name_video(char *path, size_t n, const struct config *config,
                      const char *checkpoint) {
    if (strcmp(config->video, "auto") != 0) {
        const int len = snprintf(path, n, "%s", config->video);
        return len >= 0 && (size_t)len < n ? 0 : -ENAMETOOLONG;
    }
    char rest_of[256];
    const char *file = strrchr(checkpoint, '/');
    file = file ? file + 1 : checkpoint;
    const char *dot = strrchr(file, '.');
    snprintf(rest_of, sizeof(rest_of), "video/%.*s.mp4",
             dot ? (int)(dot - file) : (int)strlen(file), file);
    return rundir_path(path, n, config->evaluate, rest_of);
}

static int play(struct film *film) {
    const struct rollout *rollout = &film->rollout;
    film->rolling = true;
    film->err = shoot(film, 0, 1); // where the first episode starts
    film->shown = 1;
    while (!film->err && film->episode < film->config.video_episodes) {
        int err = rollout_step(&film->rollout, NULL, film->why, film->n);
        if (err) return err;
        if (rollout->discarded > 10 * (rollout->episodes + 1)) {
            snprintf(film->why, film->n,
                     "the simulation does not stay stable: %" PRIu64
                     " episodes given up, %" PRIu64 " ended",
                     rollout->discarded, rollout->episodes);
            return -ERANGE;
        }
    }
    return film->err;
}

static int film_to(struct film *film, const char *path) {
    int err = video_open(&film->video, path, film->width, film->height,
                         film->rate, film->why, film->n);
    if (!err) err = play(film);
    if (!err) err = video_close(&film->video, &caught, film->why, film->n);
    if (isatty(STDOUT_FILENO)) printf("\r\033[K");
    if (!err)
        printf("%-10s %s: %" PRIu64 " episodes, %" PRIu64
               " frames of %zux%zu, %.4g a second, %.1f s\n",
               "video", path, film->episode, film->video.frames, film->width,
               film->height, film->rate,
               (double)film->video.frames / film->rate);
    fflush(stdout);
    return err;
}

int film_video(const struct config *config, const struct policy *policy,
               const char *checkpoint, char *why, size_t n) {
    struct film film;
    struct sigaction before[ENDS];
    char path[VIDEO_PATH];
    int err = name_video(path, sizeof(path), config, checkpoint);
    if (err) {
        snprintf(why, n, "%s: %s", config->video, strerror(-err));
        return err;
    }
    err = set_up(&film, config, policy, false, why, n);
    if (!err) {
        catch_signals(before);
        err = film_to(&film, path);
        take_down(&film);
        release_signals(before);
        if (err == -EINTR) raise(caught);
        return err;
    }
    take_down(&film);
    return err;
}

int film_picture(const struct config *config, const struct policy *policy,
                 char *why, size_t n) {
    static const volatile sig_atomic_t never = 0;
    struct film film;
    int err = set_up(&film, config, policy, true, why, n);
    const double steps =
        err ? 0.0 : ceil(config->picture_after / render_dt(film.render));
    for (uint64_t i = 0; !err && i < (uint64_t)steps; i++)
        err = rollout_step(&film.rollout, NULL, why, n);
    if (!err)
        err = video_open(&film.video, config->picture, film.width, film.height,
                         1.0, why, n);
    if (!err)
        err = video_write(
            &film.video, render_draw(film.render, film.state, config->task, ""),
            &never, why, n);
    if (!err) err = video_close(&film.video, &never, why, n);
    take_down(&film);
    return err;
}

int film_task(const struct config *config) {
    char why[1024];
    const int err = film_picture(config, NULL, why, sizeof(why));
    if (err) log_error("%s", why);
    return err ? EXIT_REFUSED : EXIT_FINISHED;
}
