/* libFuzzer's entry for KEYS/allowed; built and run as fuzz_wire.c says. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/allowed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct allowed allowed;
    char why[256] = "";
    int rc = allowed_parse(&allowed, (const char *)data, len, "allowed", why,
                           sizeof(why));
    if ((rc != 0) != (why[0] != '\0')) abort();
    for (size_t i = 0; i < allowed.n; i++) {
        const struct allowed_entry *entry = &allowed.list[i];
        if (!wire_key_ok(entry->key) || !wire_name_ok(entry->name) ||
            entry->roles == 0 || allowed_find(&allowed, entry->key) != entry) {
            abort();
        }
    }
    allowed_finish(&allowed);
    return 0;
}
