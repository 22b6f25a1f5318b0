#include "replay/npz.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    END = 22,             /* bytes of the archive's end */
    MOST_COMMENT = 65535, /* behind it */
    END64 = 56,
    LOCATOR64 = 20,
    ENTRY = 46,
    LOCAL = 30,
    MOST_HEAD = 4096,     /* of an npy header */
    MOST_DEFLATED = 1100, /* deflate makes a byte of at most 1032 */
    STORED = 0,
    DEFLATED = 8,
};

/* What every step needs: the bytes, and where to say what is wrong. */
struct reading {
    const uint8_t *bytes;
    uint64_t len;
    const char *name;
    char *why;
    size_t n;
};

struct member {
    unsigned method, flags;
    uint32_t crc;
    uint64_t packed, size, offset;
    const uint8_t *data; /* (packed) */
};

__attribute__((format(printf, 2, 3))) static int bad(const struct reading *r,
                                                     const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(r->why, r->n, format, args);
    va_end(args);
    return -EBADMSG;
}

static uint64_t load(const uint8_t *at, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

/* Are there size bytes from offset on? */
static bool within(const struct reading *r, uint64_t offset, uint64_t size) {
    return offset <= r->len && size <= r->len - offset;
}

/* ---- the zip archive ---- */

/* The end is the last one that its comment's length agrees with. */
static const uint8_t *find_end(const struct reading *r) {
    for (uint64_t comment = 0;
         comment <= MOST_COMMENT && within(r, 0, END + comment); comment++) {
        const uint8_t *at = r->bytes + r->len - END - comment;
        if (load(at, 4) == 0x06054b50 && load(at + 20, 2) == comment) return at;
    }
    return NULL;
}

static int find_directory(const struct reading *r, uint64_t *from,
                          uint64_t *size, uint64_t *entries) {
    const uint8_t *end = find_end(r);
    if (end == NULL) return bad(r, "not an .npz file, or cut: no end of a zip");
    *entries = load(end + 10, 2);
    *size = load(end + 12, 4);
    *from = load(end + 16, 4);
    const uint64_t at = (uint64_t)(end - r->bytes);
    if (*entries == UINT16_MAX || *size == UINT32_MAX || *from == UINT32_MAX) {
        const uint8_t *locator = end - LOCATOR64;
        if (at < LOCATOR64 || load(locator, 4) != 0x07064b50)
            return bad(r, "a Zip64 archive without its locator");
        const uint64_t end64 = load(locator + 8, 8);
        if (!within(r, end64, END64) || load(r->bytes + end64, 4) != 0x06064b50)
            return bad(r, "a Zip64 archive without its end");
        *entries = load(r->bytes + end64 + 32, 8);
        *size = load(r->bytes + end64 + 40, 8);
        *from = load(r->bytes + end64 + 48, 8);
    }
    if (!within(r, *from, *size) || *entries > *size / ENTRY)
        return bad(r, "the zip's directory lies outside the file: it is cut");
    return 0;
}

/* What did not fit into 32 bits stands in the extra field, in this order. */
static int widen(const struct reading *r, const uint8_t *extra, size_t left,
                 struct member *m) {
    uint64_t *const fields[] = {&m->size, &m->packed, &m->offset};
    while (left >= 4) {
        const size_t id = load(extra, 2), len = load(extra + 2, 2);
        extra += 4, left -= 4;
        if (len > left) break;
        for (size_t i = 0, at = 0; id == 1 && i < 3; i++) {
            if (*fields[i] != UINT32_MAX) continue;
            if (at + 8 > len) return bad(r, "%s: a short Zip64 field", r->name);
            *fields[i] = load(extra + at, 8);
            at += 8;
        }
        if (id == 1) return 0;
        extra += len, left -= len;
    }
    return 0;
}

/* Is this entry's name that of the array? */
static bool names(const uint8_t *name, size_t len, const char *array) {
    const size_t n = strlen(array);
    return len == n + 4 && memcmp(name, array, n) == 0 &&
           memcmp(name + n, ".npy", 4) == 0;
}

static int find_entry(const struct reading *r, struct member *m) {
    uint64_t at = 0, size = 0, entries = 0;
    int rc = find_directory(r, &at, &size, &entries);
    if (rc != 0) return rc;
    const uint64_t end = at + size;
    for (uint64_t i = 0; i < entries; i++) {
        const uint8_t *entry = r->bytes + at;
        if (end - at < ENTRY || load(entry, 4) != 0x02014b50)
            return bad(r, "the zip's directory is damaged");
        const size_t name = load(entry + 28, 2), extra = load(entry + 30, 2);
        const uint64_t whole = ENTRY + name + extra + load(entry + 32, 2);
        if (whole > end - at) return bad(r, "the zip's directory is damaged");
        at += whole;
        if (!names(entry + ENTRY, name, r->name)) continue;
        *m = (struct member){.flags = (unsigned)load(entry + 8, 2),
                             .method = (unsigned)load(entry + 10, 2),
                             .crc = (uint32_t)load(entry + 16, 4),
                             .packed = load(entry + 20, 4),
                             .size = load(entry + 24, 4),
                             .offset = load(entry + 42, 4)};
        return widen(r, entry + ENTRY + name, extra, m);
    }
    snprintf(r->why, r->n, "%s: there is no such array", r->name);
    return -ENOENT;
}

static int find_member(const struct reading *r, struct member *m) {
    int rc = find_entry(r, m);
    if (rc != 0) return rc;
    if ((m->flags & 1) != 0) return bad(r, "%s: encrypted", r->name);
    if (m->method != STORED && m->method != DEFLATED)
        return bad(r,
                   "%s: compressed by method %u, expected stored (0) or "
                   "deflated (8)",
                   r->name, m->method);
    if (!within(r, m->offset, LOCAL) ||
        load(r->bytes + m->offset, 4) != 0x04034b50)
        return bad(r, "%s: its place in the zip holds something else", r->name);
    const uint8_t *local = r->bytes + m->offset;
    const uint64_t head = LOCAL + load(local + 26, 2) + load(local + 28, 2);
    if (!within(r, m->offset, head) || !within(r, m->offset + head, m->packed))
        return bad(r, "%s: reaches beyond the file: it is cut", r->name);
    if (m->method == STORED && m->packed != m->size)
        return bad(r, "%s: stored, but of two sizes", r->name);
    m->data = local + head;
    return 0;
}

/* ---- the npy header ---- */

/* A Python literal, as far as numpy writes one. */
struct literal {
    const char *at, *end;
};

static bool take(struct literal *text, const char *token) {
    while (text->at < text->end && *text->at == ' ') text->at++;
    const size_t n = strlen(token);
    if ((size_t)(text->end - text->at) < n || memcmp(text->at, token, n) != 0)
        return false;
    text->at += n;
    return true;
}

/* '...' into word, cut to fit. */
static bool take_quoted(struct literal *text, char *word, size_t n) {
    if (!take(text, "'")) return false;
    const char *close = memchr(text->at, '\'', (size_t)(text->end - text->at));
    if (close == NULL) return false;
    snprintf(word, n, "%.*s", (int)(close - text->at), text->at);
    text->at = close + 1;
    return true;
}

static bool take_number(struct literal *text, size_t *number) {
    uint64_t value = 0;
    bool any = false;
    take(text, ""); /* spaces */
    for (; text->at < text->end && isdigit((unsigned char)*text->at);
         text->at++, any = true) {
        const unsigned digit = (unsigned)(*text->at - '0');
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return false;
    }
    *number = value;
    return any;
}

/* "(3, 4)", "(3,)", "()" */
static bool take_shape(struct literal *text, struct npz_array *array) {
    if (!take(text, "(")) return false;
    for (array->rank = 0; !take(text, ")"); array->rank++) {
        if (array->rank == NPZ_RANK ||
            !take_number(text, &array->shape[array->rank]))
            return false;
        if (!take(text, ",") && text->at < text->end && *text->at != ')')
            return false;
    }
    return true;
}

static int set_type(const struct reading *r, struct npz_array *array,
                    const char *word) {
    static const struct {
        const char *word;
        enum npz_type type;
        size_t size;
    } types[] = {{"<f4", NPZ_F4, 4},
                 {"<f8", NPZ_F8, 8},
                 {"|b1", NPZ_BOOL, 1},
                 {"|u1", NPZ_U1, 1}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(word, types[i].word) != 0) continue;
        array->type = types[i].type;
        array->size = types[i].size;
        return 0;
    }
    return bad(r,
               "%s: dtype '%s', expected '<f4', '<f8', '|b1' or '|u1' "
               "(float32, float64, bool or uint8, little-endian)",
               r->name, word);
}

