#include "replay/npz_write.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    LOCAL = 30 + 20,       /* bytes of a member's header but its name */
    ENTRY = 46 + 28,       /* of its entry in the directory, likewise */
    END = 56 + 20 + 22,    /* of the archive's end */
    ARRAY = 128,           /* of an npy header: whatever the shape */
    BLOCK = 65536,         /* at least one row */
    VERSION = 45,          /* the first that knows Zip64 */
    MADE_BY_UNIX = 3 << 8, /* the permissions are Unix's */
    DAY_ONE = 1 << 5 | 1,  /* 1980-01-01: same rows, same bytes */
    SAYS_ZIP64 = 0xFFFF,   /* "see the Zip64 record" */
    NAME = 64,
};
static const uint32_t SAYS_ZIP64_TOO = UINT32_MAX;

/* Little-endian fields one after another. */
struct bytes {
    uint8_t at[LOCAL + ENTRY + END + NAME];
    size_t n;
};

static void put(struct bytes *to, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++)
        to->at[to->n++] = (uint8_t)(value >> (8 * i));
}

static void put_text(struct bytes *to, const char *text) {
    memcpy(to->at + to->n, text, strlen(text));
    to->n += strlen(text);
}

static size_t width_of(const struct npz_write_column *column) {
    return column->size * (column->width > 0 ? column->width : 1);
}

/* "observations.npy" */
static size_t member_name(const struct npz_write_column *column,
                          char name[NAME]) {
    const int n = snprintf(name, NAME, "%s.npy", column->name);
    assert(n > 0 && n < NAME);
    return (size_t)n;
}

int npz_write_start(struct npz_write *out, const char *path,
                    const struct npz_write_column *columns, size_t n,
                    uint64_t most) {
    assert(n <= NPZ_WRITE_COLUMNS);
    *out = (struct npz_write){.most = most, .n = n};
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        struct npz_write_place *place = &out->places[i];
        const size_t width = width_of(&columns[i]);
        char name[NAME];
        *place = (struct npz_write_place){.column = columns[i], .offset = at};
        place->room = width > BLOCK ? width : BLOCK / width * width;
        place->block = malloc(place->room);
        at += LOCAL + member_name(&columns[i], name) + ARRAY + most * width;
        if (place->block == NULL) break;
    }
    int rc = n > 0 && out->places[n - 1].block == NULL
                 ? -ENOMEM
                 : replace_start(&out->file, path);
    for (size_t i = 0; rc != 0 && i < n; i++) free(out->places[i].block);
    return rc;
}

static void flush(struct npz_write *out, struct npz_write_place *place) {
    char name[NAME];
    const uint64_t from = place->offset + LOCAL +
                          member_name(&place->column, name) + ARRAY +
                          place->length;
    place->crc = (uint32_t)crc32_z(place->crc, place->block, place->used);
    replace_write_at(&out->file, place->block, place->used, from);
    place->length += place->used;
    place->used = 0;
}

void npz_write_row(struct npz_write *out, const void *const *cells) {
    assert(out->rows < out->most);
    for (size_t i = 0; i < out->n; i++) {
        struct npz_write_place *place = &out->places[i];
        const size_t width = width_of(&place->column);
        memcpy(place->block + place->used, cells[i], width);
        place->used += width;
        if (place->used == place->room) flush(out, place);
    }
    out->rows++;
}

/* The head of an array as npy's version 1.0 has it. */
static void array_head(const struct npz_write *out,
                       const struct npz_write_column *column,
                       uint8_t head[ARRAY]) {
    char columns[24] = "";
    if (column->width > 0)
        snprintf(columns, sizeof columns, " %zu", column->width);
    memcpy(head, "\x93NUMPY\1\0", 8);
    head[8] = ARRAY - 10;
    head[9] = 0;
    const int n = snprintf((char *)head + 10, ARRAY - 10,
                           "{'descr': '%s', 'fortran_order': False, 'shape': "
                           "(%" PRIu64 ",%s), }",
                           column->dtype, out->rows, columns);
    assert(n > 0 && n < ARRAY - 11);
    memset(head + 10 + n, ' ', (size_t)(ARRAY - 11 - n));
    head[ARRAY - 1] = '\n';
}

