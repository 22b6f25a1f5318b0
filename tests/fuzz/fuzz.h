#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the targets share. Each defines libFuzzer's entry: whatever the bytes
 * are, the parser refuses them with one line, or what it made of them holds
 * together; it aborts otherwise.
 */
// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Says what is not as it must be and aborts, unless ok. */
void fuzz_check(bool ok, const char *what);

/* The path of a file of these bytes; the next call changes it. */
const char *fuzz_file(const void *data, size_t len);

/* Input bytes one after another; zeros behind their end. */
struct fuzz_bytes {
    const uint8_t *at;
    size_t left;
};
uint8_t fuzz_byte(struct fuzz_bytes *from);
/* to out (n) */
void fuzz_take(struct fuzz_bytes *from, void *to, size_t n);

#endif
