/*
 * ring_spoil FILE delete|double|alter: a fault in the middle of a ring that
 * nobody uses: one row is gone, one batch there twice, or one row another one.
 * Exits 1 when that cannot be done.
 */

#include <stdio.h>
#include <string.h>

#include "replay/ring.h"
#include "tests/system/spoil.h"

/* The first row of a batch in the middle. */
static uint64_t middle(const struct ring *ring) {
    struct ring_row row = {.index = 1};
    uint64_t number = ring->oldest + (ring->stored - ring->oldest) / 2;
    while (number > ring->oldest &&
           !(ring_row(ring, number, &row, NULL) && row.index == 0))
        number--;
    return number;
}

int main(int argc, char **argv) {
    struct ring ring;
    char why[256];
    if (argc != 3) {
        fprintf(stderr, "ring_spoil FILE delete|double|alter\n");
        return 1;
    }
    if (ring_open_read(&ring, argv[1], NULL, why, sizeof why) != 0) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    uint64_t number = middle(&ring);
    ring_close(&ring);
    int rc = -1;
    if (strcmp(argv[2], "delete") == 0) rc = spoil_delete(argv[1], number);
    if (strcmp(argv[2], "double") == 0) rc = spoil_double(argv[1], number);
    if (strcmp(argv[2], "alter") == 0) rc = spoil_alter(argv[1], number);
    if (rc != 0) fprintf(stderr, "ring_spoil %s: failed\n", argv[2]);
    return rc == 0 ? 0 : 1;
}
