/*
 * Once its memory is there, an update asks for none and touches no new page:
 * nothing in the loop waits for the allocator or the kernel. (A sanitiser has
 * an allocator of its own: this suite is built without.)
 */
#include "common/mlp.h"
#include "tests/unit/test.h"
#include "tests/unit/training.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static atomic_size_t allocations;

/* The names that the C library's own allocator has below these. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

/* OpenBLAS's kernels of small products take a scratch of their own: its choice,
 * and none that a caller could make. */
static void count(const void *caller) {
    Dl_info from;
    if (dladdr(caller, &from) != 0 && strstr(from.dli_fname, "openblas"))
        return;
    atomic_fetch_add(&allocations, 1);
}

void *malloc(size_t size) {
    count(__builtin_return_address(0));
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
    count(__builtin_return_address(0));
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size) {
    count(__builtin_return_address(0));
    return __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count(__builtin_return_address(0));
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **p, size_t alignment, size_t size) {
    count(__builtin_return_address(0));
    *p = __libc_memalign(alignment, size);
    return *p == NULL ? ENOMEM : 0;
}

static const char *const loops[] = {
    "",
    "one_set=true particles_moved=16",
    "value_proposals=sampler proposal_switch=0 twin_q=true",
    "shared_proposals=false observation_normalisation=true",
    "temperature=auto noise_set=100 noise_set_span=50",
    "svgd_space=action target_rate=0.01 sampler_average=0.99",
    "algorithm=ddpg twin_q=true",
};
enum { LOOPS = sizeof(loops) / sizeof(loops[0]) };

/* Remainders in every dimension. */
static void start(struct training *x, const char *options, size_t threads) {
    struct config config = training_config();
    training_set(&config, "units=67 minibatch=33 particles_fixed=16 "
                          "particles_moved=15 value_particles=33");
    training_set(&config, options);
    training_init(x, &config, threads);
    training_run(x, 2 * ALGORITHM_LOOK); // all that is only done at times, too
}

static void an_update_allocates_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < LOOPS * 2; i++) {
        struct training x;
        start(&x, loops[i / 2], 1 + i % 2);
        const size_t before = atomic_load(&allocations);
        training_run(&x, 2 * ALGORITHM_LOOK);
        const size_t asked = atomic_load(&allocations) - before;
        if (asked != 0) {
            fail_msg("\"%s\", %zu threads: %zu allocations", loops[i / 2],
                     1 + i % 2, asked);
        }
        training_finish(&x);
    }
}

static long faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

/* The kernel may take a page away at any time; what the loop itself does not
 * have it asks for in every stretch. */
static void an_update_touches_no_new_page(void **state) {
    (void)state;
    for (size_t i = 0; i < LOOPS * 2; i++) {
        struct training x;
        long least = LONG_MAX;
        start(&x, loops[i / 2], 1 + i % 2);
        for (size_t stretch = 0; stretch < 8 && least > 0; stretch++) {
            const long before = faults();
            training_run(&x, ALGORITHM_LOOK);
            const long more = faults() - before;
            if (more < least) least = more;
        }
        if (least != 0) {
            fail_msg("\"%s\", %zu threads: %ld page faults in %d updates",
                     loops[i / 2], 1 + i % 2, least, ALGORITHM_LOOK);
        }
        training_finish(&x);
    }
}

int main(void) {
    mlp_blas_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_allocates_nothing),
        cmocka_unit_test(an_update_touches_no_new_page),
    };
    return cmocka_run_group_tests_name("steady", tests, NULL, NULL);
}
