/* Options, of a file and of a Welcome: common/config.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "tests/fuzz/fuzz.h"

enum { ROOM = 65536 };

/* What was accepted is printed so that it reads back the same. */
static void round_trip(const struct config *config) {
    static char text[ROOM], again[ROOM];
    char why[256] = "";
    struct config copy;
    config_defaults(&copy);
    const long len = config_shared_text(config, text, sizeof text);
    fuzz_check(len > 0, "shared options cannot be printed");
    fuzz_check(config_apply_shared(&copy, text, (size_t)len, why, sizeof why) ==
                   0,
               "shared options do not read back");
    const long again_len = config_shared_text(&copy, again, sizeof again);
    fuzz_check(again_len == len && memcmp(text, again, (size_t)len) == 0,
               "shared options read back otherwise");
}

/* A whole file: options that must not be in one are its own business. */
static void round_trip_file(const struct config *config) {
    char *text = NULL, why[256] = "";
    size_t len = 0;
    struct config copy;
    config_defaults(&copy);
    FILE *out = open_memstream(&text, &len);
    fuzz_check(out != NULL, "no memory");
    config_print(config, out);
    fclose(out);
    fuzz_check(config_read_file(&copy, fuzz_file(text, len), why, sizeof why) ==
                   0,
               "a printed configuration does not read back");
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct config config;
    char why[256] = "";
    config_defaults(&config);
    int rc =
        config_apply_shared(&config, (const char *)data, len, why, sizeof why);
    fuzz_check(rc == 0 || why[0] != '\0', "refused without a word");
    if (rc == 0) round_trip(&config);

    why[0] = '\0';
    config_defaults(&config);
    rc = config_read_file(&config, fuzz_file(data, len), why, sizeof why);
    fuzz_check(rc == 0 || why[0] != '\0', "refused without a word");
    if (rc != 0) return 0;
    why[0] = '\0';
    rc = config_check(&config, why, sizeof why);
    fuzz_check(rc == 0 || why[0] != '\0', "refused without a word");
    round_trip(&config);
    round_trip_file(&config);
    return 0;
}
