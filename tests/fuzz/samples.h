#ifndef TESTS_FUZZ_SAMPLES_H
#define TESTS_FUZZ_SAMPLES_H

#include "proto/wire.h"

/* One valid message of each type, every field with a value of its own. */
enum { SAMPLES = WIRE_STATUS_REPLY };

/* messages (SAMPLES) out: by type, messages[type - 1]; they borrow statics. */
void samples_fill(struct wire_message messages[SAMPLES]);

#endif
