/*
 * Transitions to import: replay/dataset.h. The first byte says whether the rest
 * is a file (0), or the members of one: as many as it says, each a length of
 * two bytes and so many bytes of an npy array, stored, with its sum mended.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "replay/dataset.h"
#include "tests/fuzz/fuzz.h"

enum { MOST = 1 << 19, COLUMNS = 6 };

static const char *const names[COLUMNS] = {
    "observations.npy", "actions.npy",     "rewards.npy",
    "terminals.npy",    "truncations.npy", "next_observations.npy"};

static void put(uint8_t *to, size_t *n, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++) to[(*n)++] = (uint8_t)(value >> (8 * i));
}

/* What both a member's header and its entry hold. */
static void put_facts(uint8_t *to, size_t *n, uint32_t crc, size_t len,
                      const char *name) {
    put(to, n, 20, 2), put(to, n, 0, 8);
    put(to, n, crc, 4), put(to, n, len, 4), put(to, n, len, 4);
    put(to, n, strlen(name), 2), put(to, n, 0, 2);
}

static void put_text(uint8_t *to, size_t *n, const void *text, size_t len) {
    memcpy(to + *n, text, len);
    *n += len;
}

/* A zip of the members; its length. */
static size_t pack(struct fuzz_bytes *from, size_t members, uint8_t *to) {
    static uint8_t entries[1024], member[UINT16_MAX];
    size_t n = 0, n_entries = 0;
    for (size_t i = 0; i < members; i++) {
        uint16_t len = 0;
        const size_t at = n;
        fuzz_take(from, &len, sizeof len);
        if (len > from->left) len = (uint16_t)from->left;
        fuzz_take(from, member, len);
        const uint32_t crc = (uint32_t)crc32_z(0, member, len);
        put(to, &n, 0x04034b50, 4);
        put_facts(to, &n, crc, len, names[i]);
        put_text(to, &n, names[i], strlen(names[i]));
        put_text(to, &n, member, len);
        put(entries, &n_entries, 0x02014b50, 4);
        put(entries, &n_entries, 20, 2);
        put_facts(entries, &n_entries, crc, len, names[i]);
        put(entries, &n_entries, 0, 8), put(entries, &n_entries, 0, 2);
        put(entries, &n_entries, at, 4);
        put_text(entries, &n_entries, names[i], strlen(names[i]));
    }
    const size_t directory = n;
    put_text(to, &n, entries, n_entries);
    put(to, &n, 0x06054b50, 4), put(to, &n, 0, 4);
    put(to, &n, members, 2), put(to, &n, members, 2);
    put(to, &n, n_entries, 4), put(to, &n, directory, 4), put(to, &n, 0, 2);
    return n;
}

/* Rows are what the header promises. */
static void check_row(const struct dataset *d, uint64_t number) {
    struct batch row;
    fuzz_check(batch_init(&row, 1, d->S, d->A) == 0, "no memory");
    dataset_row(d, number, &row);
    fuzz_check(row.n == 1 && batch_first_non_finite(&row) == 1,
               "a number that is none");
    for (size_t i = 0; i < d->A; i++)
        fuzz_check(fabsf(row.a[i]) <= 1, "an action beyond 1");
    fuzz_check(row.flags[0] <= 3, "a flag that is none");
    batch_finish(&row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct fuzz_bytes from = {data, len};
    const size_t members = fuzz_byte(&from) % (COLUMNS + 1);
    struct dataset d;
    char why[512] = "";
    uint8_t *file = NULL;
    size_t n = from.left;
    if (members > 0) {
        file = malloc(MOST);
        fuzz_check(file != NULL, "no memory");
        n = pack(&from, members, file);
        file = realloc(file, n); /* so that its end is seen */
    }
    int rc =
        dataset_parse(&d, members > 0 ? file : from.at, n, why, sizeof why);
    fuzz_check(rc == 0 || why[0] != '\0', "refused without a word");
    fuzz_check(strchr(why, '\n') == NULL, "refused in several lines");
    if (rc == 0) {
        fuzz_check(d.rows >= 1 && d.S >= 1 && d.A >= 1, "without rows");
        for (uint64_t i = 0; i < d.rows && i < 100; i++) check_row(&d, i);
        check_row(&d, d.rows - 1);
    }
    dataset_close(&d);
    free(file);
    return 0;
}