static int parse_dict(const struct reading *r, struct literal text,
                      struct npz_array *array) {
    char key[24] = "", type[32] = "";
    bool fortran = false, shaped = false, ordered = false;
    if (!take(&text, "{")) return bad(r, "%s: no npy header", r->name);
    while (!take(&text, "}")) {
        bool ok = take_quoted(&text, key, sizeof key) && take(&text, ":");
        if (ok && strcmp(key, "descr") == 0) {
            if (!take_quoted(&text, type, sizeof type))
                return bad(r,
                           "%s: a structured dtype, expected float32, "
                           "float64, bool or uint8",
                           r->name);
        } else if (ok && strcmp(key, "fortran_order") == 0) {
            fortran = take(&text, "True");
            ok = ordered = fortran || take(&text, "False");
        } else if (ok && strcmp(key, "shape") == 0) {
            ok = shaped = take_shape(&text, array);
        } else {
            ok = false;
        }
        if (!ok) return bad(r, "%s: an npy header of another kind", r->name);
        take(&text, ",");
    }
    if (!shaped || !ordered || type[0] == '\0')
        return bad(r, "%s: an npy header without dtype, order or shape",
                   r->name);
    if (fortran && array->rank > 1)
        return bad(r,
                   "%s: in Fortran order, expected C order: save "
                   "numpy.ascontiguousarray() of it",
                   r->name);
    return set_type(r, array, type);
}

