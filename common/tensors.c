#include "common/tensors.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/replace.h"

/*
 * The file: 8 bytes length of the header, the header (JSON, padded with
 * spaces), the data. {"name": {"dtype", "shape", "data_offsets": [begin, end]},
 * "__metadata__": {text: text}}; offsets count from the end of the header and
 * cover the data without a hole.
 */
enum { MOST_ENTRIES = 4096, MOST_NOTES = 256, DATA_ALIGNMENT = 64 };
static const uint64_t most_header = 16u << 20;
static const double most_exact = 9007199254740992.0; // 2^53: JSON's integers

static const char metadata[] = "__metadata__";
static const char checksum[] = "checksum", no_digits[] = "0000000000000000";
enum { CHECKSUM_DIGITS = sizeof(no_digits) - 1 };
static const struct {
    const char *name;
    size_t bytes;
} types[] = {
    [TENSORS_F32] = {"F32", 4},
    [TENSORS_F64] = {"F64", 8},
    [TENSORS_U64] = {"U64", 8},
};

static size_t bytes_of(const struct tensors_entry *entry) {
    size_t bytes = types[entry->type].bytes;
    for (size_t d = 0; d < entry->rank; d++) bytes *= entry->shape[d];
    return bytes;
}

/* Add one entry to the header; its data ends at offset + bytes. */
static bool describe(cJSON *header, const struct tensors_entry *entry,
                     size_t offset) {
    cJSON *object = cJSON_AddObjectToObject(header, entry->name);
    if (object == NULL) return false;
    bool ok = cJSON_AddStringToObject(object, "dtype",
                                      types[entry->type].name) != NULL;
    cJSON *shape = cJSON_AddArrayToObject(object, "shape");
    for (size_t d = 0; d < entry->rank; d++) {
        ok = ok && cJSON_AddItemToArray(
                       shape, cJSON_CreateNumber((double)entry->shape[d]));
    }
    cJSON *offsets = cJSON_AddArrayToObject(object, "data_offsets");
    const double end = (double)(offset + bytes_of(entry));
    return ok &&
           cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)offset)) &&
           cJSON_AddItemToArray(offsets, cJSON_CreateNumber(end));
}

/* Data stands widest type first: no hole may align what follows. */
static const enum tensors_type file_order[] = {TENSORS_F64, TENSORS_U64,
                                               TENSORS_F32};
enum { N_TYPES = sizeof(file_order) / sizeof(*file_order) };

/* The header as text, padded; the caller frees. NULL when out of memory. */
static char *make_header(const struct tensors *tensors, size_t *len) {
    cJSON *header = cJSON_CreateObject();
    bool ok = header != NULL;
    if (ok) {
        cJSON *notes = cJSON_AddObjectToObject(header, metadata);
        ok = cJSON_AddStringToObject(notes, checksum, no_digits) != NULL;
        for (size_t i = 0; ok && i < tensors->n_notes; i++) {
            const struct tensors_note *note = &tensors->notes[i];
            ok = cJSON_AddStringToObject(notes, note->key, note->value) != NULL;
        }
    }
    size_t offset = 0;
    for (size_t t = 0; t < N_TYPES; t++) {
        for (size_t i = 0; ok && i < tensors->n; i++) {
            const struct tensors_entry *entry = &tensors->entries[i];
            if (entry->type != file_order[t]) continue;
            ok = describe(header, entry, offset);
            offset += bytes_of(entry);
        }
    }
    char *text = ok ? cJSON_PrintUnformatted(header) : NULL;
    cJSON_Delete(header);
    if (text == NULL) return NULL;

    const size_t used = strlen(text) + 8;
    const size_t padded =
        (used + DATA_ALIGNMENT - 1) / DATA_ALIGNMENT * DATA_ALIGNMENT;
    char *grown = realloc(text, padded - 8);
    if (grown == NULL) {
        free(text);
        return NULL;
    }
    memset(grown + used - 8, ' ', padded - used);
    *len = padded - 8;
    return grown;
}

/* The checksum's digits in a header as we print it, or NULL. */
static char *find_digits(char *header, size_t len) {
    static const char before[] = "\"checksum\":\"";
    const size_t n = sizeof(before) - 1;
    char *at = memmem(header, len, before, n);
    const size_t rest = at != NULL ? len - (size_t)(at - header) : 0;
    return rest >= n + CHECKSUM_DIGITS ? at + n : NULL;
}

