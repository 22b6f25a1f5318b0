#include "actor/evaluate.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "actor/film.h"
#include "actor/q_figure.h"
#include "actor/snapshot.h"
#include "actor/traces.h"
#include "actor/trial.h"
#include "common/exit_status.h"
#include "common/log.h"
#include "common/rundir.h"

struct evaluation {
    struct config config; /* of the run, with its networks' size */
    const char *run;
    struct rollout rollout;
    struct trial trial;
    struct snapshot snapshot;
    char why[1024];
};

static bool needs_checkpoint(const struct config *config) {
    return !config->random_policy || config->q_figure[0] != '\0';
}

/* The task and who plays it. */
static int prepare(struct evaluation *evaluation) {
    struct config *config = &evaluation->config;
    struct rollout *rollout = &evaluation->rollout;
    const struct snapshot *snapshot = &evaluation->snapshot;
    char *why = evaluation->why;
    const size_t n = sizeof(evaluation->why);

    struct stat info;
    if (stat(evaluation->run, &info) != 0 || !S_ISDIR(info.st_mode)) {
        snprintf(why, n, "there is no run %s", evaluation->run);
        return -ENOENT;
    }
    if (needs_checkpoint(config)) {
        int err = snapshot_read(&evaluation->snapshot, evaluation->run,
                                config->checkpoint, why, n);
        if (err) return err;
        config->units = snapshot->policy.shape.H;
    }
    int err = trial_init(&evaluation->trial, rollout, config, config->episodes,
                         why, n);
    if (err) return err;
    if (needs_checkpoint(config))
        err = snapshot_check(snapshot, config->task, &rollout->spec, why, n);
    if (err) return err;
    if (!config->random_policy)
        err = rollout_set_policy(rollout, &snapshot->policy, 0);
    if (err) {
        snprintf(why, n, "out of memory");
        return err;
    }
    return 0;
}

static void show_progress(const struct evaluation *evaluation, bool last) {
    static const char *const format =
        "\revaluating %s: %" PRIu64 " of %" PRIu64 " episodes";
    if (evaluation->config.progress == PROGRESS_NONE || !isatty(STDOUT_FILENO))
        return;
    printf(format, evaluation->config.task, evaluation->trial.summary.ret.n,
           evaluation->config.episodes);
    if (last) printf("\r\033[K"); // leave the line to the table
    fflush(stdout);
}

static int play(struct evaluation *evaluation) {
    struct trial *trial = &evaluation->trial;
    struct timespec now;
    time_t shown = 0;

    while (!trial_done(trial)) {
        int err = trial_step(trial, evaluation->why, sizeof(evaluation->why));
        if (err) return err;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec != shown) show_progress(evaluation, false);
        shown = now.tv_sec;
    }
    show_progress(evaluation, true);
    return 0;
}

/* Play, with or without a file of traces. */
static int play_traced(struct evaluation *evaluation) {
    const struct config *config = &evaluation->config;
    struct rollout *rollout = &evaluation->rollout;
    struct traces traces = {0};
    int err = 0, failed = 0;
    if (config->traces[0] != '\0') {
        failed = traces_open(&traces, config->traces, rollout->class,
                             rollout->E, config->episodes);
        if (!failed) rollout_watch(rollout, traces_watch, &traces);
    }
    if (!failed) {
        err = play(evaluation);
        failed = traces_close(&traces);
    }
    if (err || !failed) return err;
    snprintf(evaluation->why, sizeof(evaluation->why), "%s: %s", config->traces,
             strerror(-failed));
    return failed;
}

static int film(struct evaluation *evaluation) {
    const struct config *config = &evaluation->config;
    const struct policy *policy =
        config->random_policy ? NULL : &evaluation->snapshot.policy;
    const char *name = policy ? evaluation->snapshot.file : "random";
    int err = 0;
    if (config->picture[0] != '\0')
        err = film_picture(config, policy, evaluation->why,
                           sizeof(evaluation->why));
    if (!err && config->video[0] != '\0')
        err = film_video(config, policy, name, evaluation->why,
                         sizeof(evaluation->why));
    return err;
}

