#ifndef LEARNER_EVENTS_H
#define LEARNER_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What TensorBoard shows of a run: one file a learner,
 *
 *   RUN/tensorboard/events.out.tfevents.<generation>.softq   (10 digits)
 *
 * of checksummed records (TFRecord), each a protobuf Event. A file begins with
 * a start of session, by which TensorBoard forgets what earlier learners wrote
 * beyond the update that this one goes on from.
 *
 * Bounded: with every EVENTS_SPARSER bytes of a file half as many rows are
 * written, so that it grows with the logarithm of its time; it ends at
 * EVENTS_MOST.
 */
enum {
    EVENTS_SPARSER = 16 << 20,
    EVENTS_MOST = 256 << 20,
    EVENTS_BUCKETS = 24,
    EVENTS_MOST_SCALARS = 64,
    EVENTS_MOST_HISTOGRAMS = 32,
};

/* A value under a tag as "replay/staleness"; one that is not finite is left
 * out. */
struct events_scalar {
    const char *tag;
    double value;
};

/* Counts of numbers since it was last written or zeroed. */
struct events_histogram {
    double n, sum, squares, least, greatest;
    double buckets[EVENTS_BUCKETS];
};

/* Buckets of a tenth on [-1, 1] (a is brought into it), or of powers of two: 0,
 * 1, 2 to 3, 4 to 7 ... */
void events_count_action(struct events_histogram *histogram, double a);
void events_count_age(struct events_histogram *histogram, uint64_t age);

enum events_scale { EVENTS_ACTION, EVENTS_AGE };
struct events_shown {
    const char *tag;
    enum events_scale scale;
    const struct events_histogram *histogram; /* n > 0 */
};

struct events {
    bool open;
    int fd;
    bool failed;      /* the last row was not written */
    uint64_t offered; /* rows */
    uint64_t size;    /* of the file: whole records */
};

/*
 * Begin the file of this generation's learner, which goes on after `updates`
 * updates. wall: seconds of 1970. Returns 0 or a negative errno; then nothing
 * is to be finished and events_due() is never.
 */
int events_start(struct events *events, const char *run, uint64_t generation,
                 uint64_t updates, double wall);
void events_finish(struct events *events);

/* Once a row of progress.csv: is it one to be written? */
bool events_due(struct events *events);

/* Is there room for an event of another time? */
bool events_room(const struct events *events);

/* Append one event. What does not go onto a full disk whole is taken back, said
 * once, and never stops us. */
void events_write(struct events *events, double wall, uint64_t step,
                  const struct events_scalar *scalars, size_t n_scalars,
                  const struct events_shown *shown, size_t n_shown);

#endif
