#include "learner/events.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/log.h"
#include "common/rundir.h"
#include "learner/events.pb-c.h"

enum { ACTION_BUCKETS = 20 };

/* ---- histograms ---- */

static void count(struct events_histogram *h, double x, size_t bucket) {
    h->least = h->n > 0.0 ? fmin(h->least, x) : x;
    h->greatest = h->n > 0.0 ? fmax(h->greatest, x) : x;
    h->n += 1.0;
    h->sum += x;
    h->squares += x * x;
    h->buckets[bucket] += 1.0;
}

void events_count_action(struct events_histogram *h, double a) {
    const double x = fmin(fmax(a, -1.0), 1.0);
    const size_t bucket = (size_t)((x + 1.0) * (ACTION_BUCKETS / 2));
    count(h, x, bucket < ACTION_BUCKETS ? bucket : ACTION_BUCKETS - 1);
}

void events_count_age(struct events_histogram *h, uint64_t age) {
    size_t bucket = 0;
    while (bucket < EVENTS_BUCKETS - 1 && age >> bucket != 0) bucket++;
    count(h, (double)age, bucket);
}

/* Upper ends of the buckets: limits out (EVENTS_BUCKETS). Returns how many. */
static size_t list_limits(enum events_scale scale, double *limits) {
    const bool action = scale == EVENTS_ACTION;
    const size_t n = action ? ACTION_BUCKETS : EVENTS_BUCKETS;
    for (size_t i = 0; i < n; i++)
        limits[i] = action ? (double)(i + 1) / (ACTION_BUCKETS / 2) - 1.0
                           : (double)(UINT64_C(1) << i) - 0.5;
    if (!action) limits[n - 1] = 1e12; // the last one has all that is older
    return n;
}

/* ---- records ---- */

static uint32_t masked(const void *data, size_t n) {
    const uint32_t crc = crc32c(data, n);
    return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

/* Length and its checksum, data and its checksum; all of it or nothing. */
static int append(struct events *events, const Events__Event *event) {
    const size_t len = events__event__get_packed_size(event);
    const size_t total = len + 16;
    uint8_t *record = malloc(total);
    if (!record) return -ENOMEM;
    const uint64_t length = len;
    uint32_t crc = masked(&length, sizeof(length));
    memcpy(record, &length, 8);
    memcpy(record + 8, &crc, 4);
    events__event__pack(event, record + 12);
    crc = masked(record + 12, len);
    memcpy(record + 12 + len, &crc, 4);

    const ssize_t wrote =
        pwrite(events->fd, record, total, (off_t)events->size);
    int rc = wrote == (ssize_t)total ? 0 : wrote < 0 ? -errno : -ENOSPC;
    free(record);
    if (rc == 0) {
        events->size += total;
    } else if (ftruncate(events->fd, (off_t)events->size) != 0) {
        return rc; // the next one is written over it
    }
    return rc;
}

int events_start(struct events *events, const char *run, uint64_t generation,
                 uint64_t updates, double wall) {
    char path[4096], name[64];
    *events = (struct events){.fd = -1};
    int rc = rundir_path(path, sizeof(path), run, "tensorboard");
    if (rc == 0 && mkdir(path, 0777) != 0 && errno != EEXIST) rc = -errno;
    snprintf(name, sizeof(name),
             "tensorboard/events.out.tfevents.%010" PRIu64 ".softq",
             generation);
    if (rc == 0) rc = rundir_path(path, sizeof(path), run, name);
    if (rc != 0) return rc;
    events->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (events->fd < 0) return -errno;
    events->open = true;

    Events__Event version = EVENTS__EVENT__INIT, begin = EVENTS__EVENT__INIT;
    Events__SessionLog session = EVENTS__SESSION_LOG__INIT;
    version.has_wall_time = begin.has_wall_time = 1;
    version.wall_time = begin.wall_time = wall;
    version.file_version = (char *)"brain.Event:2";
    session.has_status = 1;
    session.status = EVENTS__SESSION_LOG__STATUS__START;
    // this step and later ones are forgotten: all of them without a checkpoint,
    // but not the checkpoint's own row
    begin.has_step = 1;
    begin.step = updates > 0 ? (int64_t)updates + 1 : 0;
    begin.session_log = &session;
    rc = append(events, &version);
    if (rc == 0) rc = append(events, &begin);
    if (rc != 0) events_finish(events);
    return rc;
}

void events_finish(struct events *events) {
    if (events->open) close(events->fd);
    *events = (struct events){.fd = -1};
}

bool events_room(const struct events *events) {
    return events->open && events->size < EVENTS_MOST;
}

bool events_due(struct events *events) {
    if (!events_room(events)) return false;
    const uint64_t every = UINT64_C(1) << events->size / EVENTS_SPARSER;
    return events->offered++ % every == 0;
}

static void fill_histogram(Events__Histogram *out, double *limits,
                           const struct events_shown *shown) {
    const struct events_histogram *h = shown->histogram;
    events__histogram__init(out);
    out->has_min = out->has_max = out->has_num = out->has_sum =
        out->has_sum_squares = 1;
    out->min = h->least;
    out->max = h->greatest;
    out->num = h->n;
    out->sum = h->sum;
    out->sum_squares = h->squares;
    out->n_bucket = out->n_bucket_limit = list_limits(shown->scale, limits);
    out->bucket_limit = limits;
    out->bucket = (double *)h->buckets;
}

void events_write(struct events *events, double wall, uint64_t step,
                  const struct events_scalar *scalars, size_t n_scalars,
                  const struct events_shown *shown, size_t n_shown) {
    enum { MOST = EVENTS_MOST_SCALARS + EVENTS_MOST_HISTOGRAMS };
    Events__Summary__Value values[MOST], *list[MOST];
    Events__Histogram histograms[EVENTS_MOST_HISTOGRAMS];
    double limits[EVENTS_MOST_HISTOGRAMS][EVENTS_BUCKETS];
    Events__Summary summary = EVENTS__SUMMARY__INIT;
    Events__Event event = EVENTS__EVENT__INIT;
    assert(n_scalars <= EVENTS_MOST_SCALARS);
    assert(n_shown <= EVENTS_MOST_HISTOGRAMS);

    summary.value = list;
    for (size_t i = 0; i < n_scalars; i++) {
        if (!isfinite(scalars[i].value)) continue;
        Events__Summary__Value *value = &values[summary.n_value];
        list[summary.n_value++] = value;
        events__summary__value__init(value);
        value->tag = (char *)scalars[i].tag;
        value->has_simple_value = 1;
        value->simple_value = (float)scalars[i].value;
    }
    for (size_t i = 0; i < n_shown; i++) {
        Events__Summary__Value *value = &values[summary.n_value];
        list[summary.n_value++] = value;
        events__summary__value__init(value);
        fill_histogram(&histograms[i], limits[i], &shown[i]);
        value->tag = (char *)shown[i].tag;
        value->histo = &histograms[i];
    }
    event.has_wall_time = 1;
    event.wall_time = wall;
    event.has_step = 1;
    event.step = (int64_t)step;
    event.summary = &summary;
    const int rc = append(events, &event);
    if (rc != 0 && !events->failed)
        log_warn("tensorboard: %s; going on without", strerror(-rc));
    events->failed = rc != 0;
}