/* Its headers, now that rows and sums are known. */
static void close_member(struct npz_write *out,
                         const struct npz_write_place *place,
                         uint32_t *crc_out) {
    struct bytes local = {.n = 0};
    uint8_t head[ARRAY];
    char name[NAME];
    const size_t name_len = member_name(&place->column, name);
    array_head(out, &place->column, head);
    const uint64_t size = ARRAY + place->length;
    const uint32_t crc = (uint32_t)crc32_combine(
        crc32_z(0, head, ARRAY), place->crc, (z_off_t)place->length);
    *crc_out = crc;

    put(&local, 0x04034b50, 4);
    put(&local, VERSION, 2);
    put(&local, 0, 2 + 2); /* flags; stored as it is */
    put(&local, 0, 2);
    put(&local, DAY_ONE, 2);
    put(&local, crc, 4);
    put(&local, SAYS_ZIP64_TOO, 4);
    put(&local, SAYS_ZIP64_TOO, 4);
    put(&local, name_len, 2);
    put(&local, 20, 2);
    put_text(&local, name);
    put(&local, 1, 2); /* Zip64: both sizes */
    put(&local, 16, 2);
    put(&local, size, 8);
    put(&local, size, 8);
    replace_write_at(&out->file, local.at, local.n, place->offset);
    replace_write_at(&out->file, head, ARRAY, place->offset + local.n);
}

static void put_entry(struct bytes *to, const struct npz_write_place *place,
                      uint32_t crc) {
    char name[NAME];
    const size_t name_len = member_name(&place->column, name);
    put(to, 0x02014b50, 4);
    put(to, MADE_BY_UNIX | VERSION, 2);
    put(to, VERSION, 2);
    put(to, 0, 2 + 2);
    put(to, 0, 2);
    put(to, DAY_ONE, 2);
    put(to, crc, 4);
    put(to, SAYS_ZIP64_TOO, 4);
    put(to, SAYS_ZIP64_TOO, 4);
    put(to, name_len, 2);
    put(to, 28, 2);
    put(to, 0, 2 + 2 + 2); /* no comment, first disk, nothing special */
    put(to, (uint64_t)0100644 << 16, 4);
    put(to, SAYS_ZIP64_TOO, 4);
    put_text(to, name);
    put(to, 1, 2); /* Zip64: both sizes and the place */
    put(to, 24, 2);
    put(to, ARRAY + place->length, 8);
    put(to, ARRAY + place->length, 8);
    put(to, place->offset, 8);
}

static void put_end(struct bytes *to, uint64_t n, uint64_t from,
                    uint64_t size) {
    put(to, 0x06064b50, 4); /* Zip64's end */
    put(to, 56 - 12, 8);
    put(to, MADE_BY_UNIX | VERSION, 2);
    put(to, VERSION, 2);
    put(to, 0, 4 + 4);
    put(to, n, 8);
    put(to, n, 8);
    put(to, size, 8);
    put(to, from, 8);
    put(to, 0x07064b50, 4); /* where that is */
    put(to, 0, 4);
    put(to, from + size, 8);
    put(to, 1, 4);
    put(to, 0x06054b50, 4); /* the end that everyone looks for */
    put(to, 0, 2 + 2);
    put(to, SAYS_ZIP64, 2);
    put(to, SAYS_ZIP64, 2);
    put(to, SAYS_ZIP64_TOO, 4);
    put(to, SAYS_ZIP64_TOO, 4);
    put(to, 0, 2);
}

static void release(struct npz_write *out) {
    for (size_t i = 0; i < out->n; i++) free(out->places[i].block);
    out->n = 0;
}

int npz_write_finish(struct npz_write *out) {
    const struct npz_write_place *last = &out->places[out->n - 1];
    char name[NAME];
    const uint64_t from = last->offset + LOCAL +
                          member_name(&last->column, name) + ARRAY +
                          out->most * width_of(&last->column);
    uint64_t at = from;
    for (size_t i = 0; i < out->n; i++) {
        struct npz_write_place *place = &out->places[i];
        struct bytes entry = {.n = 0};
        uint32_t crc = 0;
        flush(out, place);
        close_member(out, place, &crc);
        put_entry(&entry, place, crc);
        replace_write_at(&out->file, entry.at, entry.n, at);
        at += entry.n;
    }
    struct bytes end = {.n = 0};
    put_end(&end, out->n, from, at - from);
    replace_write_at(&out->file, end.at, end.n, at);
    out->bytes = at + end.n;
    release(out);
    return replace_finish(&out->file);
}

void npz_write_abandon(struct npz_write *out) {
    release(out);
    replace_abandon(&out->file);
}
