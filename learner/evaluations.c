#include "learner/evaluations.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/rundir.h"

static const char name[] = "evaluations.csv";
static const char head[] =
    "seconds,updates,steps,generation,episodes,mean_return,std_return,"
    "mean_length,success_rate,unstable,evaluator,wall";

uint64_t evaluations_updates(uint64_t version) {
    return version & ((UINT64_C(1) << 40) - 1);
}

static int begin(struct evaluations *e, uint64_t updates) {
    const int rc = csv_start(&e->csv, e->run, name, head, updates);
    if (rc != 0) return rc;
    e->begun = true;
    e->any = e->csv.kept > 0;
    e->newest = e->csv.updates;
    return 0;
}

int evaluations_start(struct evaluations *e, const struct config *config,
                      uint64_t updates) {
    char path[4096];
    *e = (struct evaluations){.run = config->run_dir,
                              .every = config->evaluate_every};
    const int rc = rundir_path(path, sizeof(path), e->run, name);
    if (rc != 0) return rc;
    return access(path, F_OK) == 0 ? begin(e, updates) : 0;
}

void evaluations_finish(struct evaluations *e) {
    csv_finish(&e->csv);
    *e = (struct evaluations){0};
}

/* The turn of `version` is over or under way by `updates`. */
static bool covers(const struct evaluations *e, uint64_t updates,
                   uint64_t version) {
    return updates / e->every >= evaluations_updates(version) / e->every;
}

bool evaluations_due(const struct evaluations *e,
                     const struct registry *registry,
                     const struct registry_peer *peer, uint64_t have,
                     uint64_t version) {
    const uint64_t own = peer->progress.turn.version;
    if (version == 0) return false;
    if (own != 0) return have != own; // they were lost on their way
    if (e->any && covers(e, e->newest, version)) return false;
    for (size_t i = 0; i < registry->n_peers; i++) {
        const struct registry_peer *other = registry->peers[i];
        const uint64_t theirs = other->progress.turn.version;
        if (other->here && theirs != 0 &&
            covers(e, evaluations_updates(theirs), version))
            return false;
    }
    return true;
}

void evaluations_given(const struct registry *registry,
                       struct registry_peer *peer, uint64_t version,
                       const struct progress_now *now) {
    // who is not here any more may come back with what is played again now
    for (size_t i = 0; i < registry->n_peers; i++)
        if (!registry->peers[i]->here)
            registry->peers[i]->progress.turn.version = 0;
    peer->progress.turn = (struct registry_turn){
        .version = version, .steps = now->steps, .seconds = now->seconds};
}

static void write_row(struct evaluations *e, const struct registry_peer *peer,
                      const struct wire_evaluation *found, double wall) {
    const struct registry_turn *turn = &peer->progress.turn;
    char row[512], numbers[128] = ",,", share[32] = "";
    if (found->episodes > 0)
        snprintf(numbers, sizeof(numbers), "%.6g,%.6g,%.6g", found->mean_return,
                 found->std_return, found->mean_length);
    if (found->episodes > 0 && found->has_goals)
        snprintf(share, sizeof(share), "%.6g",
                 (double)found->reached / (double)found->episodes);
    snprintf(row, sizeof(row),
             "%.3f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
             ",%s,%s,%" PRIu64 ",%s,%.3f\n",
             turn->seconds, evaluations_updates(turn->version), turn->steps,
             turn->version >> 40, found->episodes, numbers, share,
             found->unstable, peer->name, wall);
    csv_append(&e->csv, row);
}

bool evaluations_told(struct evaluations *e, struct registry_peer *peer,
                      const struct wire_evaluation *found, double wall) {
    struct registry_turn *turn = &peer->progress.turn;
    if (turn->version == 0 || found->version != turn->version) return false;
    if (!e->begun) {
        const int rc = begin(e, 0);
        if (rc != 0) log_warn("%s: %s; going on without", name, strerror(-rc));
    }
    if (e->begun) write_row(e, peer, found, wall);
    const uint64_t updates = evaluations_updates(found->version);
    if (!e->any || updates > e->newest) e->newest = updates;
    e->any = true;
    e->n++;
    e->last = *found;
    turn->version = 0;
    return true;
}
