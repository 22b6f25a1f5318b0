#include "learner/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/rundir.h"

enum { N_COUNTERS = 9, N_NOTES = 6, NAME_LEN = 10 + 1 + 12 + 12 };

static size_t element_size(enum tensors_type type) {
    return type == TENSORS_F32 ? 4 : 8;
}

static size_t data_size(const struct tensors_entry *entry) {
    size_t n = element_size(entry->type);
    for (size_t i = 0; i < entry->rank; i++) n *= entry->shape[i];
    return n;
}

struct checkpoint *checkpoint_copy(const struct tensors_entry *entries,
                                   size_t n) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += (data_size(&entries[i]) + 7) & ~7u;
    struct checkpoint *checkpoint = calloc(1, sizeof(*checkpoint));
    struct tensors_entry *copies = calloc(n + 1, sizeof(*copies));
    char *block = malloc(bytes + 1);
    if (checkpoint == NULL || copies == NULL || block == NULL) {
        free(checkpoint);
        free(copies);
        free(block);
        return NULL;
    }
    checkpoint->tensors.n = n;
    checkpoint->tensors.entries = copies;
    checkpoint->copy = block;
    for (size_t i = 0; i < n; i++) {
        copies[i] = entries[i];
        copies[i].data = block;
        memcpy(block, entries[i].data, data_size(&entries[i]));
        block += (data_size(&entries[i]) + 7) & ~(size_t)7;
    }
    return checkpoint;
}

void checkpoint_free(struct checkpoint *checkpoint) {
    if (checkpoint == NULL) return;
    if (checkpoint->copy != NULL) {
        free(checkpoint->tensors.entries);
        free(checkpoint->copy);
    } else {
        tensors_finish(&checkpoint->tensors);
    }
    free(checkpoint);
}

/* A counter as it stands in the file: one number, rank 0. */
struct counter {
    const char *name;
    enum tensors_type type;
    union {
        uint64_t u;
        double d;
    };
};

static void list_counters(struct counter list[N_COUNTERS],
                          const struct checkpoint_counters *c) {
    const struct counter all[N_COUNTERS] = {
        {"counter.generation", TENSORS_U64, {.u = c->generation}},
        {"counter.updates", TENSORS_U64, {.u = c->updates}},
        {"counter.noise", TENSORS_U64, {.u = c->rng_counter}},
        {"limiter.inserted", TENSORS_U64, {.u = (uint64_t)c->limiter.inserted}},
        {"limiter.updates", TENSORS_U64, {.u = (uint64_t)c->limiter.updates}},
        {"limiter.u0", TENSORS_U64, {.u = (uint64_t)c->limiter.u0}},
        {"limiter.i0", TENSORS_U64, {.u = (uint64_t)c->limiter.i0}},
        {"limiter.warm", TENSORS_U64, {.u = c->limiter.warm}},
        {"limiter.ratio", TENSORS_F64, {.d = c->limiter.ratio}},
    };
    memcpy(list, all, sizeof(all));
}

static void take_counters(struct checkpoint_counters *c,
                          const struct counter list[N_COUNTERS]) {
    *c = (struct checkpoint_counters){
        .generation = list[0].u,
        .updates = list[1].u,
        .rng_counter = list[2].u,
        .limiter = {.inserted = (int64_t)list[3].u,
                    .updates = (int64_t)list[4].u,
                    .u0 = (int64_t)list[5].u,
                    .i0 = (int64_t)list[6].u,
                    .warm = list[7].u != 0,
                    .ratio = list[8].d},
    };
}

/* <generation>-<updates>.safetensors and what comes behind. */
static bool is_named(const char *name, const char *behind) {
    uint64_t generation, updates;
    int end = -1;
    sscanf(name, "%10" SCNu64 "-%12" SCNu64 ".safetensors%n", &generation,
           &updates, &end);
    return end == NAME_LEN && strcmp(name + end, behind) == 0;
}

static int newest_first(const void *x, const void *y) {
    return strcmp(y, x);
}

/* Names of the run's checkpoints, newest first, malloc'ed; their number or a
 * negative errno. */
