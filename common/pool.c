#include "common/pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct worker {
    struct pool *pool;
    size_t slice;
    pthread_t thread;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t started, finished;
    /* under the lock */
    uint64_t round; /* jobs handed out so far */
    size_t busy;    /* workers that have not finished this one */
    bool stop;
    void (*job)(void *arg, size_t slice);
    void *arg;
    /* constant */
    size_t n; /* workers beside the caller that were started */
    struct worker workers[];
};

static void *work(void *arg) {
    struct worker *worker = arg;
    struct pool *pool = worker->pool;
    uint64_t done = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->round == done && !pool->stop) {
            pthread_cond_wait(&pool->started, &pool->lock);
        }
        if (pool->stop) break;
        done = pool->round;
        pthread_mutex_unlock(&pool->lock);
        pool->job(pool->arg, worker->slice);
        pthread_mutex_lock(&pool->lock);
        if (--pool->busy == 0) pthread_cond_signal(&pool->finished);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

struct pool *pool_new(size_t threads) {
    assert(threads >= 1);
    struct pool *pool =
        calloc(1, sizeof(*pool) + (threads - 1) * sizeof(struct worker));
    if (!pool) return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->started, NULL);
    pthread_cond_init(&pool->finished, NULL);

    // threads inherit the mask: signals belong to the program's own loop
    sigset_t all, kept;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &kept);
    for (; pool->n < threads - 1; pool->n++) {
        struct worker *worker = &pool->workers[pool->n];
        *worker = (struct worker){.pool = pool, .slice = pool->n + 1};
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) break;
    }
    pthread_sigmask(SIG_SETMASK, &kept, NULL);
    if (pool->n < threads - 1) {
        pool_free(pool);
        return NULL;
    }
    return pool;
}

void pool_free(struct pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->started);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->n; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->started);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

size_t pool_threads(const struct pool *pool) {
    return pool->n + 1;
}

void pool_run(struct pool *pool, void (*job)(void *arg, size_t slice),
              void *arg) {
    pthread_mutex_lock(&pool->lock);
    pool->job = job;
    pool->arg = arg;
    pool->busy = pool->n;
    pool->round++;
    if (pool->n > 0) pthread_cond_broadcast(&pool->started);
    pthread_mutex_unlock(&pool->lock);

    job(arg, 0);

    pthread_mutex_lock(&pool->lock);
    while (pool->busy > 0) pthread_cond_wait(&pool->finished, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
