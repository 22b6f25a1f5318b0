#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/rundir.h"
#include "learner/checkpoint.h"
#include "tests/unit/test.h"

static char run[64];

static int set_up(void **state) {
    (void)state;
    log_init("test", LOG_ERROR); // the warnings are what is tested
    snprintf(run, sizeof(run), "/tmp/softq-checkpoint-XXXXXX");
    return mkdtemp(run) != NULL ? rundir_create(run) : -1;
}

static int remove_one(const char *path, const struct stat *info, int kind,
                      struct FTW *where) {
    (void)info, (void)kind, (void)where;
    return remove(path);
}

static int tear_down(void **state) {
    (void)state;
    return nftw(run, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct checkpoint *make(uint64_t generation, uint64_t updates) {
    static float weights[6] = {1, -2, 3, -4, 5, -6};
    static uint64_t step = 12;
    const struct tensors_entry entries[] = {
        {.name = "f.ws",
         .type = TENSORS_F32,
         .rank = 2,
         .shape = {2, 3},
         .data = weights},
        {.name = "adam.step", .type = TENSORS_U64, .data = &step},
    };
    struct checkpoint *checkpoint = checkpoint_copy(entries, 2);
    assert_non_null(checkpoint);
    snprintf(checkpoint->task, sizeof(checkpoint->task), "multigoal");
    checkpoint->S = 2, checkpoint->A = 2, checkpoint->units = 128;
    checkpoint->counters =
        (struct checkpoint_counters){.generation = generation,
                                     .updates = updates,
                                     .rng_counter = 99,
                                     .limiter = {.ratio = 0.1,
                                                 .warm = true,
                                                 .updates = (int64_t)updates,
                                                 .inserted = 5000,
                                                 .u0 = 3,
                                                 .i0 = -17}};
    return checkpoint;
}

static void write_some(uint64_t generation, uint64_t updates, size_t keep,
                       uint64_t every) {
    struct checkpoint *checkpoint = make(generation, updates);
    assert_int_equal(checkpoint_write(checkpoint, run, keep, every), 0);
    checkpoint_free(checkpoint);
}

static void write_one(uint64_t generation, uint64_t updates, size_t keep) {
    write_some(generation, updates, keep, 0);
}

static void file_path(char *path, size_t n, uint64_t generation,
                      uint64_t updates) {
    snprintf(path, n,
             "%s/checkpoints/%010" PRIu64 "-%012" PRIu64 ".safetensors", run,
             generation, updates);
}

/* Tensors, notes and counters come back as they were. */
static void what_is_written_reads_back(void **state) {
    (void)state;
    write_one(2, 700, 3);
    struct checkpoint *back;
    assert_int_equal(checkpoint_newest(&back, run, NULL, NULL), 0);
    assert_string_equal(back->task, "multigoal");
    assert_int_equal(back->S, 2);
    assert_int_equal(back->units, 128);
    const struct checkpoint_counters *c = &back->counters;
    assert_int_equal(c->generation, 2);
    assert_int_equal(c->updates, 700);
    assert_int_equal(c->rng_counter, 99);
    assert_true(c->limiter.ratio == 0.1);
    assert_true(c->limiter.warm);
    assert_int_equal(c->limiter.inserted, 5000);
    assert_int_equal(c->limiter.u0, 3);
    assert_int_equal(c->limiter.i0, -17);
    const struct tensors_entry *f = tensors_find(&back->tensors, "f.ws");
    assert_non_null(f);
    assert_int_equal(f->shape[1], 3);
    assert_close(((float *)f->data)[5], -6.0f, 0.0f);
    checkpoint_free(back);
}

/* A copy no longer depends on what it was copied from. */
static void a_copy_stands_alone(void **state) {
    (void)state;
    float x = 1.0f;
    const struct tensors_entry entry = {
        .name = "x", .type = TENSORS_F32, .data = &x};
    struct checkpoint *checkpoint = checkpoint_copy(&entry, 1);
    x = 2.0f;
    assert_close(*(float *)checkpoint->tensors.entries[0].data, 1.0f, 0.0f);
    checkpoint_free(checkpoint);
}

/* The last `keep` stay; a later generation is newer whatever its updates. */
static void only_the_newest_are_kept(void **state) {
    (void)state;
    char path[256];
    write_one(1, 900, 3);
    write_one(1, 1000, 3);
    write_one(2, 950, 3);
    write_one(2, 960, 3);
    file_path(path, sizeof(path), 1, 900);
    assert_int_equal(access(path, F_OK), -1);
    file_path(path, sizeof(path), 1, 1000);
    assert_int_equal(access(path, F_OK), 0);
    struct checkpoint *back;
    assert_int_equal(checkpoint_newest(&back, run, NULL, NULL), 0);
    assert_int_equal(back->counters.updates, 960);
    checkpoint_free(back);
}

static bool there(uint64_t generation, uint64_t updates) {
    char path[256];
    file_path(path, sizeof(path), generation, updates);
    return access(path, F_OK) == 0;
}

/* The first one at or past each multiple stays beside the newest, also when
 * the trainer was a few updates past it, or a whole multiple was jumped. */
static void the_first_past_each_multiple_is_kept_for_good(void **state) {
    (void)state;
    static const uint64_t updates[] = {40,  100, 130, 203, 250,
                                       290, 407, 460, 470, 480};
    const size_t n = sizeof(updates) / sizeof(*updates);
    for (size_t i = 0; i < n; i++) write_some(1, updates[i], 2, 100);
    static const bool kept[] = {false, true, false, true, false,
                                false, true, false, true, true};
    for (size_t i = 0; i < n; i++)
        assert_int_equal(there(1, updates[i]), kept[i]);
}

/* A resumed run passes some multiples again: what is kept already is not kept
 * twice, and is not removed either. */
static void a_multiple_passed_again_is_kept_once(void **state) {
    (void)state;
    write_some(1, 100, 1, 100);
    write_some(1, 200, 1, 100);
    write_some(2, 150, 1, 100); // from a checkpoint before 200
    write_some(2, 201, 1, 100);
    write_some(2, 300, 1, 100);
    write_some(2, 310, 1, 100);
    assert_true(there(1, 100) && there(1, 200));
    assert_false(there(2, 150) || there(2, 201));
    assert_true(there(2, 300) && there(2, 310));
    write_some(2, 320, 1, 0); // not wanted any more
    assert_false(there(1, 100) || there(2, 300));
    assert_true(there(2, 320));
}

/* A damaged newest one is passed over. */
static void a_damaged_one_gives_way_to_an_older(void **state) {
    (void)state;
    char path[256];
    write_one(1, 100, 3);
    write_one(1, 200, 3);
    file_path(path, sizeof(path), 1, 200);
    assert_int_equal(truncate(path, 300), 0);
    struct checkpoint *back;
    assert_int_equal(checkpoint_newest(&back, run, NULL, NULL), 0);
    assert_int_equal(back->counters.updates, 100);
    checkpoint_free(back);
    file_path(path, sizeof(path), 1, 100);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(checkpoint_newest(&back, run, NULL, NULL), -EBADMSG);
}

/* Write data in the place of the newest of two. */
static void spoil_newest(const char *data, size_t n) {
    char path[256];
    file_path(path, sizeof(path), 1, 200);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, n, file), n);
    fclose(file);
}

