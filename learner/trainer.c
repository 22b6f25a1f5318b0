#include "learner/trainer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STATES_A_WORKER = 16 };

struct trainer {
    struct algorithm *algorithm; /* the thread's, once it runs */
    struct algorithm_noise noise;
    struct rng rng;
    size_t floats; /* the most of a policy */
    void (*wake)(void *data);
    void *data;
    pthread_t thread;

    size_t pending; /* the loop's: submitted, result not yet taken */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work;
    bool stop;
    size_t job_first, n_jobs, result_first, n_results;
    struct trainer_job jobs[TRAINER_QUEUE];
    struct trainer_result results[TRAINER_QUEUE];
};

size_t trainer_threads(const struct config *config, bool parallel) {
    if (config->threads > 0) {
        return parallel || config->threads == 1 ? (size_t)config->threads : 0;
    }
    cpu_set_t cpus;
    size_t cores = 1;
    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0) {
        cores = (size_t)CPU_COUNT(&cpus);
    }
    const size_t useful = config->minibatch / STATES_A_WORKER;
    const size_t threads = cores < useful ? cores : useful;
    return parallel && threads > 1 ? threads : 1;
}

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void do_update(struct trainer *trainer, const struct trainer_job *job,
                      struct trainer_result *result) {
    algorithm_noise_draw(&trainer->noise, trainer->algorithm, &trainer->rng);
    result->error =
        algorithm_update(trainer->algorithm, job->rows, &trainer->noise,
                         &result->figures, &result->what);
}

static void do_parameters(struct trainer *trainer,
                          struct trainer_result *result) {
    const struct policy policy = algorithm_policy(trainer->algorithm);
    result->policy = policy_copy(&policy);
    if (result->policy == NULL) result->error = -ENOMEM;
}

static void do_checkpoint(struct trainer *trainer,
                          struct trainer_result *result) {
    struct tensors_entry entries[ALGORITHM_MAX_TENSORS];
    size_t n = algorithm_tensors(trainer->algorithm, entries);
    result->checkpoint = checkpoint_copy(entries, n);
    if (result->checkpoint == NULL) {
        result->error = -ENOMEM;
        return;
    }
    result->checkpoint->counters.updates =
        algorithm_updates(trainer->algorithm);
    result->checkpoint->counters.rng_counter = trainer->rng.counter;
}

static struct trainer_result do_job(struct trainer *trainer,
                                    const struct trainer_job *job) {
    struct trainer_result result = {.kind = job->kind, .data = job->data};
    const double start = seconds_now();
    switch (job->kind) {
    case TRAINER_UPDATE:
        do_update(trainer, job, &result);
        break;
    case TRAINER_PARAMETERS:
        do_parameters(trainer, &result);
        break;
    case TRAINER_CHECKPOINT:
        do_checkpoint(trainer, &result);
        break;
    }
    result.updates = algorithm_updates(trainer->algorithm);
    result.seconds = seconds_now() - start;
    return result;
}

static void *run(void *argument) {
    struct trainer *trainer = argument;
    (void)mlp_blas_setup(); /* what it says was heeded before it was started */
    pthread_mutex_lock(&trainer->lock);
    while (!trainer->stop) {
        if (trainer->n_jobs == 0) {
            pthread_cond_wait(&trainer->work, &trainer->lock);
            continue;
        }
        const struct trainer_job job = trainer->jobs[trainer->job_first];
        trainer->job_first = (trainer->job_first + 1) % TRAINER_QUEUE;
        trainer->n_jobs--;
        pthread_mutex_unlock(&trainer->lock);

        const struct trainer_result result = do_job(trainer, &job);

        pthread_mutex_lock(&trainer->lock);
        size_t at =
            (trainer->result_first + trainer->n_results) % TRAINER_QUEUE;
        trainer->results[at] = result;
        trainer->n_results++;
        trainer->wake(trainer->data);
        // the state is unusable: whatever else was queued must not touch it
        if (result.error == -EDOM) break;
    }
    pthread_mutex_unlock(&trainer->lock);
    return NULL;
}

static void free_trainer(struct trainer *trainer) {
    algorithm_noise_finish(&trainer->noise);
    algorithm_free(trainer->algorithm);
    pthread_mutex_destroy(&trainer->lock);
    pthread_cond_destroy(&trainer->work);
    free(trainer);
}

/* A composition: its Q functions out of other runs' checkpoints, or of its own.
 */
static int compose(struct trainer *trainer, const struct config *config,
                   size_t S, size_t A, size_t threads,
                   const struct origin *origin, char *why, size_t n) {
    struct algorithm_origin list[ALGORITHM_MOST_SOURCES];
    char prefixes[ALGORITHM_MOST_SOURCES][16], name[32];
    size_t count = 0;
    for (; origin->resume == NULL && count < origin->n_sources; count++) {
        list[count] = (struct algorithm_origin){
            .tensors = &origin->sources[count]->tensors, .prefix = ""};
    }
    while (origin->resume != NULL && count < ALGORITHM_MOST_SOURCES) {
        const struct tensors *own = &origin->resume->tensors;
        snprintf(prefixes[count], sizeof(prefixes[count]), "source%zu.", count);
        snprintf(name, sizeof(name), "source%zu.q.ws", count);
        if (tensors_find(own, name) == NULL) break;
        list[count] = (struct algorithm_origin){.tensors = own,
                                                .prefix = prefixes[count]};
        count++;
    }
    if (count == 0) {
        snprintf(why, n, "its checkpoint holds no Q function (source0.q.ws)");
        return -EINVAL;
    }
    return algorithm_new_composed(&trainer->algorithm, config, S, A, threads,
                                  list, count, why, n);
}