static long list_files(char (**names)[NAME_LEN + 1], const char *folder) {
    DIR *dir = opendir(folder);
    if (dir == NULL) return -errno;
    size_t n = 0, room = 0;
    *names = NULL;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (!is_named(entry->d_name, "")) continue;
        if (n == room) {
            room = 2 * room + 16;
            void *more = realloc(*names, room * sizeof(**names));
            if (more == NULL) {
                free(*names);
                closedir(dir);
                return -ENOMEM;
            }
            *names = more;
        }
        memcpy((*names)[n++], entry->d_name, NAME_LEN + 1);
    }
    closedir(dir);
    if (n > 1) qsort(*names, n, sizeof(**names), newest_first);
    return (long)n;
}

static uint64_t generation_of(const char *name) {
    return strtoull(name, NULL, 10);
}

static uint64_t updates_of(const char *name) {
    return strtoull(name + 11, NULL, 10); // after the generation
}

/* What learners that were killed left of checkpoints they wrote; ours is whole.
 */
static void remove_halves(const char *folder) {
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (is_named(entry->d_name, ".tmp"))
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir != NULL) closedir(dir);
}

/*
 * A file stays for good when none before it has reached its multiple of every.
 * The one that did is among those that stay, so a file never becomes the first
 * by what is removed.
 */
static void prune(const char *folder, size_t keep, uint64_t every) {
    char(*names)[NAME_LEN + 1] = NULL;
    long n = list_files(&names, folder);
    uint64_t reached = 0;
    for (long i = n - 1; i >= (long)keep; i--) {
        char path[4096];
        const uint64_t multiple = every > 0 ? updates_of(names[i]) / every : 0;
        if (multiple > reached) {
            reached = multiple;
            continue;
        }
        int len = snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        if (len < (int)sizeof(path)) unlink(path); // next time, if it fails
    }
    if (n >= 0) free(names);
}

int checkpoint_write(const struct checkpoint *checkpoint, const char *run,
                     size_t keep, uint64_t every) {
    const size_t n = checkpoint->tensors.n;
    char folder[3072], path[4096], S[24], A[24], units[24];
    int rc = rundir_path(folder, sizeof(folder), run, "checkpoints");
    if (rc != 0) return rc;
    snprintf(path, sizeof(path), "%s/%010" PRIu64 "-%012" PRIu64 ".safetensors",
             folder, checkpoint->counters.generation,
             checkpoint->counters.updates);
    snprintf(S, sizeof(S), "%" PRIu64, checkpoint->S);
    snprintf(A, sizeof(A), "%" PRIu64, checkpoint->A);
    snprintf(units, sizeof(units), "%" PRIu64, checkpoint->units);

    struct tensors_entry *entries = calloc(n + N_COUNTERS, sizeof(*entries));
    if (entries == NULL) return -ENOMEM;
    memcpy(entries, checkpoint->tensors.entries, n * sizeof(*entries));
    struct counter list[N_COUNTERS];
    list_counters(list, &checkpoint->counters);
    for (size_t i = 0; i < N_COUNTERS; i++) {
        struct tensors_entry *entry = &entries[n + i];
        snprintf(entry->name, sizeof(entry->name), "%s", list[i].name);
        entry->type = list[i].type;
        entry->data = &list[i].u;
    }
    struct tensors_note notes[N_NOTES] = {
        {"task", (char *)checkpoint->task},
        {"obs_dim", S},
        {"act_dim", A},
        {"units", units},
        {"algorithm", (char *)checkpoint->algorithm},
        {"format", "1"},
    };
    const struct tensors file = {.n = n + N_COUNTERS,
                                 .n_notes = N_NOTES,
                                 .entries = entries,
                                 .notes = notes};
    rc = tensors_write(path, &file);
    free(entries);
    if (rc == 0) {
        remove_halves(folder);
        prune(folder, keep, every);
    }
    return rc;
}

static int read_number(uint64_t *x, const struct tensors *tensors,
                       const char *key) {
    const char *text = tensors_note(tensors, key);
    int end = -1;
    if (text == NULL || sscanf(text, "%10" SCNu64 "%n", x, &end) != 1 ||
        text[end] != '\0') {
        return -EBADMSG;
    }
    return 0;
}

