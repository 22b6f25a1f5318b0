#ifndef TESTS_FUZZ_WIRE_ONE_H
#define TESTS_FUZZ_WIRE_ONE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Whatever the bytes are: they are refused with one line of why, or the message
 * packs again, and what it packs to unpacks and packs to the same bytes. Aborts
 * otherwise. Returns what wire_unpack() said.
 */
int wire_one(const uint8_t *data, size_t len);

#endif
