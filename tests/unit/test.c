#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

void test_assert_close(float actual, float expected, float tol,
                       const char *text, const char *file, int line) {
    if (!(fabsf(actual - expected) <= tol)) { // also fails on NaN
        print_error("%s = %g, expected %g +- %g\n", text, (double)actual,
                    (double)expected, (double)tol);
        _fail(file, line);
    }
}

void test_fill_normal(float *x, size_t n, uint64_t seed) {
    uint64_t s = seed * 0x9E3779B97F4A7C15u + 1;
    for (size_t i = 0; i < n; i++) {
        float sum = 0.0f;
        for (int k = 0; k < 12; k++) {
            s ^= s >> 12, s ^= s << 25, s ^= s >> 27;
            sum += (float)((s * 0x2545F4914F6CDD1Du) >> 40) / 16777216.0f;
        }
        x[i] = sum - 6.0f;
    }
}

void test_fill_nan(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = NAN;
}

const char *test_line(const char *path, int number) {
    static char text[512];
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    for (int i = 0; i <= number; i++) {
        text[0] = '\0';
        if (fgets(text, sizeof(text), in) == NULL) break;
    }
    fclose(in);
    text[strcspn(text, "\n")] = '\0';
    return text;
}
