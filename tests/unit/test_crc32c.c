#include "common/crc32c.h"

#include "tests/unit/test.h"

/* The check value of the polynomial, and RFC 3720's 32 bytes. */
static void checksum_is_castagnoli(void **state) {
    (void)state;
    uint8_t zeros[32] = {0}, up[32];
    for (uint8_t i = 0; i < 32; i++) up[i] = i;
    assert_int_equal(crc32c("123456789", 9), 0xE3069283);
    assert_int_equal(crc32c(zeros, 32), 0x8A9136AA);
    assert_int_equal(crc32c(up, 32), 0x46DD794E);
}

/* The processor's instruction and the table agree at every length. */
static void checksum_is_the_same_by_table(void **state) {
    (void)state;
    float noise[64];
    test_fill_normal(noise, 64, 3);
    const uint8_t *bytes = (const uint8_t *)noise;
    for (size_t from = 0; from < 8; from++) {
        for (size_t n = 0; n + from <= sizeof noise; n++)
            assert_int_equal(crc32c(bytes + from, n),
                             crc32c_table(bytes + from, n));
    }
}

/* Four at once are four one by one. */
static void four_checksums_are_those_of_each(void **state) {
    (void)state;
    float noise[4][64];
    test_fill_normal(noise[0], 4 * 64, 5);
    for (size_t n = 0; n <= sizeof noise[0]; n++) {
        const void *const data[4] = {noise[2], noise[0], noise[3], noise[1]};
        uint32_t sums[4];
        crc32c_four(data, n, sums);
        for (int i = 0; i < 4; i++)
            assert_int_equal(sums[i], crc32c_table(data[i], n));
    }
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(checksum_is_castagnoli),
        cmocka_unit_test(checksum_is_the_same_by_table),
        cmocka_unit_test(four_checksums_are_those_of_each),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