static uint64_t updates_of_newest(void) {
    struct checkpoint *back = NULL;
    assert_int_equal(checkpoint_newest(&back, run, NULL, NULL), 0);
    const uint64_t updates = back->counters.updates;
    checkpoint_free(back);
    return updates;
}

/* Cut at every byte, or one bit of it another one, it gives way: but for the
 * word that says that there is a checksum, without which nothing else is wrong.
 */
static void any_damage_gives_way_to_an_older(void **state) {
    (void)state;
    enum { MOST = 65536 };
    static char data[MOST];
    char path[256];
    write_one(1, 100, 3);
    write_one(1, 200, 3);
    file_path(path, sizeof(path), 1, 200);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    const size_t n = fread(data, 1, MOST, file);
    fclose(file);
    assert_true(n > 500 && n < MOST);
    const char *word = memmem(data, n, "\"checksum\"", 10);
    assert_non_null(word);
    const size_t from = (size_t)(word - data), to = from + 13;
    for (size_t i = 0; i < n; i++) {
        spoil_newest(data, i);
        assert_int_equal(updates_of_newest(), 100);
        data[i] ^= 1;
        spoil_newest(data, n);
        data[i] ^= 1;
        if (i < from || i >= to) assert_int_equal(updates_of_newest(), 100);
    }
    spoil_newest(data, n);
    assert_int_equal(updates_of_newest(), 200);
}

