#include "learner/progress.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

/* What is drawn of a run. */
struct field {
    const char *name, *tag; /* in progress.csv, and in TensorBoard */
    int decimals;           /* of the first; below 0: six digits in all */
    double value;           /* not finite: an empty field */
};
enum { MOST_FIELDS = EVENTS_MOST_SCALARS };
static size_t list_fields(const struct progress *progress,
                          const struct progress_now *now,
                          struct field fields[MOST_FIELDS]);

static const double line_every = 5.0;

/* Names of the columns. head out (n). */
static void write_head(const struct progress *progress, char *head, size_t n) {
    struct field fields[MOST_FIELDS];
    const size_t n_fields =
        list_fields(progress, &(struct progress_now){0}, fields);
    size_t at = 0;
    for (size_t i = 0; i < n_fields && at < n; i++)
        at += (size_t)snprintf(head + at, n - at, "%s%s", i > 0 ? "," : "",
                               fields[i].name);
}

double progress_wall(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int progress_start(struct progress *progress, const struct config *config,
                   uint64_t generation, uint64_t updates, uint64_t steps) {
    *progress = (struct progress){.generation = generation,
                                  .max_updates = config->max_updates,
                                  .max_steps = config->max_steps,
                                  .max_seconds = config->max_seconds};
    const bool terminal = isatty(STDOUT_FILENO);
    progress->live = config->progress == PROGRESS_LINE ||
                     (config->progress == PROGRESS_AUTO && terminal);
    progress->lines = config->progress == PROGRESS_LINES ||
                      (config->progress == PROGRESS_AUTO && !terminal);
    char head[2048];
    write_head(progress, head, sizeof(head));
    int rc = csv_start(&progress->csv, config->run_dir, "progress.csv", head,
                       updates);
    if (rc != 0) return rc;
    progress->seconds_before = progress->csv.seconds;
    progress->row = (struct progress_now){.seconds = progress->seconds_before,
                                          .updates = updates,
                                          .steps = steps};
    if (config->tensorboard) {
        rc = events_start(&progress->events, config->run_dir, generation,
                          updates, progress_wall());
        if (rc != 0)
            log_warn("tensorboard: %s; going on without", strerror(-rc));
    }
    return 0;
}

void progress_finish(struct progress *progress) {
    csv_finish(&progress->csv);
    events_finish(&progress->events);
    if (progress->live && progress->begun) {
        fputs("\n", stdout);
        fflush(stdout);
    }
    *progress = (struct progress){0};
}

void progress_episode(struct progress *progress, double ret) {
    progress->returns[progress->episodes++ % PROGRESS_EPISODES] = ret;
}

void progress_statistic(struct progress *progress, double x) {
    struct progress_statistic *statistic = &progress->statistic;
    const bool first = statistic->n == 0;
    statistic->n++;
    statistic->sum += x;
    statistic->least = first ? x : fmin(statistic->least, x);
    statistic->greatest = first ? x : fmax(statistic->greatest, x);
}

double progress_mean_return(const struct progress *progress) {
    const size_t n = progress->episodes < PROGRESS_EPISODES
                         ? (size_t)progress->episodes
                         : PROGRESS_EPISODES;
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += progress->returns[i];
    return n > 0 ? sum / (double)n : (double)NAN;
}

/* The struct as the doubles that it is. */
_Static_assert(sizeof(struct algorithm_figures) ==
                   PROGRESS_FIGURES * sizeof(double),
               "doubles all");

void progress_figures(struct progress *progress,
                      const struct algorithm_figures *figures) {
    struct progress_mean *mean = &progress->mean;
    double x[PROGRESS_FIGURES];
    memcpy(x, figures, sizeof(x));
    for (size_t i = 0; i < PROGRESS_FIGURES; i++) {
        if (isnan(x[i])) continue;
        mean->sum[i] += x[i];
        mean->n[i] += 1.0;
    }
}

/* Since the last row; NAN where nothing was measured. */
static struct algorithm_figures mean_figures(const struct progress *progress) {
    const struct progress_mean *mean = &progress->mean;
    struct algorithm_figures figures;
    double x[PROGRESS_FIGURES];
    for (size_t i = 0; i < PROGRESS_FIGURES; i++)
        x[i] = mean->sum[i] / mean->n[i];
    memcpy(&figures, x, sizeof(x));
    return figures;
}

void progress_age(struct progress *progress, uint64_t age) {
    progress->mean.ages += (double)age;
    progress->mean.n_ages += 1.0;
    events_count_age(&progress->ages, age);
}

void progress_actions(struct progress *progress, const struct batch *rows) {
    const size_t A = rows->A;
    const size_t shown = A < PROGRESS_ACTIONS ? A : PROGRESS_ACTIONS;
    for (size_t row = 0; row < rows->n; row++)
        for (size_t i = 0; i < shown; i++)
            events_count_action(&progress->actions[i],
                                (double)rows->a[row * A + i]);
}

static double rate(uint64_t now, uint64_t then, double seconds) {
    return seconds > 0.0 && now > then ? (double)(now - then) / seconds : 0.0;
}

static size_t list_fields(const struct progress *progress,
                          const struct progress_now *now,
                          struct field fields[MOST_FIELDS]) {
    const struct progress_now *last = &progress->row;
    const struct progress_statistic *statistic = &progress->statistic;
    const struct algorithm_figures mean = mean_figures(progress);
    const double elapsed = now->seconds - last->seconds;
    const double n = (double)statistic->n, none = (double)NAN;
    const double updates = (double)now->updates - (double)last->updates;
    const double steps = (double)now->steps - (double)last->steps;
    const struct field all[] = {
        {"seconds", "run/seconds", 3, now->seconds},
        {"updates", "run/updates", 0, (double)now->updates},
        {"steps", "run/steps", 0, (double)now->steps},
        {"updates_per_second", "speed/updates", 2,
         rate(now->updates, last->updates, elapsed)},
        {"steps_per_second", "speed/steps", 2,
         rate(now->steps, last->steps, elapsed)},
        {"episodes", "return/episodes", 0, (double)progress->episodes},
        {"mean_return", "return/mean", -1, progress_mean_return(progress)},
        {"q_loss", "q/loss", -1, mean.q_loss},
        {"q_mean", "q/mean", -1, mean.q_mean},
        {"target_mean", "q/target", -1, mean.target_mean},
        {"stein_norm", "sampler/stein_norm", -1, mean.stein_norm},
        {"q_gradient", "q/gradient", -1, mean.q_gradient},
        {"f_gradient", "sampler/gradient", -1, mean.f_gradient},
        {"stored", "replay/stored", 0, (double)now->stored},
        {"present", "replay/present", 0, (double)now->present},
        {"staleness", "replay/staleness", -1,
         progress->mean.ages / progress->mean.n_ages},
        {"alpha", "sampler/alpha", -1, mean.alpha},
        {"entropy", "sampler/entropy", -1, mean.entropy},
        {"negative", "sampler/negative", -1, mean.negative},
        {"degenerate", "sampler/degenerate", -1, mean.degenerate},
        {"stat_mean", "task/mean", -1, statistic->sum / n},
        {"stat_least", "task/least", -1, n > 0 ? statistic->least : none},
        {"stat_greatest", "task/greatest", -1,
         n > 0 ? statistic->greatest : none},
        {"generation", "run/generation", 0, (double)progress->generation},
        {"wall", "run/wall", 3, now->wall},
        {"ratio", "speed/ratio", -1, steps > 0.0 ? updates / steps : none},
        {"q_deviation", "q/deviation", -1, mean.q_deviation},
        {"td_deviation", "q/td_deviation", -1, mean.td_deviation},
        {"value_uniform", "value/uniform", -1, mean.value_uniform},
        {"value_sampler", "value/sampler", -1, mean.value_sampler},
        {"score_norm", "sampler/score_norm", -1, mean.score_norm},
        {"repulsion_norm", "sampler/repulsion_norm", -1, mean.repulsion_norm},
        {"bandwidth", "sampler/bandwidth", -1, mean.bandwidth},
        {"q_dead", "q/dead", -1, mean.q_dead},
        {"f_dead", "sampler/dead", -1, mean.f_dead},
    };
    memcpy(fields, all, sizeof(all));
    return sizeof(all) / sizeof(*all);
}

static void show_events(struct progress *progress,
                        const struct progress_now *now,
                        const struct field *fields, size_t n) {
    static const char *const tags[PROGRESS_ACTIONS] = {
        "action/0",  "action/1",  "action/2",  "action/3",
        "action/4",  "action/5",  "action/6",  "action/7",
        "action/8",  "action/9",  "action/10", "action/11",
        "action/12", "action/13", "action/14", "action/15"};
    struct events_scalar scalars[MOST_FIELDS];
    struct events_shown shown[PROGRESS_ACTIONS + 1];
    size_t n_shown = 0;
    if (!events_due(&progress->events)) return;
    for (size_t i = 0; i < n; i++)
        scalars[i] = (struct events_scalar){fields[i].tag, fields[i].value};
    if (progress->until_histograms > 0) progress->until_histograms--;
    const bool due = progress->until_histograms == 0;
    for (size_t i = 0; due && i < PROGRESS_ACTIONS; i++)
        if (progress->actions[i].n > 0.0)
            shown[n_shown++] = (struct events_shown){tags[i], EVENTS_ACTION,
                                                     &progress->actions[i]};
    if (due && progress->ages.n > 0.0)
        shown[n_shown++] =
            (struct events_shown){"replay/ages", EVENTS_AGE, &progress->ages};
    events_write(&progress->events, now->wall, now->updates, scalars, n, shown,
                 n_shown);
    if (n_shown == 0) return;
    progress->until_histograms = PROGRESS_HISTOGRAMS;
    progress->ages = (struct events_histogram){0};
    memset(progress->actions, 0, sizeof(progress->actions));
}

void progress_row(struct progress *progress, const struct progress_now *now) {
    char row[2048] = "";
    FILE *csv = fmemopen(row, sizeof(row), "w");
    if (csv == NULL) return; // no memory: the next one
    struct field fields[MOST_FIELDS];
    const size_t n = list_fields(progress, now, fields);
    for (size_t i = 0; i < n; i++) {
        if (i > 0) fputc(',', csv);
        if (!isfinite(fields[i].value)) continue;
        if (fields[i].decimals < 0)
            fprintf(csv, "%.6g", fields[i].value);
        else
            fprintf(csv, "%.*f", fields[i].decimals, fields[i].value);
    }
    fputc('\n', csv);
    fclose(csv);
    csv_append(&progress->csv, row);
    show_events(progress, now, fields, n);
    progress->row = *now;
    progress->mean = (struct progress_mean){0};
    progress->statistic = (struct progress_statistic){0};
}

void progress_evaluation(struct progress *progress,
                         const struct wire_evaluation *evaluation,
                         uint64_t updates, double wall) {
    const double episodes = (double)evaluation->episodes;
    const struct events_scalar scalars[] = {
        {"evaluation/return", evaluation->mean_return},
        {"evaluation/deviation", evaluation->std_return},
        {"evaluation/length", evaluation->mean_length},
        {"evaluation/success", evaluation->has_goals
                                   ? (double)evaluation->reached / episodes
                                   : (double)NAN}};
    if (!events_room(&progress->events) || evaluation->episodes == 0 ||
        updates < progress->evaluated)
        return;
    progress->evaluated = updates;
    events_write(&progress->events, wall, updates, scalars,
                 sizeof(scalars) / sizeof(*scalars), NULL, 0);
}

struct progress_rates progress_rates(const struct progress *progress,
                                     const struct progress_now *now) {
    if (progress->n_window == 0) return (struct progress_rates){0};
    const size_t oldest = progress->n_window < PROGRESS_WINDOW
                              ? 0
                              : progress->n_window % PROGRESS_WINDOW;
    const struct progress_now *then = &progress->window[oldest];
    const double elapsed = now->seconds - then->seconds;
    return (struct progress_rates){
        .updates = rate(now->updates, then->updates, elapsed),
        .steps = rate(now->steps, then->steps, elapsed)};
}

/* Share done and seconds left of one limit (limit > 0). */
static void nearest(double *share, double *left, double at, double limit,
                    double a_second) {
    if (limit <= 0.0) return;
    const double seconds =
        a_second > 0.0 ? fmax(limit - at, 0.0) / a_second : (double)INFINITY;
    *share = fmax(*share, fmin(at / limit, 1.0));
    *left = fmin(*left, seconds);
}

static void format_left(char *text, size_t n, double left) {
    if (left < 100.0) {
        snprintf(text, n, " | %.0f s left", left);
    } else if (left < 6000.0) {
        snprintf(text, n, " | %.0f min left", left / 60);
    } else {
        snprintf(text, n, " | %.1f h left", left / 3600);
    }
}

/* "name at" or "name at/limit" after what stands in text. */
static int format_count(char *text, size_t n, const char *name, uint64_t at,
                        uint64_t limit) {
    return limit > 0
               ? snprintf(text, n, "%s %" PRIu64 "/%" PRIu64, name, at, limit)
               : snprintf(text, n, "%s %" PRIu64, name, at);
}

void progress_format(const struct progress *progress,
                     const struct progress_now *now, const char *waiting,
                     char *text, size_t n) {
    const struct progress_rates r = progress_rates(progress, now);
    double share = -1.0, left = HUGE_VAL;
    nearest(&share, &left, (double)now->updates, (double)progress->max_updates,
            r.updates);
    nearest(&share, &left, (double)now->steps, (double)progress->max_steps,
            r.steps);
    nearest(&share, &left, now->seconds, progress->max_seconds, 1.0);

    char line[512], *at = line, *end = line + sizeof(line);
    if (share >= 0.0) {
        at += snprintf(at, (size_t)(end - at), "%2.0f %% | ",
                       floor(100.0 * share));
    }
    at += format_count(at, (size_t)(end - at), "updates", now->updates,
                       progress->max_updates);
    at += snprintf(at, (size_t)(end - at), " | ");
    at += format_count(at, (size_t)(end - at), "steps", now->steps,
                       progress->max_steps);
    at += snprintf(at, (size_t)(end - at), " | %.0f updates/s | %.0f steps/s",
                   r.updates, r.steps);
    if (progress->episodes > 0) {
        at += snprintf(at, (size_t)(end - at), " | return %.1f",
                       progress_mean_return(progress));
    }
    if (waiting != NULL) {
        snprintf(at, (size_t)(end - at), " | %.128s", waiting);
    } else if (left < (double)INFINITY) {
        format_left(at, (size_t)(end - at), left);
    }
    snprintf(text, n, "%s", line);
}

void progress_note(const struct progress *progress, const char *name,
                   const char *value) {
    if (!progress->live && !progress->lines) return;
    printf("%s %s\n", name, value);
    fflush(stdout);
}

void progress_line(struct progress *progress, const struct progress_now *now,
                   const char *waiting) {
    char text[512];
    progress_format(progress, now, waiting, text, sizeof(text));
    progress->window[progress->n_window++ % PROGRESS_WINDOW] = *now;
    if (progress->live) {
        printf("\r%s\033[K", text);
        fflush(stdout);
        progress->begun = true;
    } else if (progress->lines && now->seconds >= progress->next_line) {
        printf("%s\n", text);
        fflush(stdout);
        progress->next_line = now->seconds + line_every;
    }
}
