#include "actor/check.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actor/rollout.h"
#include "actor/summary.h"
#include "actor/task.h"
#include "common/exit_status.h"
#include "common/log.h"
#include "common/mlp.h"

enum {
    SHOWN = 64,       /* observations that are printed */
    NAMED = 8,        /* observations of a warning */
    PROBE_STEPS = 50, /* steps that two environments are compared for */
};
static const double huge = 100.0; // |observation| that networks learn badly
static const double usual_seconds = 10.0;

/* E environments   S observation   A action */
struct check {
    struct config config;
    struct rollout rollout;
    struct batch batch;                 /* one step's rows */
    struct summary summary;             /* of episodes */
    struct summary_number reward;       /* a step */
    struct summary_number *observation; /* (S) */
    uint64_t terminals, truncated, at_once;
    double seconds;
    int warnings;
    char why[1024];
};

static void say(const char *what, const char *format, va_list args) {
    printf("%-10s ", what);
    vprintf(format, args);
    putchar('\n');
}

static void __attribute__((format(printf, 2, 3)))
warn(struct check *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say("warning", format, args);
    va_end(args);
    c->warnings++;
}

/* What the user can mend is warned about. What softq's own tasks observe is
 * laid down (Gymnasium's Ant has entries that are always 0): worth knowing. */
static void __attribute__((format(printf, 2, 3)))
warn_or_note(struct check *c, const char *format, ...) {
    const bool ours = env_find(c->config.task) != NULL;
    va_list args;
    va_start(args, format);
    say(ours ? "note" : "warning", format, args);
    va_end(args);
    c->warnings += !ours;
}

/* ---- --list_tasks ---- */

int check_list(const struct config *config) {
    for (const struct env_class *const *at = env_list(); *at; at++) {
        struct config its = *config;
        struct task task;
        struct env_spec spec;
        void *model = NULL;
        char why[512];
        its.robot[0] = its.env[0] = its.run_dir[0] = '\0';
        snprintf(its.task, sizeof(its.task), "%s", (*at)->name);
        int err = task_load(&task, &model, &spec, &its, why, sizeof(why));
        if (err) {
            printf("%-26s does not load: %s\n", (*at)->name, why);
            continue;
        }
        printf("%-26s observation %-4zu action %-3zu horizon %-5" PRIu64
               " %s\n",
               (*at)->name, spec.obs_dim, spec.act_dim, spec.horizon,
               (*at)->rewarded);
        (*at)->unload(model);
    }
    return EXIT_FINISHED;
}

/* ---- --check: playing ---- */