static void put_digits(char *digits, uint64_t hash) {
    char text[CHECKSUM_DIGITS + 1];
    snprintf(text, sizeof(text), "%016" PRIx64, hash);
    memcpy(digits, text, CHECKSUM_DIGITS);
}

static void sign(char *header, size_t len, const struct tensors *tensors) {
    uint64_t hash = hash_bytes(HASH_START, header, len);
    for (size_t t = 0; t < N_TYPES; t++) {
        for (size_t i = 0; i < tensors->n; i++) {
            const struct tensors_entry *entry = &tensors->entries[i];
            if (entry->type == file_order[t])
                hash = hash_bytes(hash, entry->data, bytes_of(entry));
        }
    }
    put_digits(find_digits(header, len), hash);
}

int tensors_write(const char *path, const struct tensors *tensors) {
    size_t len = 0;
    char *header = make_header(tensors, &len);
    if (header == NULL) return -ENOMEM;
    sign(header, len, tensors);

    struct replace replace;
    int rc = replace_start(&replace, path);
    if (rc == 0) {
        const uint64_t length = len; // little-endian hosts only
        replace_write(&replace, &length, sizeof(length));
        replace_write(&replace, header, len);
        for (size_t t = 0; t < N_TYPES; t++) {
            for (size_t i = 0; i < tensors->n; i++) {
                const struct tensors_entry *entry = &tensors->entries[i];
                if (entry->type != file_order[t]) continue;
                replace_write(&replace, entry->data, bytes_of(entry));
            }
        }
        rc = replace_finish(&replace);
    }
    free(header);
    return rc;
}

/* What reading knows besides its result. */
struct reading {
    struct tensors *out;
    uint64_t data_bytes; /* that the file has behind its header */
    uint64_t *begins;    /* (n) offset of each entry */
    char *why;
    size_t n_why;
};

static int refuse(const struct reading *r, const char *what, const char *name) {
    snprintf(r->why, r->n_why, "%s%s%.63s%s", what, name != NULL ? " '" : "",
             name != NULL ? name : "", name != NULL ? "'" : "");
    return -EBADMSG;
}

/* A whole number of at most 2^53. */
static bool whole(const cJSON *item, uint64_t *value) {
    if (!cJSON_IsNumber(item)) return false;
    const double x = item->valuedouble;
    if (!(x >= 0 && x <= most_exact) || x != (double)(uint64_t)x) return false;
    *value = (uint64_t)x;
    return true;
}

static int read_type(struct reading *r, const cJSON *item,
                     struct tensors_entry *entry) {
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(item, "dtype");
    for (size_t t = 0; t < N_TYPES && cJSON_IsString(dtype); t++) {
        if (strcmp(types[t].name, dtype->valuestring) != 0) continue;
        entry->type = (enum tensors_type)t;
        return 0;
    }
    return refuse(r, "a type other than F32, F64 and U64:", entry->name);
}

static int read_shape(struct reading *r, const cJSON *item,
                      struct tensors_entry *entry, uint64_t *bytes) {
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape"), *dim;
    const int rank = cJSON_IsArray(shape) ? cJSON_GetArraySize(shape) : -1;
    if (rank < 0 || rank > 4) return refuse(r, "not a shape:", entry->name);
    *bytes = types[entry->type].bytes;
    cJSON_ArrayForEach(dim, shape) {
        uint64_t size;
        if (!whole(dim, &size)) return refuse(r, "not a shape:", entry->name);
        entry->shape[entry->rank++] = (size_t)size;
        if (__builtin_mul_overflow(*bytes, size, bytes)) {
            return refuse(r, "a shape too large:", entry->name);
        }
    }
    return 0;
}

