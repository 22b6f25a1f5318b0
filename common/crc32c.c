#include "common/crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#endif

/* One nibble at a time: 16 constants to check by eye, no start-up work. */
static const uint32_t nibble[16] = {
    0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3,
    0x61C69362, 0x7198540D, 0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9,
    0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75,
};

uint32_t crc32c_table(const void *data, size_t n) {
    const uint8_t *p = data;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t by_machine(const void *data,
                                                             size_t n) {
    const uint8_t *p = data;
    uint64_t crc = ~0u;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        crc = _mm_crc32_u64(crc, word);
    }
    for (; n > 0; n--, p++) crc = _mm_crc32_u8((uint32_t)crc, *p);
    return ~(uint32_t)crc;
}

__attribute__((target("sse4.2"))) static void
four_by_machine(const void *const data[4], size_t n, uint32_t sums[4]) {
    const uint8_t *p[4] = {data[0], data[1], data[2], data[3]};
    uint64_t crc[4] = {~0u, ~0u, ~0u, ~0u};
    size_t at = 0;
    for (; at + 8 <= n; at += 8) {
        for (int i = 0; i < 4; i++) {
            uint64_t word;
            memcpy(&word, p[i] + at, sizeof word);
            crc[i] = _mm_crc32_u64(crc[i], word);
        }
    }
    for (; at < n; at++) {
        for (int i = 0; i < 4; i++)
            crc[i] = _mm_crc32_u8((uint32_t)crc[i], p[i][at]);
    }
    for (int i = 0; i < 4; i++) sums[i] = ~(uint32_t)crc[i];
}

static bool has_crc(void) {
    return __builtin_cpu_supports("sse4.2");
}

#elif defined(__aarch64__)

#if defined(__clang__)
#define WITH_CRC __attribute__((target("crc")))
#else
#define WITH_CRC __attribute__((target("+crc")))
#endif

WITH_CRC static void four_by_machine(const void *const data[4], size_t n,
                                     uint32_t sums[4]) {
    const uint8_t *p[4] = {data[0], data[1], data[2], data[3]};
    uint32_t crc[4] = {~0u, ~0u, ~0u, ~0u};
    size_t at = 0;
    for (; at + 8 <= n; at += 8) {
        for (int i = 0; i < 4; i++) {
            uint64_t word;
            memcpy(&word, p[i] + at, sizeof word);
            crc[i] = __crc32cd(crc[i], word);
        }
    }
    for (; at < n; at++) {
        for (int i = 0; i < 4; i++) crc[i] = __crc32cb(crc[i], p[i][at]);
    }
    for (int i = 0; i < 4; i++) sums[i] = ~crc[i];
}

WITH_CRC static uint32_t by_machine(const void *data, size_t n) {
    const uint8_t *p = data;
    uint32_t crc = ~0u;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        crc = __crc32cd(crc, word);
    }
    for (; n > 0; n--, p++) crc = __crc32cb(crc, *p);
    return ~crc;
}

static bool has_crc(void) {
    return (getauxval(AT_HWCAP) & 1u << 7) != 0; /* HWCAP_CRC32 */
}

#else

static bool has_crc(void) {
    return false;
}

static uint32_t by_machine(const void *data, size_t n) {
    return crc32c_table(data, n);
}

static void four_by_machine(const void *const data[4], size_t n,
                            uint32_t sums[4]) {
    for (int i = 0; i < 4; i++) sums[i] = crc32c_table(data[i], n);
}

#endif

uint32_t crc32c(const void *data, size_t n) {
    return has_crc() ? by_machine(data, n) : crc32c_table(data, n);
}

void crc32c_four(const void *const data[4], size_t n, uint32_t sums[4]) {
    if (has_crc()) {
        four_by_machine(data, n, sums);
    } else {
        for (int i = 0; i < 4; i++) sums[i] = crc32c_table(data[i], n);
    }
}
