#include "tests/fuzz/wire_one.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"

static void check(int ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "wire_one: %s\n", what);
        abort();
    }
}

int wire_one(const uint8_t *data, size_t len) {
    struct wire_message message;
    char why[128] = "";
    int rc = wire_unpack(&message, data, len, why, sizeof(why));
    if (rc != 0) {
        check(why[0] != '\0', "refused without a word");
        check(message.owner == NULL, "refused, yet something to free");
        return rc;
    }
    void *first, *second;
    size_t first_len, second_len;
    check(wire_pack(&message, &first, &first_len) == 0, "pack");
    wire_free(&message);
    rc = wire_unpack(&message, first, first_len, why, sizeof(why));
    check(rc == 0, "what we packed is refused");
    check(wire_pack(&message, &second, &second_len) == 0, "pack again");
    wire_free(&message);
    check(first_len == second_len && memcmp(first, second, first_len) == 0,
          "not the same bytes");
    free(first);
    free(second);
    return 0;
}