static int read_entry(struct reading *r, const cJSON *item) {
    struct tensors *out = r->out;
    struct tensors_entry *entry = &out->entries[out->n];
    const size_t len = strlen(item->string);
    if (len == 0 || len >= sizeof(entry->name)) {
        return refuse(r, "a name of wrong length:", item->string);
    }
    memcpy(entry->name, item->string, len + 1);
    if (tensors_find(out, entry->name) != NULL) {
        return refuse(r, "a name that stands twice:", entry->name);
    }
    if (!cJSON_IsObject(item)) return refuse(r, "not a tensor:", entry->name);

    uint64_t bytes = 0, begin, end;
    int rc = read_type(r, item, entry);
    if (rc == 0) rc = read_shape(r, item, entry, &bytes);
    if (rc != 0) return rc;
    const cJSON *offsets =
        cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        !whole(cJSON_GetArrayItem(offsets, 0), &begin) ||
        !whole(cJSON_GetArrayItem(offsets, 1), &end)) {
        return refuse(r, "not data offsets:", entry->name);
    }
    if (begin > end || end > r->data_bytes || end - begin != bytes) {
        return refuse(r,
                      "offsets that do not fit shape and file:", entry->name);
    }
    if (begin % types[entry->type].bytes != 0) {
        return refuse(r, "data that is not aligned:", entry->name);
    }
    r->begins[out->n++] = begin;
    return 0;
}

static int read_notes(struct reading *r, const cJSON *list) {
    struct tensors *out = r->out;
    const cJSON *item;
    if (!cJSON_IsObject(list) || out->notes != NULL ||
        cJSON_GetArraySize(list) > MOST_NOTES) {
        return refuse(r, "metadata that is not a short list of texts", NULL);
    }
    out->notes =
        calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*out->notes));
    if (out->notes == NULL) return -ENOMEM;
    cJSON_ArrayForEach(item, list) {
        struct tensors_note *note = &out->notes[out->n_notes];
        if (!cJSON_IsString(item) ||
            strlen(item->string) >= sizeof(note->key)) {
            return refuse(r,
                          "metadata that is not a short text:", item->string);
        }
        snprintf(note->key, sizeof(note->key), "%s", item->string);
        note->value = strdup(item->valuestring);
        if (note->value == NULL) return -ENOMEM;
        out->n_notes++;
    }
    return 0;
}

static int compare_u64(const void *x, const void *y) {
    const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

/* Sorted by their begins, the tensors must follow each other to the end. */
static int check_cover(struct reading *r) {
    const struct tensors *out = r->out;
    struct span {
        uint64_t begin, bytes; // begin first: compare_u64() looks at it
    } *spans = calloc(out->n + 1, sizeof(*spans));
    if (spans == NULL) return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < out->n; i++) {
        const uint64_t bytes = bytes_of(&out->entries[i]);
        if (bytes > 0) spans[n++] = (struct span){r->begins[i], bytes};
    }
    qsort(spans, n, sizeof(*spans), compare_u64);
    uint64_t end = 0;
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        ok = ok && spans[i].begin == end;
        end = spans[i].begin + spans[i].bytes;
    }
    free(spans);
    if (ok && end == r->data_bytes) return 0;
    return refuse(r, "tensors that do not cover the data exactly", NULL);
}

static int read_header(struct reading *r, const char *text, size_t len) {
    const char *end = NULL;
    cJSON *header = cJSON_ParseWithLengthOpts(text, len, &end, 0);
    if (header == NULL) return refuse(r, "a header that is not JSON", NULL);
    int rc = 0;
    while (end < text + len && *end == ' ') end++;
    const int n = cJSON_GetArraySize(header);
    if (!cJSON_IsObject(header) || end != text + len || n > MOST_ENTRIES) {
        rc = refuse(r, "a header that is not one short JSON object", NULL);
    }
    if (rc == 0) {
        r->out->entries = calloc((size_t)n + 1, sizeof(*r->out->entries));
        r->begins = calloc((size_t)n + 1, sizeof(*r->begins));
        if (r->out->entries == NULL || r->begins == NULL) rc = -ENOMEM;
    }
    if (rc == 0) {
        const cJSON *item;
        cJSON_ArrayForEach(item, header) {
            rc = strcmp(item->string, metadata) == 0 ? read_notes(r, item)
                                                     : read_entry(r, item);
            if (rc != 0) break;
        }
    }
    cJSON_Delete(header);
    return rc == 0 ? check_cover(r) : rc;
}

