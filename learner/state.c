#include "learner/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/rundir.h"

/* A text's first line, if its last one is a checksum of all before. */
static const char signed_from[] = "state 2\n", sum_word[] = "checksum ";

char *state_print(const struct state *state, const struct registry *registry,
                  const struct limiter *limiter, size_t *len) {
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    if (out == NULL) return NULL;
    fprintf(out, "%srun %016" PRIx64 "\ngeneration %" PRIu64 "\ntask %s\n",
            signed_from, state->run, state->generation, state->task);
    if (registry->spec.obs_dim > 0) {
        fprintf(out, "spec %" PRIu32 " %" PRIu32 "\n", registry->spec.obs_dim,
                registry->spec.act_dim);
    }
    if (registry->model_known) {
        fprintf(out, "model %016" PRIx64 "\n", registry->model);
    }
    for (size_t i = 0; i < registry->n_peers; i++) {
        const struct registry_peer *peer = registry->peers[i];
        if (peer->role == 0)
            fprintf(out, "name %s\n", peer->name);
        else
            fprintf(out, "name %s %s%s%s\n", peer->name,
                    wire_role_name(peer->role), peer->key[0] ? " " : "",
                    peer->key);
    }
    for (size_t i = 0; i < limiter->n; i++) {
        fprintf(out, "ring %016" PRIx64 " %" PRId64 "\n", limiter->rings[i].id,
                limiter->rings[i].stored);
    }
    for (size_t i = 0; i < registry->n_shards; i++) {
        const struct registry_shard *shard = &registry->shards[i];
        fprintf(out, "shard %" PRIu32 " %" PRIu64 " %016" PRIx64 " %s\n",
                shard->index, shard->rank, shard->incarnation, shard->address);
    }
    const bool whole = fflush(out) == 0;
    if (whole)
        fprintf(out, "%s%016" PRIx64 "\n", sum_word,
                hash_bytes(HASH_START, text, *len));
    if (fclose(out) != 0 || !whole) {
        free(text);
        return NULL;
    }
    return text;
}

/*
 * 0 when the text is what was written, with *end behind what counts. Texts of
 * older versions do not begin like ours and have no checksum.
 */
static int check_sum(const char *text, const char **end, char *why, size_t n) {
    const size_t len = strlen(text);
    const size_t line = strlen(sum_word) + 16 + 1;
    char sum[17], last[64];
    *end = text + len;
    if (strncmp(text, signed_from, strlen(signed_from)) != 0) return 0;
    if (len > line) {
        const size_t body = len - line;
        snprintf(sum, sizeof(sum), "%016" PRIx64,
                 hash_bytes(HASH_START, text, body));
        snprintf(last, sizeof(last), "%s%s\n", sum_word, sum);
        if (strcmp(text + body, last) == 0) {
            *end = text + body;
            return 0;
        }
    }
    snprintf(why, n,
             "cut or altered since it was written (its checksum differs): put "
             "a copy of it back, without it the run's rings and names are "
             "strangers");
    return -EBADMSG;
}

/* What follows "shard ". The address is the rest: a path may have spaces. */
static int parse_shard(const char *text, struct registry *registry) {
    struct wire_shard shard = {0};
    uint64_t rank;
    int at = -1;
    if (sscanf(text, "%9" SCNu32 " %9" SCNu64 " %16" SCNx64 " %n", &shard.index,
               &rank, &shard.incarnation, &at) != 3 ||
        at < 0 || text[at] == '\0' ||
        strlen(text + at) >= sizeof(shard.address) ||
        shard.index >= WIRE_MAX_SHARDS) {
        return -EBADMSG;
    }
    strcpy(shard.address, text + at);
    return registry_known_shard(registry, &shard, rank) == 0 ? 0 : -EBADMSG;
}

/* What follows "name ": a name, the role that older versions left out, and the
 * key that it belongs to, if any. */
static int parse_name(const char *text, struct registry *registry) {
    char name[65], role[17] = "", key[WIRE_KEY_LEN] = "";
    int end = -1, rest = -1, last = -1;
    if (sscanf(text, "%64s%n %16s%n %64s%n", name, &end, role, &rest, key,
               &last) < 1) {
        return -EBADMSG;
    }
    if (rest >= 0) end = rest;
    if (last >= 0) end = last;
    const enum wire_role known = wire_role_of(role);
    if (text[end] != '\0' || !wire_name_ok(name) || (rest >= 0 && known == 0) ||
        (last >= 0 && !wire_key_ok(key))) {
        return -EBADMSG;
    }
    const int rc = registry_known_name(registry, name, known, key);
    return rc == 0 || rc == -ENOMEM ? rc : -EBADMSG;
}

