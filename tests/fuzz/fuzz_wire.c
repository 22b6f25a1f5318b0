/*
 * libFuzzer's entry, built with clang only:
 *   CC=clang meson setup build-fuzz -Db_sanitize=address,undefined
 *       -Db_lundef=false -Dc_args=-fsanitize=fuzzer-no-link
 *   ninja -C build-fuzz tests/fuzz/fuzz_wire
 *   build-fuzz/tests/fuzz/fuzz_samples corpus
 *   build-fuzz/tests/fuzz/fuzz_wire -max_total_time=60 corpus
 * tests/unit/test_wire runs the same check on random bytes with any compiler.
 */
#include "tests/fuzz/wire_one.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    wire_one(data, len);
    return 0;
}