/* How the sampler that played was trained, as far as its file says. */
static bool add_policy(const struct snapshot *snapshot, cJSON *object) {
    bool ok = cJSON_AddStringToObject(object, "algorithm",
                                      snapshot->algorithm) != NULL;
    if (!isnan(snapshot->temperature))
        ok = ok && cJSON_AddNumberToObject(object, "temperature",
                                           snapshot->temperature);
    if (snapshot->policy.n_noise > 0)
        ok = ok && cJSON_AddNumberToObject(object, "noise_set",
                                           (double)snapshot->policy.n_noise);
    return ok;
}

static int write_json(struct evaluation *evaluation) {
    const struct config *config = &evaluation->config;
    const bool random = config->random_policy;
    const char *name = random ? "evaluation-random.json" : "evaluation.json";
    cJSON *object = cJSON_CreateObject();
    char *text = NULL;
    if (object && cJSON_AddStringToObject(object, "task", config->task) &&
        cJSON_AddStringToObject(object, "policy",
                                random ? "random" : "sampler") &&
        cJSON_AddStringToObject(object, "checkpoint",
                                random ? "" : evaluation->snapshot.file) &&
        (random || add_policy(&evaluation->snapshot, object)) &&
        cJSON_AddNumberToObject(object, "unstable",
                                (double)evaluation->rollout.discarded) &&
        summary_json(&evaluation->trial.summary, object) == 0)
        text = cJSON_Print(object);
    int err = text ? rundir_write(evaluation->run, name, text, strlen(text))
                   : -ENOMEM;
    if (err)
        snprintf(evaluation->why, sizeof(evaluation->why), "%s/%s: %s",
                 evaluation->run, name, strerror(-err));
    cJSON_free(text);
    cJSON_Delete(object);
    return err;
}

static void print_policy(const struct snapshot *snapshot) {
    if (snapshot->algorithm[0] != '\0')
        printf("%-10s %s\n", "algorithm", snapshot->algorithm);
    // neither temperature nor noise has a part in it
    if (strcmp(snapshot->algorithm, "ddpg") == 0) return;
    if (!isnan(snapshot->temperature))
        printf("%-10s %g\n", "alpha", snapshot->temperature);
    if (snapshot->policy.n_noise > 0)
        printf("%-10s %zu fixed\n", "noise", snapshot->policy.n_noise);
}

static void print_table(const struct evaluation *evaluation) {
    const struct config *config = &evaluation->config;
    printf("%-10s %s\n%-10s %s\n", "task", config->task, "policy",
           config->random_policy ? "uniform random actions"
                                 : evaluation->snapshot.file);
    if (!config->random_policy) print_policy(&evaluation->snapshot);
    summary_print(&evaluation->trial.summary, stdout);
    fflush(stdout);
}

int evaluate_run(const struct config *config) {
    struct evaluation evaluation = {.config = *config, .run = config->evaluate};
    mlp_blas_setup(); // its result matters only to several threads
    int err = prepare(&evaluation);
    if (!err && config->q_figure[0] != '\0')
        err = q_figure_write(&evaluation.snapshot, config->q_states,
                             config->q_figure, config->seed, evaluation.why,
                             sizeof(evaluation.why));
    if (!err) err = film(&evaluation);
    if (!err) err = play_traced(&evaluation);
    if (!err) {
        print_table(&evaluation);
        err = write_json(&evaluation);
    }
    if (err) log_error("%s", evaluation.why);
    rollout_finish(&evaluation.rollout);
    snapshot_finish(&evaluation.snapshot);
    if (err == -EDOM) return EXIT_NON_FINITE;
    return err ? EXIT_REFUSED : EXIT_FINISHED;
}
