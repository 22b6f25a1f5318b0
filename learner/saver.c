#include "learner/saver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit_status.h"
#include "common/log.h"
#include "common/rundir.h"
#include "learner/dialogue.h"
#include "learner/learner.h"

static const uint64_t retry_ms = 5000;
/* After a text of RUN/state that took t to print, this times t without one: a
 * crowd of newcomers is written down a few at a time. */
static const double state_pause = 40.0;

static void write_state(uv_work_t *work) {
    struct learner *learner = work->data;
    struct saver *saver = &learner->saver;
    saver->state_rc =
        rundir_write(learner->config.run_dir, "state", saver->text, saver->len);
}

static void begin_state(struct learner *learner);

static void on_state_written(uv_work_t *work, int status) {
    struct learner *learner = work->data;
    struct saver *saver = &learner->saver;
    saver->state_busy = false;
    free(saver->text);
    saver->text = NULL;
    int rc = status != 0 ? status : saver->state_rc;
    if (rc != 0) {
        log_warn("%s/state: %s; trying again in 5 s", learner->config.run_dir,
                 strerror(-rc));
        saver->state_wanted = true;
        saver->state_due_ms = uv_now(learner->loop) + retry_ms;
    }
    // a full disk must not keep anyone out: a rank that is not on disk is
    // only lost if we crash before the next try
    saver->state_names = saver->writing_names;
    dialogue_welcome_all(learner);
    if (rc == 0) begin_state(learner);
}

static void begin_state(struct learner *learner) {
    struct saver *saver = &learner->saver;
    if (!saver->state_wanted || saver->state_busy ||
        uv_now(learner->loop) < saver->state_next_ms)
        return; // later a tick will
    const uint64_t began = uv_hrtime();
    saver->text = state_print(&learner->state, &learner->registry,
                              &learner->limiter, &saver->len);
    if (saver->text == NULL) return; // the next tick tries
    const double ms = 1e-6 * (double)(uv_hrtime() - began);
    saver->state_next_ms = uv_now(learner->loop) + (uint64_t)(state_pause * ms);
    saver->state_wanted = false;
    saver->state_busy = true;
    saver->writing_names = learner->registry.n_peers;
    saver->state_work.data = learner;
    uv_queue_work(learner->loop, &saver->state_work, write_state,
                  on_state_written);
}

void saver_state(struct learner *learner) {
    learner->saver.state_wanted = true;
    begin_state(learner);
}

bool saver_busy(const struct learner *learner) {
    return learner->saver.asked || learner->saver.busy;
}

/* Multiples of checkpoint_every that the updates handed over so far passed. */
static uint64_t multiples(const struct learner *learner) {
    const uint64_t every = learner->config.checkpoint_every;
    return every > 0 ? (uint64_t)learner->limiter.updates / every : 0;
}

void saver_resumed(struct learner *learner) {
    learner->saver.multiples = multiples(learner);
}

void saver_passed(struct learner *learner) {
    if (multiples(learner) > learner->saver.multiples) saver_ask(learner);
}

void saver_ask(struct learner *learner) {
    if (learner->trainer == NULL || saver_busy(learner) ||
        trainer_room(learner->trainer) == 0) {
        return;
    }
    // the base of this moment goes with the updates handed over so far: jobs
    // are done in order, so the copy is taken after exactly those
    learner->saver.base = limiter_base(&learner->limiter);
    trainer_submit(learner->trainer,
                   &(struct trainer_job){.kind = TRAINER_CHECKPOINT});
    learner->saver.asked = true;
    learner->saver.multiples = multiples(learner);
}

static void write_checkpoint(uv_work_t *work) {
    struct learner *learner = work->data;
    learner->saver.checkpoint_rc =
        checkpoint_write(learner->saver.checkpoint, learner->config.run_dir,
                         (size_t)learner->config.keep_checkpoints,
                         learner->config.checkpoint_every);
}

static void on_checkpoint_written(uv_work_t *work, int status) {
    struct learner *learner = work->data;
    struct saver *saver = &learner->saver;
    const uint64_t updates = saver->checkpoint->counters.updates;
    const uint64_t now = uv_now(learner->loop);
    int rc = status != 0 ? status : saver->checkpoint_rc;
    saver->busy = false;
    saver->last_rc = rc;
    checkpoint_free(saver->checkpoint);
    saver->checkpoint = NULL;
    if (rc == 0) {
        saver->written++;
        saver->newest = updates;
        log_info("checkpoint at %" PRIu64 " updates", updates);
    } else {
        saver->failed++;
        saver->due_ms = now + retry_ms;
        log_warn("checkpoint at %" PRIu64 " updates: %s; %s", updates,
                 strerror(-rc),
                 learner->ending ? "the run ends without it"
                                 : "training goes on, trying again in 5 s");
    }
    if (learner->ending) {
        if (saver->last && rc != 0) learner->exit_status = EXIT_REFUSED;
        saver_last(learner);
    } else if (learner->config.lockstep) {
        lockstep_go_on(learner);
    }
}

static void describe(const struct learner *learner,
                     struct checkpoint *checkpoint) {
    memcpy(checkpoint->task, learner->config.task, sizeof(checkpoint->task));
    snprintf(checkpoint->algorithm, sizeof(checkpoint->algorithm), "%s",
             config_word(&learner->config, "algorithm"));
    checkpoint->S = learner->registry.spec.obs_dim;
    checkpoint->A = learner->registry.spec.act_dim;
    checkpoint->units = learner->config.units;
    checkpoint->counters.generation = learner->state.generation;
    checkpoint->counters.limiter = learner->saver.base;
}

void saver_write(struct learner *learner, struct checkpoint *checkpoint) {
    struct saver *saver = &learner->saver;
    saver->asked = false;
    if (checkpoint == NULL) {
        log_warn("no memory for a checkpoint; trying again");
        if (learner->ending) saver_last(learner);
        return;
    }
    describe(learner, checkpoint);
    saver->busy = true;
    saver->checkpoint = checkpoint;
    saver->checkpoint_work.data = learner;
    uv_queue_work(learner->loop, &saver->checkpoint_work, write_checkpoint,
                  on_checkpoint_written);
    saver_state(learner); // totals of the rings as they are now
}

void saver_last(struct learner *learner) {
    struct saver *saver = &learner->saver;
    if (saver_busy(learner)) return; // we are called again when it is done
    const bool there = saver->written > 0 &&
                       saver->newest == (uint64_t)learner->limiter.updates;
    if (saver->last || there || learner->trainer == NULL) {
        learner_farewell(learner);
        return;
    }
    saver->last = true;
    saver_ask(learner);
}

void saver_tick(struct learner *learner, uint64_t now_ms) {
    if (now_ms >= learner->saver.state_due_ms) begin_state(learner);
    if (learner->ending || learner->config.lockstep || learner->trainer == NULL)
        return;
    saver_passed(learner);
    if (now_ms < learner->saver.due_ms) return;
    saver_ask(learner);
    if (saver_busy(learner)) {
        learner->saver.due_ms =
            now_ms + (uint64_t)(1000.0 * learner->config.checkpoint_seconds);
    }
}