/* The header in the first n bytes of a member: *head its length. */
static int parse_header(const struct reading *r, const uint8_t *bytes, size_t n,
                        struct npz_array *array, size_t *head) {
    assert(bytes != NULL);
    if (n < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return bad(r, "%s: not an npy array", r->name);
    const size_t version = bytes[6], field = version == 1 ? 2 : 4;
    if (version < 1 || version > 3 || bytes[7] != 0)
        return bad(r, "%s: npy version %u.%u, expected 1.0, 2.0 or 3.0",
                   r->name, bytes[6], bytes[7]);
    const uint64_t len = load(bytes + 8, field);
    if (len > MOST_HEAD || len > n - 8 - field)
        return bad(r, "%s: an npy header of %" PRIu64 " bytes", r->name, len);
    *head = 8 + field + (size_t)len;
    const char *text = (const char *)bytes + 8 + field;
    for (size_t i = 0; i < len; i++) {
        const bool end = i + 1 == len && text[i] == '\n';
        if (!end && (text[i] < ' ' || text[i] > '~'))
            return bad(r, "%s: an npy header that is no text", r->name);
    }
    return parse_dict(r, (struct literal){text, text + len}, array);
}

/* The member must be as long as the header says. */
static int check_length(const struct reading *r, const struct npz_array *array,
                        size_t head, uint64_t size) {
    uint64_t bytes = array->size;
    for (size_t i = 0; i < array->rank; i++) {
        if (__builtin_mul_overflow(bytes, (uint64_t)array->shape[i], &bytes))
            bytes = UINT64_MAX;
    }
    if (size - head == bytes) return 0;
    char text[96];
    npz_describe(array, text, sizeof text);
    return bad(r, "%s: %s, but %" PRIu64 " bytes of numbers", r->name, text,
               size - head);
}

/* ---- the numbers ---- */

static int read_stored(const struct reading *r, const struct member *m,
                       struct npz_array *array) {
    size_t head = 0;
    int rc = parse_header(r, m->data, m->size, array, &head);
    if (rc == 0) rc = check_length(r, array, head, m->size);
    if (rc != 0) return rc;
    array->crc = (uint32_t)crc32_z(0, m->data, m->size);
    array->data = m->data + head;
    return 0;
}

/* Room bytes out of the stream, in pieces that zlib can count. */
static bool inflate_exactly(z_stream *z, const uint8_t *end, uint8_t *to,
                            size_t room) {
    const size_t most = 1 << 30;
    z->next_out = to;
    while (z->next_out < to + room) {
        const size_t in = (size_t)(end - z->next_in);
        const size_t out = (size_t)(to + room - z->next_out);
        z->avail_in = (uInt)(in < most ? in : most);
        z->avail_out = (uInt)(out < most ? out : most);
        const int rc = inflate(z, Z_NO_FLUSH);
        if (rc == Z_STREAM_END) break;
        if (rc != Z_OK) return false;
    }
    const bool whole = z->next_out == to + room;
    z->next_out = NULL; /* the room is the caller's */
    return whole;
}

static int inflate_member(const struct reading *r, const struct member *m,
                          z_stream *z, struct npz_array *array) {
    uint8_t first[MOST_HEAD + 12];
    const uint8_t *end = m->data + m->packed;
    const size_t some = m->size < sizeof first ? m->size : sizeof first;
    size_t head = 0;
    if (!inflate_exactly(z, end, first, some))
        return bad(r, "%s: its compressed data is damaged", r->name);
    int rc = parse_header(r, first, some, array, &head);
    if (rc == 0) rc = check_length(r, array, head, m->size);
    if (rc != 0) return rc;

    uint8_t *block = malloc(m->size);
    if (block == NULL) {
        snprintf(r->why, r->n, "%s: no memory for %" PRIu64 " bytes", r->name,
                 m->size);
        return -ENOMEM;
    }
    memcpy(block, first, some);
    if (!inflate_exactly(z, end, block + some, m->size - some)) {
        free(block);
        return bad(r, "%s: its compressed data is damaged", r->name);
    }
    array->owned = block;
    array->crc = (uint32_t)crc32_z(0, block, m->size);
    array->data = block + head;
    return 0;
}

static int read_deflated(const struct reading *r, const struct member *m,
                         struct npz_array *array) {
    if (m->size / MOST_DEFLATED > m->packed)
        return bad(r, "%s: %" PRIu64 " bytes cannot be %" PRIu64 " compressed",
                   r->name, m->size, m->packed);
    z_stream z = {.next_in = (z_const Bytef *)m->data};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) {
        snprintf(r->why, r->n, "%s: out of memory", r->name);
        return -ENOMEM;
    }
    int rc = inflate_member(r, m, &z, array);
    inflateEnd(&z);
    return rc;
}