/* One line, without its newline. 0, -EBADMSG or another errno. */
static int parse_line(struct state *state, const char *line,
                      struct registry *registry, struct limiter *limiter) {
    char word[65];
    uint64_t id, stored;
    struct wire_spec spec;
    int end = -1;
    if (strcmp(line, "state 2") == 0) return 0;
    if (strncmp(line, "shard ", 6) == 0) return parse_shard(line + 6, registry);
    if (strncmp(line, "name ", 5) == 0) return parse_name(line + 5, registry);
    if (sscanf(line, "run %16" SCNx64 "%n", &id, &end) == 1) {
        state->run = id;
    } else if (sscanf(line, "generation %" SCNu64 "%n", &id, &end) == 1) {
        state->generation = id;
    } else if (sscanf(line, "task %64s%n", word, &end) == 1) {
        memcpy(state->task, word, sizeof(state->task));
    } else if (sscanf(line, "spec %9" SCNu32 " %9" SCNu32 "%n", &spec.obs_dim,
                      &spec.act_dim, &end) == 2) {
        if (spec.obs_dim - 1 >= WIRE_MAX_DIM ||
            spec.act_dim - 1 >= WIRE_MAX_DIM) {
            return -EBADMSG;
        }
        registry_fix_spec(registry, spec);
    } else if (sscanf(line, "model %16" SCNx64 "%n", &id, &end) == 1) {
        if (registry_known_model(registry, id) != 0) return -EBADMSG;
    } else if (sscanf(line, "ring %16" SCNx64 " %" SCNu64 "%n", &id, &stored,
                      &end) == 2) {
        if (limiter_known_ring(limiter, id, stored) != 0) return -EBADMSG;
    }
    return end > 0 && line[end] == '\0' ? 0 : -EBADMSG;
}

int state_parse(struct state *state, const char *text,
                struct registry *registry, struct limiter *limiter, char *why,
                size_t n) {
    const char *end = NULL;
    *state = (struct state){0};
    if (check_sum(text, &end, why, n) != 0) return -EBADMSG;
    for (size_t number = 1; text < end; number++) {
        const size_t len = strcspn(text, "\n");
        char line[64 + WIRE_ADDRESS_LEN];
        int rc = -EBADMSG;
        if (len < sizeof(line) && text[len] == '\n') {
            memcpy(line, text, len);
            line[len] = '\0';
            rc = parse_line(state, line, registry, limiter);
        }
        if (rc != 0) {
            snprintf(why, n, "line %zu is not understood", number);
            return rc;
        }
        text += len + 1;
    }
    if (state->run == 0 || state->generation == 0 || state->task[0] == '\0') {
        snprintf(why, n, "run, generation or task is missing");
        return -EBADMSG;
    }
    return 0;
}

int state_read(char **text, const char *run) {
    char path[4096];
    int rc = rundir_path(path, sizeof(path), run, "state");
    if (rc != 0) return rc;
    FILE *in = fopen(path, "re");
    if (in == NULL) return -errno;

    size_t len = 0;
    *text = NULL;
    FILE *out = open_memstream(text, &len);
    char chunk[4096];
    size_t got = 0;
    while (out != NULL && (got = fread(chunk, 1, sizeof(chunk), in)) > 0) {
        fwrite(chunk, 1, got, out);
    }
    rc = ferror(in) ? -EIO : 0;
    fclose(in);
    if (out == NULL || fclose(out) != 0) rc = -ENOMEM;
    if (rc == 0 && strlen(*text) != len) rc = -EBADMSG; // holes of a bad disk
    if (rc != 0) {
        free(*text);
        *text = NULL;
    }
    return rc;
}

int state_lock(const char *run, long *pid) {
    char path[4096], text[32] = "";
    int rc = rundir_path(path, sizeof(path), run, "lock");
    if (rc != 0) return rc;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return -errno;

    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        rc = -errno;
        ssize_t got = read(fd, text, sizeof(text) - 1);
        *pid = got > 0 ? strtol(text, NULL, 10) : 0;
        close(fd);
        return rc;
    }
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || write(fd, text, (size_t)len) != len) {
        rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}
