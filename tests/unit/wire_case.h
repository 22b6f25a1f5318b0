#ifndef TESTS_UNIT_WIRE_CASE_H
#define TESTS_UNIT_WIRE_CASE_H

#include <stdlib.h>

#include "proto/wire.h"
#include "tests/fuzz/samples.h"
#include "tests/unit/test.h"

/* What the wire's suites begin from: one sound message of each type. */
struct bytes {
    uint8_t *data;
    size_t len;
};

static inline struct bytes pack(const struct wire_message *message) {
    void *data = NULL;
    size_t len = 0;
    assert_int_equal(wire_pack(message, &data, &len), 0);
    return (struct bytes){data, len};
}

static inline struct wire_message sample(enum wire_type type) {
    struct wire_message messages[SAMPLES];
    samples_fill(messages);
    return messages[type - 1];
}

/* What becomes of a message that is packed and sent; why is printed if asked.
 */
static inline int verdict(const struct wire_message *message) {
    struct bytes b = pack(message);
    struct wire_message got;
    char why[128];
    int rc = wire_unpack(&got, b.data, b.len, why, sizeof(why));
    if (rc == 0) wire_free(&got);
    free(b.data);
    return rc;
}

#endif