static bool ends_with(const char *text, const char *end) {
    const size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

/* What check names: a file, whose base is then the task's name, or a task. */
static int name_task(struct config *config, char *why, size_t n) {
    const char *check = config->check;
    const bool ini = ends_with(check, ".ini"), so = ends_with(check, ".so");
    if (ini) snprintf(config->robot, sizeof(config->robot), "%s", check);
    if (so) snprintf(config->env, sizeof(config->env), "%s", check);
    const char *slash = ini || so ? strrchr(check, '/') : NULL;
    char name[CONFIG_PATH_LEN];
    snprintf(name, sizeof(name), "%s", slash ? slash + 1 : check);
    if (ini || so) *strrchr(name, '.') = '\0';
    config->run_dir[0] = '\0'; // no run's copy
    return config_set(config, "task", name, why, n);
}

/* What actions are scaled to: equal neighbours in one. */
static void print_ranges(const struct env_spec *spec) {
    size_t shown = 0;
    for (size_t i = 0, n; i < spec->act_dim; i += n) {
        const double *range = env_range(spec, i);
        for (n = 1; i + n < spec->act_dim; n++)
            if (memcmp(env_range(spec, i + n), range, 2 * sizeof(*range)) != 0)
                break;
        if (++shown > NAMED) {
            printf(" ...");
            return;
        }
        printf("%s[%g, %g]", i > 0 ? "   " : "", range[0], range[1]);
        if (n > 1) printf(" x %zu", n);
    }
}

static void print_spec(const struct check *c) {
    const struct rollout *r = &c->rollout;
    const char *rewarded = r->spec.rewarded;
    if (!rewarded) rewarded = r->class->rewarded;
    printf("%-10s %s\n", "task", c->config.task);
    printf("%-10s observation %zu   action %zu   horizon %" PRIu64, "spec",
           r->spec.obs_dim, r->spec.act_dim, r->spec.horizon);
    if (r->spec.hash != 0) printf("   hash %016" PRIx64, r->spec.hash);
    printf("\n%-10s ", "actions");
    print_ranges(&r->spec);
    printf("\n%-10s %s\n", "rewarded", rewarded);
}

static void look_at_rows(struct check *c) {
    const size_t S = c->batch.S;
    for (size_t row = 0; row < c->batch.n; row++) {
        const uint8_t flags = c->batch.flags[row];
        summary_number_add(&c->reward, (double)c->batch.r[row]);
        for (size_t i = 0; i < S; i++)
            summary_number_add(&c->observation[i],
                               (double)c->batch.s[row * S + i]);
        c->terminals += (flags & BATCH_TERMINAL) != 0;
        c->truncated += (flags & BATCH_TRUNCATED) != 0;
    }
    c->batch.n = 0;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int play(struct check *c) {
    struct rollout_episode ended[64];
    const double limit =
        c->config.max_seconds > 0 ? c->config.max_seconds : usual_seconds;
    const double began = now();
    int err = 0;
    while (!err && c->summary.ret.n < c->config.episodes &&
           c->seconds < limit) {
        err = rollout_step(&c->rollout, &c->batch, c->why, sizeof(c->why));
        look_at_rows(c);
        const size_t n = rollout_take(&c->rollout, ended, 64);
        for (size_t i = 0; i < n; i++) {
            summary_add(&c->summary, &ended[i]);
            c->at_once += ended[i].terminal && ended[i].length <= 1;
        }
        c->seconds = now() - began;
        if (c->rollout.discarded > 1000 + 10 * c->rollout.steps) break;
    }
    return err;
}

/* ---- --check: two environments from one seed ---- */

/* Steps that agree to the bit before the first that does not, PROBE_STEPS at
 * most. The second one's action `changed` is turned round (A: none). */
static int agree(struct check *c, void *pair[2], size_t changed) {
    const struct rollout *r = &c->rollout;
    const size_t S = r->spec.obs_dim, A = r->spec.act_dim;
    float *obs = calloc(2 * S, sizeof(*obs));
    float *a = calloc(A, sizeof(*a));
    double *action = calloc(A, sizeof(*action));
    struct rng start[2], actions;
    int steps = 0;
    for (int k = 0; k < 2 && obs && a && action; k++) {
        rng_init(&start[k], c->config.seed, RNG_EVALUATOR, 0, 0, 0);
        r->class->reset(pair[k], &start[k], obs + (size_t)k * S);
    }
    rng_init(&actions, c->config.seed, RNG_EVALUATOR, 0, 0, 1);
    bool same = obs && a && action && !memcmp(obs, obs + S, S * sizeof(*obs));
    while (same && steps < PROBE_STEPS) {
        struct env_result result[2];
        rng_fill_uniform(&actions, a, A, -1.0f, 1.0f);
        for (int k = 0; k < 2; k++) {
            for (size_t i = 0; i < A; i++) action[i] = (double)a[i];
            if (k == 1 && changed < A)
                action[changed] = action[changed] > 0 ? -1.0 : 1.0;
            r->class->step(pair[k], action, obs + (size_t)k * S, &result[k]);
        }
        same = !memcmp(obs, obs + S, S * sizeof(*obs)) &&
               result[0].reward == result[1].reward &&
               result[0].terminal == result[1].terminal;
        steps += same;
        if (result[0].terminal || result[0].truncated || result[0].unstable)
            break;
    }
    free(obs), free(a), free(action);
    return same ? PROBE_STEPS : steps;
}

static void compare(struct check *c) {
    const struct rollout *r = &c->rollout;
    void *pair[2] = {r->class->create(r->model), r->class->create(r->model)};
    if (pair[0] && pair[1]) {
        const size_t A = r->spec.act_dim;
        const int steps = agree(c, pair, A);
        if (steps < PROBE_STEPS)
            warn(c,
                 "two environments with one seed and the same actions differ "
                 "after %d steps: seeds will not repeat",
                 steps);
        for (size_t i = 0; i < A && steps == PROBE_STEPS; i++)
            if (agree(c, pair, i) == PROBE_STEPS)
                warn(c, "action %zu changes neither observation nor reward", i);
    }
    for (int k = 0; k < 2; k++)
        if (pair[k]) r->class->destroy(pair[k]);
}

/* ---- --check: what it comes to ---- */

static void print_number(const char *name, const struct summary_number *x) {
    printf("%-10s mean %.4g   sd %.4g   min %.4g   max %.4g\n", name, x->mean,
           summary_std(x), x->min, x->max);
}

static void print_figures(const struct check *c) {
    const struct rollout *r = &c->rollout;
    const double steps = (double)(r->steps + r->discarded);
    printf("%-10s %" PRIu64 " in %.1f s, %.0f a second\n", "steps", r->steps,
           c->seconds, c->seconds > 0 ? steps / c->seconds : 0.0);
    print_number("reward", &c->reward);
    if (c->summary.ret.n > 0) {
        print_number("return", &c->summary.ret);
        print_number("length", &c->summary.length);
    }
    for (size_t i = 0; i < r->spec.n_stats && c->summary.ret.n > 0; i++)
        print_number(r->spec.stat_names[i], &c->summary.stats[i]);
    printf("%-10s %" PRIu64 " ended: %" PRIu64 " terminal, %" PRIu64
           " truncated; %" PRIu64 " unstable steps\n",
           "episodes", r->episodes, c->terminals, c->truncated, r->discarded);
    for (size_t i = 0; i < r->spec.obs_dim && i < SHOWN; i++) {
        char name[32];
        snprintf(name, sizeof(name), "obs %zu", i);
        print_number(name, &c->observation[i]);
    }
    if (r->spec.obs_dim > SHOWN)
        printf("%-10s and %zu more observations\n", "...",
               r->spec.obs_dim - SHOWN);
}

static bool is_still(const struct summary_number *x) {
    return !(x->min < x->max);
}

static bool is_large(const struct summary_number *x) {
    return fmax(fabs(x->min), fabs(x->max)) > huge;
}

/* One line for all observations that are so, a few of them by number. */
static void judge_observations(struct check *c,
                               bool (*is_so)(const struct summary_number *x),
                               const char *words) {
    const size_t S = c->rollout.spec.obs_dim;
    char list[64] = "";
    size_t n = 0, at = 0;
    for (size_t i = 0; i < S; i++) {
        if (!is_so(&c->observation[i])) continue;
        if (++n <= NAMED)
            at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%zu",
                                   n > 1 ? ", " : "", i);
    }
    if (n > 0)
        warn_or_note(c, "%zu of %zu observations %s: %s%s", n, S, words, list,
                     n > NAMED ? " ..." : "");
}

static void judge(struct check *c) {
    const struct rollout *r = &c->rollout;
    if (c->reward.n > 1) {
        judge_observations(c, is_still, "never move");
        judge_observations(c, is_large,
                           "are large (scale them, or give "
                           "--observation_normalisation=true)");
    }
    if (c->reward.n > 1 && !(c->reward.min < c->reward.max))
        warn(c, "every reward is %g: random actions learn nothing from it",
             c->reward.min);
    if (2 * c->at_once > c->summary.ret.n)
        warn(c, "%" PRIu64 " of %" PRIu64 " episodes end at their first step",
             c->at_once, c->summary.ret.n);
    if (r->discarded > 0)
        warn(c,
             "%" PRIu64 " of %" PRIu64 " steps were unstable: a smaller "
             "timestep, softer motors?",
             r->discarded, r->steps + r->discarded);
}

static int prepare(struct check *c) {
    const size_t n = sizeof(c->why);
    int err = name_task(&c->config, c->why, n);
    if (!err)
        err = rollout_init(&c->rollout, &c->config, RNG_EVALUATOR, 0, 0, c->why,
                           n);
    if (err) return err;
    const struct rollout *r = &c->rollout;
    c->observation = calloc(r->spec.obs_dim, sizeof(*c->observation));
    err = batch_init(&c->batch, r->E, r->spec.obs_dim, r->spec.act_dim);
    if (err || !c->observation) {
        snprintf(c->why, n, "out of memory");
        return -ENOMEM;
    }
    summary_init(&c->summary, &r->spec);
    return 0;
}

int check_task(const struct config *config) {
    struct check c = {.config = *config};
    mlp_blas_setup(); // its result matters only to several threads
    int err = prepare(&c);
    if (!err) {
        print_spec(&c);
        err = play(&c);
        print_figures(&c);
        judge(&c);
        if (!err && c.summary.ret.n == 0)
            printf("%-10s no episode ended in %.1f s: give --max_seconds\n",
                   "note", c.seconds);
        if (!err) compare(&c);
        if (err == -EDOM) warn(&c, "%s", c.why);
    } else {
        log_error("%s", c.why);
    }
    if (!err && c.warnings == 0) printf("%-10s nothing to warn about\n", "ok");
    fflush(stdout);
    free(c.observation);
    batch_finish(&c.batch);
    rollout_finish(&c.rollout);
    if (err == -EDOM) return EXIT_NON_FINITE;
    return err || c.warnings > 0 ? EXIT_REFUSED : EXIT_FINISHED;
}