static int read_notes(struct checkpoint *checkpoint, char *why, size_t n) {
    const struct tensors *tensors = &checkpoint->tensors;
    const char *task = tensors_note(tensors, "task");
    const char *format = tensors_note(tensors, "format");
    if (format == NULL || strcmp(format, "1") != 0) {
        snprintf(why, n, "format %s, expected 1", format ? format : "missing");
        return -EBADMSG;
    }
    if (task == NULL || strlen(task) >= sizeof(checkpoint->task) ||
        read_number(&checkpoint->S, tensors, "obs_dim") != 0 ||
        read_number(&checkpoint->A, tensors, "act_dim") != 0 ||
        read_number(&checkpoint->units, tensors, "units") != 0) {
        snprintf(why, n, "task, obs_dim, act_dim or units is missing");
        return -EBADMSG;
    }
    const char *algorithm = tensors_note(tensors, "algorithm");
    snprintf(checkpoint->task, sizeof(checkpoint->task), "%s", task);
    snprintf(checkpoint->algorithm, sizeof(checkpoint->algorithm), "%.15s",
             algorithm != NULL ? algorithm : "");
    return 0;
}

static int read_counters(struct checkpoint *checkpoint, char *why, size_t n) {
    struct counter list[N_COUNTERS];
    list_counters(list, &checkpoint->counters);
    for (size_t i = 0; i < N_COUNTERS; i++) {
        const struct tensors_entry *entry =
            tensors_find(&checkpoint->tensors, list[i].name);
        if (entry == NULL || entry->type != list[i].type ||
            data_size(entry) != 8) {
            snprintf(why, n, "%s is missing", list[i].name);
            return -EBADMSG;
        }
        memcpy(&list[i].u, entry->data, 8);
    }
    take_counters(&checkpoint->counters, list);
    return 0;
}

int checkpoint_read(struct checkpoint **out, const char *path, char *why,
                    size_t n) {
    struct checkpoint *checkpoint = calloc(1, sizeof(*checkpoint));
    if (checkpoint == NULL) return -ENOMEM;
    int rc = tensors_read(&checkpoint->tensors, path, why, n);
    if (rc != 0) {
        free(checkpoint);
        return rc;
    }
    rc = read_notes(checkpoint, why, n);
    if (rc == 0) rc = read_counters(checkpoint, why, n);
    if (rc != 0) {
        checkpoint_free(checkpoint);
        return rc;
    }
    *out = checkpoint;
    return 0;
}

/* A newer one than the one that is used. */
static void pass_over(const char *path, const char *why) {
    // what is wrong with the file itself names it already
    const bool named = strncmp(why, path, strlen(path)) == 0;
    log_warn("checkpoint %s%s%s; trying the one before it", named ? "" : path,
             named ? "" : ": ", why);
}

int checkpoint_newest(struct checkpoint **out, const char *run,
                      int (*fits)(const struct checkpoint *checkpoint,
                                  const void *data, char *why, size_t n),
                      const void *data) {
    char folder[3072], unfit_why[512] = "", unfit_path[4096] = "";
    int rc = rundir_path(folder, sizeof(folder), run, "checkpoints");
    if (rc != 0) return rc;
    char(*names)[NAME_LEN + 1] = NULL;
    long n = list_files(&names, folder);
    if (n < 0) return (int)n;

    struct checkpoint *unfit = NULL; // the newest of those
    rc = n == 0 ? -ENOENT : -EBADMSG;
    for (long i = 0; i < n && rc == -EBADMSG; i++) {
        char path[4096], why[512] = "";
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        rc = checkpoint_read(out, path, why, sizeof(why));
        if (rc != 0) {
            pass_over(path, why[0] != '\0' ? why : strerror(-rc));
            rc = -EBADMSG;
            continue;
        }
        rc = fits != NULL ? fits(*out, data, why, sizeof(why)) : 0;
        if (rc == 0) break;
        if (rc != -ENOMEM) rc = -EBADMSG;
        if (rc == -ENOMEM || unfit != NULL) {
            checkpoint_free(*out);
            continue;
        }
        unfit = *out;
        memcpy(unfit_path, path, sizeof(path));
        memcpy(unfit_why, why, sizeof(why));
    }
    free(names);
    if (rc == -EBADMSG && unfit != NULL) {
        *out = unfit;
        return 0;
    }
    if (rc == 0 && unfit != NULL) pass_over(unfit_path, unfit_why);
    checkpoint_free(unfit);
    return rc;
}

uint64_t checkpoint_last_generation(const char *run) {
    char folder[3072];
    char(*names)[NAME_LEN + 1] = NULL;
    if (rundir_path(folder, sizeof(folder), run, "checkpoints") != 0) return 0;
    const long n = list_files(&names, folder);
    if (n < 0) return 0;
    const uint64_t generation = n > 0 ? generation_of(names[0]) : 0;
    free(names);
    return generation;
}
