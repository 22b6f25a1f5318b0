/*
 * ring_dump FILE...: what is in ring files, whether in use or not, one batch a
 * line: "actor epoch seq rows last" (last 1: its last row is there; a batch
 * half overwritten shows the rows that are left). Exits 1 on a bad file.
 */

#include <inttypes.h>
#include <stdio.h>

#include "replay/ring.h"

static void print(const struct ring_row *batch, uint64_t rows, bool last) {
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %d\n", batch->actor,
           batch->epoch, batch->seq, rows, last);
}

static void dump(const struct ring *ring) {
    struct ring_row row, batch = {0};
    uint64_t rows = 0;
    for (uint64_t n = ring->oldest; n < ring->stored; n++) {
        if (!ring_row(ring, n, &row, NULL)) continue;
        bool same = rows > 0 && row.actor == batch.actor &&
                    row.epoch == batch.epoch && row.seq == batch.seq;
        if (rows > 0 && !same) {
            print(&batch, rows, batch.last);
            rows = 0;
        }
        batch = row;
        rows++;
    }
    if (rows > 0) print(&batch, rows, batch.last);
}

int main(int argc, char **argv) {
    int status = 0;
    for (int i = 1; i < argc; i++) {
        struct ring ring;
        char why[256];
        if (ring_open_read(&ring, argv[i], NULL, why, sizeof why) != 0) {
            fprintf(stderr, "%s\n", why);
            status = 1;
            continue;
        }
        dump(&ring);
        ring_close(&ring);
    }
    return status;
}
