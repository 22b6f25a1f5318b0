#include "replay/dataset.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a column must be. */
struct rule {
    const char *name;
    const char *shape; /* in words */
    size_t rank;
    bool flag; /* 0 or 1 */
    bool optional;
    double most; /* |number| */
};

static const struct rule rules[DATASET_COLUMNS] = {
    [DATASET_OBSERVATIONS] = {"observations", "(rows, observation numbers)", 2,
                              .most = HUGE_VAL},
    [DATASET_ACTIONS] = {"actions", "(rows, action numbers)", 2, .most = 1},
    [DATASET_REWARDS] = {"rewards", "(rows,)", 1, .most = HUGE_VAL},
    [DATASET_NEXT_OBSERVATIONS] = {"next_observations",
                                   "the shape of observations", 2,
                                   .most = HUGE_VAL},
    [DATASET_TERMINALS] = {"terminals", "(rows,)", 1, .flag = true, .most = 1},
    [DATASET_TRUNCATIONS] = {"truncations", "(rows,)", 1, .flag = true,
                             .optional = true, .most = 1},
};

__attribute__((format(printf, 3, 4))) static int bad(char *why, size_t n,
                                                     const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(why, n, format, args);
    va_end(args);
    return -EBADMSG;
}

static int check_type(const struct rule *rule, const struct npz_array *array,
                      char *why, size_t n) {
    const bool real = array->type == NPZ_F4 || array->type == NPZ_F8;
    if (real || rule->flag) return 0;
    char text[96];
    npz_describe(array, text, sizeof text);
    return bad(why, n, "%s: %s, expected float32 or float64", rule->name, text);
}

/* Rank, rows, numbers a row; the first column sets them for those after it. */
static int check_shape(struct dataset *d, enum dataset_column column, char *why,
                       size_t n) {
    const struct rule *rule = &rules[column];
    const struct npz_array *array = &d->columns[column];
    bool ok = array->rank == rule->rank && array->shape[0] >= 1;
    if (ok && column == DATASET_OBSERVATIONS) {
        d->rows = array->shape[0];
        d->S = array->shape[1];
        ok = d->S >= 1;
    } else if (ok) {
        ok = array->shape[0] == d->rows;
    }
    if (ok && column == DATASET_ACTIONS) {
        d->A = array->shape[1];
        ok = d->A >= 1;
    } else if (ok && column == DATASET_NEXT_OBSERVATIONS) {
        ok = array->shape[1] == d->S;
    }
    if (ok) return 0;
    char text[96];
    npz_describe(array, text, sizeof text);
    if (column == DATASET_OBSERVATIONS)
        return bad(why, n, "%s: %s, expected %s, at least (1, 1)", rule->name,
                   text, rule->shape);
    return bad(why, n, "%s: %s, expected %s, with %" PRIu64 " rows%s",
               rule->name, text, rule->shape, d->rows,
               array->rank == 2 && rule->rank == 1 ? ": give it .ravel()" : "");
}

static int check_numbers(const struct dataset *d, enum dataset_column column,
                         char *why, size_t n) {
    const struct rule *rule = &rules[column];
    const struct npz_array *array = &d->columns[column];
    const size_t width = rule->rank == 2 ? array->shape[1] : 1;
    const size_t count = (size_t)d->rows * width;
    for (size_t i = 0; i < count; i++) {
        const double number = npz_number(array, i);
        const float kept = (float)number;
        const bool ok = isfinite(kept) && fabs((double)kept) <= rule->most &&
                        (!rule->flag || number == 0 || number == 1);
        if (ok) continue;
        return bad(why, n, "%s: %g in row %zu, expected %s", rule->name, number,
                   i / width,
                   rule->flag        ? "0 or 1"
                   : rule->most == 1 ? "numbers of [-1, 1]"
                                     : "finite float32 numbers");
    }
    return 0;
}

static int read_column(struct dataset *d, const void *bytes, size_t len,
                       enum dataset_column column, char *why, size_t n) {
    const struct rule *rule = &rules[column];
    struct npz_array *array = &d->columns[column];
    int rc = npz_read(array, bytes, len, rule->name, why, n);
    if (rc == -ENOENT && rule->optional) return 0;
    if (rc == -ENOENT)
        return bad(why, n,
                   "%s: there is no such array, expected observations, "
                   "actions, rewards, next_observations, terminals",
                   rule->name);
    if (rc == 0) rc = check_type(rule, array, why, n);
    if (rc == 0) rc = check_shape(d, column, why, n);
    if (rc == 0) rc = check_numbers(d, column, why, n);
    return rc;
}

