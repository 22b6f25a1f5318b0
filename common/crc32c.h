#ifndef COMMON_CRC32C_H
#define COMMON_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32C (Castagnoli, reflected, as in iSCSI and ext4): the check value of
 * "123456789" is 0xE3069283. By the processor's instruction where there is
 * one (SSE4.2, ARMv8 CRC), else by table.
 */
uint32_t crc32c(const void *data, size_t n);

/*
 * sums[i] = crc32c(data[i], n) of four blocks of the same length. One
 * instruction's result is ready after three cycles, but one can begin in each:
 * four at once take hardly longer than one.
 */
void crc32c_four(const void *const data[4], size_t n, uint32_t sums[4]);

/* The table's way, whatever the processor: for tests. */
uint32_t crc32c_table(const void *data, size_t n);

#endif
