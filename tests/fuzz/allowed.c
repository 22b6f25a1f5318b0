/* Who gets in: proto/allowed.h. */

#include "proto/allowed.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct allowed allowed;
    char why[256] = "";
    int rc = allowed_parse(&allowed, (const char *)data, len, "allowed", why,
                           sizeof(why));
    fuzz_check((rc != 0) == (why[0] != '\0'), "refused without a word");
    for (size_t i = 0; i < allowed.n; i++) {
        const struct allowed_entry *entry = &allowed.list[i];
        fuzz_check(wire_key_ok(entry->key) && wire_name_ok(entry->name) &&
                       entry->roles != 0 &&
                       allowed_find(&allowed, entry->key) == entry,
                   "an entry that is none");
    }
    allowed_finish(&allowed);
    return 0;
}