/* Say whose file it is that does not fit. */
static void blame(char *why, size_t n, const char *whose, const char *run) {
    char text[512];
    snprintf(text, sizeof(text), "%s", why);
    snprintf(why, n, "%s%s: %s", whose, run, text);
}

/* Everything but the thread. 0, -ENOMEM or -EINVAL. */
static int prepare(struct trainer *trainer, const struct config *config,
                   size_t S, size_t A, size_t threads,
                   const struct origin *origin, char *why, size_t n) {
    int rc = origin_check(origin, config, S, A, why, n);
    if (rc == 0 && config->algorithm == ALGORITHM_COMPOSE) {
        rc = compose(trainer, config, S, A, threads, origin, why, n);
    } else if (rc == 0) {
        trainer->algorithm = algorithm_new(config, S, A, threads);
        if (trainer->algorithm == NULL) rc = -ENOMEM;
    }
    if (rc != 0) return rc;
    trainer->floats = policy_most_floats(
        algorithm_sampler_shape(trainer->algorithm), (size_t)config->noise_set);
    rng_init(&trainer->rng, config->seed, RNG_LEARNER, 0, 0,
             ALGORITHM_STREAM_NOISE);
    rc = algorithm_noise_init(&trainer->noise, trainer->algorithm);
    if (rc == 0 && origin->resume != NULL) {
        const struct checkpoint *resume = origin->resume;
        rc = algorithm_load(trainer->algorithm, &resume->tensors, why, n);
        if (rc == -EINVAL) blame(why, n, "the newest checkpoint", "");
        trainer->rng.counter = resume->counters.rng_counter;
    } else if (rc == 0 && origin->init != NULL) {
        rc = algorithm_init_from(trainer->algorithm, &origin->init->tensors,
                                 (enum config_parts)config->init_parts, why, n);
        if (rc == -EINVAL) blame(why, n, "init_from = ", config->init_from);
    }
    return rc;
}

int trainer_check(const struct config *config,
                  const struct checkpoint *checkpoint, char *why, size_t n) {
    struct origin origin = {.resume = (struct checkpoint *)checkpoint};
    struct trainer *trainer = calloc(1, sizeof(*trainer));
    if (trainer == NULL) return -ENOMEM;
    pthread_mutex_init(&trainer->lock, NULL);
    pthread_cond_init(&trainer->work, NULL);
    int rc = prepare(trainer, config, checkpoint->S, checkpoint->A, 1, &origin,
                     why, n);
    free_trainer(trainer);
    return rc;
}

int trainer_start(struct trainer **out, const struct config *config, size_t S,
                  size_t A, size_t threads, const struct origin *origin,
                  void (*wake)(void *data), void *data, char *why, size_t n) {
    struct trainer *trainer = calloc(1, sizeof(*trainer));
    if (trainer == NULL) return -ENOMEM;
    trainer->wake = wake;
    trainer->data = data;
    pthread_mutex_init(&trainer->lock, NULL);
    pthread_cond_init(&trainer->work, NULL);

    int rc = prepare(trainer, config, S, A, threads, origin, why, n);
    if (rc == 0) rc = -pthread_create(&trainer->thread, NULL, run, trainer);
    if (rc != 0) {
        free_trainer(trainer);
        return rc;
    }
    *out = trainer;
    return 0;
}

size_t trainer_room(const struct trainer *trainer) {
    return TRAINER_QUEUE - trainer->pending;
}

void trainer_submit(struct trainer *trainer, const struct trainer_job *job) {
    assert(trainer_room(trainer) > 0);
    trainer->pending++;
    pthread_mutex_lock(&trainer->lock);
    trainer->jobs[(trainer->job_first + trainer->n_jobs) % TRAINER_QUEUE] =
        *job;
    trainer->n_jobs++;
    pthread_cond_signal(&trainer->work);
    pthread_mutex_unlock(&trainer->lock);
}

bool trainer_next(struct trainer *trainer, struct trainer_result *result) {
    pthread_mutex_lock(&trainer->lock);
    bool any = trainer->n_results > 0;
    if (any) {
        *result = trainer->results[trainer->result_first];
        trainer->result_first = (trainer->result_first + 1) % TRAINER_QUEUE;
        trainer->n_results--;
        trainer->pending--;
    }
    pthread_mutex_unlock(&trainer->lock);
    return any;
}

size_t trainer_parameters(const struct trainer *trainer) {
    return trainer->floats;
}

void trainer_stop(struct trainer *trainer) {
    if (trainer == NULL) return;
    pthread_mutex_lock(&trainer->lock);
    trainer->stop = true;
    pthread_cond_signal(&trainer->work);
    pthread_mutex_unlock(&trainer->lock);
    pthread_join(trainer->thread, NULL);

    struct trainer_result result;
    while (trainer_next(trainer, &result)) {
        free(result.policy);
        checkpoint_free(result.checkpoint);
    }
    free_trainer(trainer);
}