static int fits_below(const struct checkpoint *checkpoint, const void *data,
                      char *why, size_t n) {
    const uint64_t *limit = data;
    snprintf(why, n, "no tensor x");
    return checkpoint->counters.updates < *limit ? 0 : -EINVAL;
}

/* Whole, but without what the learner needs, it gives way too; when none fits,
 * the newest is for the learner to refuse. */
static void an_unfit_one_gives_way_to_an_older(void **state) {
    (void)state;
    const struct {
        uint64_t limit, updates;
    } cases[] = {{1000, 300}, {300, 200}, {200, 100}, {50, 300}};
    write_one(1, 100, 3);
    write_one(1, 200, 3);
    write_one(1, 300, 3);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct checkpoint *back;
        assert_int_equal(
            checkpoint_newest(&back, run, fits_below, &cases[i].limit), 0);
        assert_int_equal(back->counters.updates, cases[i].updates);
        checkpoint_free(back);
    }
}

/* What a killed learner left half-written goes with the next one's first. */
static void a_half_written_one_does_not_stay(void **state) {
    (void)state;
    char path[256], half[300], other[300];
    write_one(1, 100, 3);
    file_path(path, sizeof(path), 1, 200);
    snprintf(half, sizeof(half), "%s.tmp", path);
    snprintf(other, sizeof(other), "%s/checkpoints/mine.tmp", run);
    const char *const files[] = {half, other};
    for (size_t i = 0; i < 2; i++) {
        FILE *file = fopen(files[i], "w");
        assert_non_null(file);
        fclose(file);
    }
    write_one(2, 150, 3);
    assert_true(there(1, 100) && there(2, 150));
    assert_int_equal(access(half, F_OK), -1);
    assert_int_equal(access(other, F_OK), 0); // no name of ours
}

/* No file is not an error of the disk. */
static void none_at_all_is_said(void **state) {
    (void)state;
    struct checkpoint *back;
    assert_int_equal(checkpoint_newest(&back, run, NULL, NULL), -ENOENT);
}

/* The newest file's generation is told whether or not it can be read. */
static void the_last_generation_is_in_the_names(void **state) {
    (void)state;
    char path[256];
    assert_int_equal(checkpoint_last_generation(run), 0);
    write_one(2, 300, 3);
    write_one(11, 100, 3);
    file_path(path, sizeof(path), 11, 100);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(checkpoint_last_generation(run), 11);
    assert_int_equal(checkpoint_last_generation("/nowhere"), 0);
}

/* A file of tensors that is no checkpoint names what is missing. */
static void another_file_is_refused_in_words(void **state) {
    (void)state;
    char path[256], why[128] = "";
    float x = 1.0f;
    struct tensors_entry entry = {.name = "x", .type = TENSORS_F32, .data = &x};
    const struct tensors file = {.n = 1, .entries = &entry};
    file_path(path, sizeof(path), 1, 1);
    assert_int_equal(tensors_write(path, &file), 0);
    struct checkpoint *back;
    assert_int_equal(checkpoint_read(&back, path, why, sizeof(why)), -EBADMSG);
    assert_string_equal(why, "format missing, expected 1");
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_is_written_reads_back),
        CASE(a_copy_stands_alone),
        CASE(only_the_newest_are_kept),
        CASE(the_first_past_each_multiple_is_kept_for_good),
        CASE(a_multiple_passed_again_is_kept_once),
        CASE(a_damaged_one_gives_way_to_an_older),
        CASE(any_damage_gives_way_to_an_older),
        CASE(an_unfit_one_gives_way_to_an_older),
        CASE(a_half_written_one_does_not_stay),
        CASE(none_at_all_is_said),
        CASE(the_last_generation_is_in_the_names),
        CASE(another_file_is_refused_in_words),
    };
#undef CASE
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