/* All len bytes, or -EBADMSG where the file ends before. */
static int read_all(int fd, void *data, size_t len) {
    char *at = data;
    while (len > 0) {
        const ssize_t got = read(fd, at, len);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (got == 0) return -EBADMSG;
        at += got;
        len -= (size_t)got;
    }
    return 0;
}

/* The data into one block, and every entry's pointer into it. */
static int read_data(struct reading *r, int fd) {
    struct tensors *out = r->out;
    out->block = malloc(r->data_bytes + 1);
    if (out->block == NULL) return -ENOMEM;
    for (size_t i = 0; i < out->n; i++) {
        out->entries[i].data = (char *)out->block + r->begins[i];
    }
    const int rc = read_all(fd, out->block, r->data_bytes);
    return rc == -EBADMSG ? refuse(r, "data that ends early", NULL) : rc;
}

/* Does the file say what it said when it was written? text: its header. */
static int check_sum(struct reading *r, char *text, size_t len) {
    const char *said = tensors_note(r->out, checksum);
    char *digits = find_digits(text, len), sum[CHECKSUM_DIGITS + 1] = "";
    if (said == NULL || digits == NULL) return 0;
    memcpy(digits, no_digits, CHECKSUM_DIGITS);
    uint64_t hash = hash_bytes(HASH_START, text, len);
    hash = hash_bytes(hash, r->out->block, r->data_bytes);
    put_digits(sum, hash);
    if (strcmp(said, sum) == 0) return 0;
    return refuse(r, "other bytes than were written: its checksum differs",
                  NULL);
}

static int read_file(struct reading *r, int fd) {
    struct stat info;
    uint64_t length = 0;
    if (fstat(fd, &info) != 0) return -errno;
    if (S_ISDIR(info.st_mode)) return -EISDIR;
    const uint64_t size = info.st_size > 0 ? (uint64_t)info.st_size : 0;
    if (!S_ISREG(info.st_mode) || size < sizeof(length)) {
        return refuse(r, "no room for a header", NULL);
    }
    int rc = read_all(fd, &length, sizeof(length));
    if (rc != 0) return rc;
    if (length > size - sizeof(length) || length > most_header) {
        return refuse(r, "a header longer than the file or 16 MiB", NULL);
    }
    char *text = malloc(length + 1);
    if (text == NULL) return -ENOMEM;
    r->data_bytes = size - sizeof(length) - length;
    rc = read_all(fd, text, length);
    if (rc == 0) rc = read_header(r, text, length);
    if (rc == 0) rc = read_data(r, fd);
    if (rc == 0) rc = check_sum(r, text, length);
    free(text);
    return rc;
}

int tensors_read(struct tensors *tensors, const char *path, char *why,
                 size_t n) {
    char what[160] = "a file that ends early";
    struct reading reading = {
        .out = tensors, .why = what, .n_why = sizeof(what)};
    *tensors = (struct tensors){0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        const int rc = -errno;
        snprintf(why, n, "%s: %s", path, strerror(-rc));
        return rc;
    }
    const int rc = read_file(&reading, fd);
    close(fd);
    free(reading.begins);
    if (rc != 0) {
        tensors_finish(tensors);
        snprintf(why, n, "%s: %s%s", path,
                 rc == -EBADMSG ? "not a safetensors file of ours, it has "
                                : "",
                 rc == -EBADMSG ? what : strerror(-rc));
    }
    return rc;
}

void tensors_finish(struct tensors *tensors) {
    for (size_t i = 0; i < tensors->n_notes; i++) free(tensors->notes[i].value);
    free(tensors->notes);
    free(tensors->entries);
    free(tensors->block);
    *tensors = (struct tensors){0};
}

const struct tensors_entry *tensors_find(const struct tensors *tensors,
                                         const char *name) {
    for (size_t i = 0; i < tensors->n; i++) {
        if (strcmp(tensors->entries[i].name, name) == 0) {
            return &tensors->entries[i];
        }
    }
    return NULL;
}

const char *tensors_note(const struct tensors *tensors, const char *key) {
    for (size_t i = 0; i < tensors->n_notes; i++) {
        if (strcmp(tensors->notes[i].key, key) == 0) {
            return tensors->notes[i].value;
        }
    }
    return NULL;
}
