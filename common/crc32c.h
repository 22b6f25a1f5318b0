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

/* The table's way, whatever the processor: for tests. */
uint32_t crc32c_table(const void *data, size_t n);

#endif