int npz_read(struct npz_array *array, const void *bytes, size_t len,
             // NOLINTNEXTLINE(readability-non-const-parameter): by bad()
             const char *name, char *why, size_t n) {
    const struct reading r = {bytes, len, name, why, n};
    struct member m = {0};
    *array = (struct npz_array){0};
    int rc = find_member(&r, &m);
    if (rc == 0)
        rc = m.method == STORED ? read_stored(&r, &m, array)
                                : read_deflated(&r, &m, array);
    if (rc == 0 && array->crc != m.crc)
        rc = bad(&r, "%s: its checksum differs: the file is damaged", name);
    if (rc != 0) npz_finish(array);
    return rc;
}

void npz_finish(struct npz_array *array) {
    free(array->owned);
    *array = (struct npz_array){0};
}

double npz_number(const struct npz_array *array, size_t i) {
    const uint8_t *at = array->data + i * array->size;
    float single = 0;
    double number = 0;
    switch (array->type) {
    case NPZ_F4:
        memcpy(&single, at, sizeof single);
        return (double)single;
    case NPZ_F8:
        memcpy(&number, at, sizeof number);
        return number;
    case NPZ_BOOL:
        return *at != 0 ? 1.0 : 0.0;
    case NPZ_U1:
        break;
    }
    return *at;
}

void npz_describe(const struct npz_array *array, char *text, size_t n) {
    static const char *const types[] = {
        [NPZ_F4] = "float32",
        [NPZ_F8] = "float64",
        [NPZ_BOOL] = "bool",
        [NPZ_U1] = "uint8",
    };
    int at = snprintf(text, n, "%s of (", types[array->type]);
    for (size_t i = 0; i < array->rank && at > 0 && (size_t)at < n; i++)
        at += snprintf(text + at, n - (size_t)at, "%s%zu", i > 0 ? ", " : "",
                       array->shape[i]);
    if (at > 0 && (size_t)at < n)
        snprintf(text + at, n - (size_t)at, array->rank == 1 ? ",)" : ")");
}

void npz_zlib_version(char *text, size_t n) {
    snprintf(text, n, "%s", zlibVersion());
}