/* FNV-1a of what tells two files apart. */
static void mix(uint64_t *id, uint64_t value) {
    for (int i = 0; i < 8; i++)
        *id = (*id ^ (value >> (8 * i) & 0xFF)) * UINT64_C(0x100000001b3);
}

int dataset_parse(struct dataset *d, const void *bytes, size_t len, char *why,
                  size_t n) {
    *d = (struct dataset){.id = UINT64_C(0xcbf29ce484222325)};
    for (int i = 0; i < DATASET_COLUMNS; i++) {
        int rc = read_column(d, bytes, len, (enum dataset_column)i, why, n);
        if (rc != 0) {
            dataset_close(d);
            return rc;
        }
        mix(&d->id, d->columns[i].crc);
    }
    mix(&d->id, d->rows);
    return 0;
}

static int map_file(const char *path, void **map, size_t *bytes, char *why,
                    size_t n) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st = {0};
    int rc = fd >= 0 && fstat(fd, &st) == 0 ? 0 : -errno;
    if (rc == 0 && !S_ISREG(st.st_mode)) rc = -EINVAL;
    if (rc == 0 && st.st_size == 0) rc = -ENODATA;
    if (rc == 0) {
        *bytes = (size_t)st.st_size;
        *map = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (*map == MAP_FAILED) rc = -errno;
    }
    if (rc != 0)
        snprintf(why, n, "%s: %s", path,
                 rc == -EINVAL    ? "not a file"
                 : rc == -ENODATA ? "empty, expected an .npz file"
                                  : strerror(-rc));
    if (fd >= 0) close(fd);
    return rc;
}

int dataset_open(struct dataset *dataset, const char *path, char *why,
                 size_t n) {
    void *map = NULL;
    size_t bytes = 0;
    char reason[256];
    *dataset = (struct dataset){0};
    int rc = map_file(path, &map, &bytes, why, n);
    if (rc != 0) return rc;
    rc = dataset_parse(dataset, map, bytes, reason, sizeof reason);
    if (rc != 0) {
        munmap(map, bytes);
        snprintf(why, n, "%s: %s", path, reason);
        return rc;
    }
    dataset->map = map;
    dataset->bytes = bytes;
    return 0;
}

void dataset_close(struct dataset *dataset) {
    for (int i = 0; i < DATASET_COLUMNS; i++) npz_finish(&dataset->columns[i]);
    if (dataset->map != NULL) munmap(dataset->map, dataset->bytes);
    *dataset = (struct dataset){0};
}

/* A row of a column. to out (n) */
static void copy(const struct npz_array *array, uint64_t row, float *to,
                 size_t n) {
    const size_t from = (size_t)row * n;
    if (array->type == NPZ_F4) {
        memcpy(to, array->data + 4 * from, 4 * n);
        return;
    }
    for (size_t i = 0; i < n; i++) to[i] = (float)npz_number(array, from + i);
}

static bool is_set(const struct npz_array *array, uint64_t row) {
    return array->data != NULL && npz_number(array, (size_t)row) != 0;
}

void dataset_row(const struct dataset *d, uint64_t number, struct batch *out) {
    assert(number < d->rows && out->S == d->S && out->A == d->A);
    assert(out->n < out->capacity);
    const size_t i = out->n++;
    copy(&d->columns[DATASET_OBSERVATIONS], number, out->s + i * d->S, d->S);
    copy(&d->columns[DATASET_ACTIONS], number, out->a + i * d->A, d->A);
    copy(&d->columns[DATASET_REWARDS], number, out->r + i, 1);
    copy(&d->columns[DATASET_NEXT_OBSERVATIONS], number, out->next + i * d->S,
         d->S);
    const bool terminal = is_set(&d->columns[DATASET_TERMINALS], number);
    const bool truncated = is_set(&d->columns[DATASET_TRUNCATIONS], number);
    out->flags[i] = (uint8_t)((terminal ? BATCH_TERMINAL : 0) |
                              (truncated ? BATCH_TRUNCATED : 0));
    out->version[i] = 0;
}
