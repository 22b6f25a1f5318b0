#include "replay/book.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OF_BATCHES, OF_MOVES, OF_ACKS, OF_HASHES };

/* Room for one more; array: its address. */
static int grow(struct book *book, int which, void *array, size_t n,
                size_t size) {
    size_t *room = &book->room[which];
    if (n < *room) return 0;
    void *old = NULL;
    memcpy(&old, array, sizeof old);
    size_t more = *room > 0 ? 2 * *room : 1024;
    void *fresh = realloc(old, more * size);
    if (fresh == NULL) return -ENOMEM;
    memcpy(array, &fresh, sizeof fresh);
    *room = more;
    return 0;
}

/* ---- lines ---- */

/* The next number of a line; false when there is none. */
static bool take(char **at, int base, uint64_t most, uint64_t *x) {
    char *end = NULL;
    if (**at != ' ' || (*at)[1] == ' ' || (*at)[1] == '-') return false;
    errno = 0;
    *x = strtoull(*at + 1, &end, base);
    if (end == *at + 1 || errno != 0 || *x > most) return false;
    *at = end;
    return true;
}

static bool take_word(char **at, const char *word) {
    size_t n = strlen(word);
    if (strncmp(*at, word, n) != 0) return false;
    *at += n;
    return true;
}

static int add_event(struct book *book, char *at, bool ack) {
    uint64_t epoch = 0, seq = 0, shard = 0, incarnation = 0;
    bool good = take(&at, 10, UINT64_MAX, &epoch) &&
                take(&at, 10, UINT64_MAX, &seq) &&
                take(&at, 10, UINT32_MAX, &shard) &&
                (!ack || take(&at, 10, UINT64_MAX, &incarnation));
    if (!good || *at != '\n') return -EBADMSG;
    struct book_event **list = ack ? &book->acks : &book->moves;
    size_t *n = ack ? &book->n_acks : &book->n_moves;
    int rc = grow(book, ack ? OF_ACKS : OF_MOVES, list, *n, sizeof **list);
    if (rc != 0) return rc;
    (*list)[(*n)++] = (struct book_event){
        .epoch = epoch, .seq = seq, .shard = (uint32_t)shard};
    return 0;
}

static int add_batch(struct book *book, char *at) {
    struct book_batch batch = {.hash = book->n_hashes};
    uint64_t shard = 0, rows = 0, hash = 0;
    if (!take(&at, 10, UINT64_MAX, &batch.actor) ||
        !take(&at, 10, UINT64_MAX, &batch.epoch) ||
        !take(&at, 10, UINT64_MAX, &batch.seq) ||
        !take(&at, 10, UINT32_MAX, &shard) ||
        !take(&at, 10, UINT32_MAX, &rows) || rows == 0)
        return -EBADMSG;
    batch.shard = (uint32_t)shard;
    batch.rows = (uint32_t)rows;
    for (uint64_t i = 0; i < rows; i++) {
        if (!take(&at, 16, UINT32_MAX, &hash)) return -EBADMSG;
        int rc = grow(book, OF_HASHES, &book->hashes, book->n_hashes,
                      sizeof *book->hashes);
        if (rc != 0) return rc;
        book->hashes[book->n_hashes++] = (uint32_t)hash;
    }
    if (*at != '\n') return -EBADMSG;
    int rc =
        grow(book, OF_BATCHES, &book->batches, book->n, sizeof *book->batches);
    if (rc != 0) return rc;
    book->batches[book->n++] = batch;
    if (batch.rows > book->most) book->most = batch.rows;
    return 0;
}

static int add_line(struct book *book, char *at) {
    if (take_word(&at, "sent")) return add_batch(book, at);
    if (take_word(&at, "moved")) return add_event(book, at, false);
    if (take_word(&at, "acked")) return add_event(book, at, true);
    return -EBADMSG;
}

/* ---- files ---- */

static int read_file(struct book *book, const char *path, char *why, size_t n) {
    FILE *file = fopen(path, "re");
    int rc = file != NULL ? 0 : -errno;
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t len = 0;
    while (rc == 0 && (len = getline(&line, &room, file)) > 0) {
        number++;
        /* only a last line can lack its end: its writer was killed */
        if (line[len - 1] == '\n') rc = add_line(book, line);
    }
    if (rc == -EBADMSG)
        snprintf(why, n, "%s: line %zu is not a ledger's", path, number);
    else if (rc != 0)
        snprintf(why, n, "%s: %s", path, strerror(-rc));
    free(line);
    if (file != NULL) fclose(file);
    return rc;
}

