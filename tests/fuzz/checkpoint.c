/*
 * Checkpoints: common/tensors.h, and what actor and learner make of one. A
 * file's first 8 bytes, its header's length, are mended, so that its JSON is
 * reached; but not where the first byte of the input is 0.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actor/snapshot.h"
#include "learner/algorithm.h"
#include "learner/checkpoint.h"
#include "tests/fuzz/fuzz.h"

enum { S = 2, A = 2, UNITS = 2 };

/* The header ends where its braces do. */
static const char *write_file(const uint8_t *data, size_t len) {
    if (len < 9 || data[0] == 0)
        return fuzz_file(data + (len > 0), len - (len > 0));
    uint8_t *copy = malloc(len - 1);
    fuzz_check(copy != NULL, "no memory");
    memcpy(copy, data + 1, len - 1);
    uint64_t header = 0;
    int depth = 0;
    for (size_t i = 8; i < len - 1; i++) {
        depth += (copy[i] == '{') - (copy[i] == '}');
        if (depth > 0 || copy[i] != '}') continue;
        header = i + 1 - 8;
        break;
    }
    memcpy(copy, &header, sizeof header);
    const char *path = fuzz_file(copy, len - 1);
    free(copy);
    return path;
}

/* Another layer, so that every number is looked at. */
static void play(const struct snapshot *snapshot) {
    const struct mlp_shape *shape = &snapshot->policy.shape;
    const float zeros[64] = {0};
    float q[1] = {0};
    fuzz_check(shape->S >= 1 && shape->X >= 1 && shape->H >= 1,
               "a sampler without size");
    if (shape->S > 64 || shape->X > 64) return;
    snapshot_value(snapshot, q, zeros, zeros, 1);
}

static void load(const struct checkpoint *checkpoint) {
    static struct algorithm *algorithm;
    char why[512] = "";
    if (algorithm == NULL) {
        struct config config;
        config_defaults(&config);
        config.units = UNITS;
        config.twin_q = true;
        config.observation_normalisation = true;
        algorithm = algorithm_new(&config, S, A, 1);
        fuzz_check(algorithm != NULL, "no algorithm");
    }
    int rc = algorithm_load(algorithm, &checkpoint->tensors, why, sizeof why);
    fuzz_check(rc == 0 || why[0] != '\0', "refused without a word");
    why[0] = '\0';
    rc = algorithm_init_from(algorithm, &checkpoint->tensors, PARTS_BOTH, why,
                             sizeof why);
    fuzz_check(rc == 0 || why[0] != '\0', "refused without a word");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    char why[1024] = "";
    const char *path = write_file(data, len);
    struct snapshot snapshot;
    int rc = snapshot_read(&snapshot, "/", path, why, sizeof why);
    fuzz_check(rc == 0 || why[0] != '\0', "refused without a word");
    if (rc == 0) {
        play(&snapshot);
        snapshot_finish(&snapshot);
    }
    struct checkpoint *checkpoint = NULL;
    why[0] = '\0';
    rc = checkpoint_read(&checkpoint, path, why, sizeof why);
    fuzz_check(rc == 0 || why[0] != '\0', "refused without a word");
    if (rc != 0) return 0;
    load(checkpoint);
    checkpoint_free(checkpoint);
    return 0;
}