static int read_files(struct book *book, const char *folder, const char *suffix,
                      char *why, size_t n) {
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        int rc = -errno;
        snprintf(why, n, "ledger %s: %s", folder, strerror(-rc));
        return rc;
    }
    int rc = 0;
    size_t found = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL && rc == 0;
         entry = readdir(dir)) {
        char path[4096];
        const char *dot = strrchr(entry->d_name, '.');
        if (dot == NULL || strcmp(dot, suffix) != 0) continue;
        found++;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        rc = read_file(book, path, why, n);
    }
    closedir(dir);
    if (rc == 0 && found == 0) {
        snprintf(why, n, "ledger %s: no file *%s in it", folder, suffix);
        rc = -ENOENT;
    }
    return rc;
}

/* ---- order ---- */

static int compare(uint64_t a, uint64_t b) {
    return a < b ? -1 : a > b;
}

static int by_epoch_seq(const void *a, const void *b) {
    const struct book_batch *x = a, *y = b;
    int order = compare(x->epoch, y->epoch);
    return order != 0 ? order : compare(x->seq, y->seq);
}

static int by_event_batch(const void *a, const void *b) {
    const struct book_event *x = a, *y = b;
    int order = compare(x->epoch, y->epoch);
    return order != 0 ? order : compare(x->seq, y->seq);
}

static int by_event(const void *a, const void *b) {
    const struct book_event *x = a, *y = b;
    int order = by_event_batch(a, b);
    return order != 0 ? order : compare(x->shard, y->shard);
}

int book_read_acked(struct book *book, const char *folder, char *why,
                    size_t n) {
    int rc = read_files(book, folder, ".acked", why, n);
    if (rc == 0 && book->n_acks > 0)
        qsort(book->acks, book->n_acks, sizeof *book->acks, by_event);
    return rc;
}

int book_read_sent(struct book *book, const char *folder, char *why, size_t n) {
    int rc = read_files(book, folder, ".sent", why, n);
    if (rc != 0 || book->n == 0) return rc;
    qsort(book->batches, book->n, sizeof *book->batches, by_epoch_seq);
    if (book->n_moves > 0)
        qsort(book->moves, book->n_moves, sizeof *book->moves, by_event);
    for (size_t i = 1; i < book->n; i++) {
        struct book_batch *batch = &book->batches[i], *before = batch - 1;
        if (by_epoch_seq(before, batch) == 0) {
            snprintf(why, n,
                     "ledger %s: batch %" PRIu64 " of epoch %" PRIu64
                     " is there twice",
                     folder, batch->seq, batch->epoch);
            return -EBADMSG;
        }
        batch->sender = before->sender + (batch->epoch != before->epoch);
    }
    book->senders = book->batches[book->n - 1].sender + 1;
    return 0;
}

void book_close(struct book *book) {
    free(book->batches);
    free(book->moves);
    free(book->acks);
    free(book->hashes);
    *book = (struct book){0};
}

const struct book_batch *book_find(const struct book *book, uint64_t epoch,
                                   uint64_t seq) {
    const struct book_batch key = {.epoch = epoch, .seq = seq};
    if (book->n == 0) return NULL;
    return bsearch(&key, book->batches, book->n, sizeof key, by_epoch_seq);
}

bool book_went_to(const struct book *book, const struct book_batch *batch,
                  uint32_t shard) {
    const struct book_event key = {
        .epoch = batch->epoch, .seq = batch->seq, .shard = shard};
    if (batch->shard == shard) return true;
    return book->n_moves > 0 && bsearch(&key, book->moves, book->n_moves,
                                        sizeof key, by_event) != NULL;
}

bool book_answered(const struct book *book, const struct book_batch *batch) {
    const struct book_event key = {.epoch = batch->epoch, .seq = batch->seq};
    return book->n_acks > 0 && bsearch(&key, book->acks, book->n_acks,
                                       sizeof key, by_event_batch) != NULL;
}
