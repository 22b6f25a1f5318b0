#include "proto/lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void stop_once(struct lifecycle *life, const char *why) {
    if (life->stopping) return;
    life->stopping = 1;
    life->on_stop(life, why);
}

static void on_signal(uv_signal_t *handle, int signum) {
    stop_once(handle->data, signum == SIGINT ? "Ctrl-C" : "SIGTERM");
}

static void lifeline_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf) {
    (void)size;
    struct lifecycle *life = handle->data;
    *buf = uv_buf_init(life->ignored, sizeof(life->ignored));
}

static void on_lifeline(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    (void)buf;
    if (n < 0) {
        uv_read_stop(stream); /* end of file would be told again and again */
        stop_once(stream->data, "the launcher is gone");
    }
}

static int start_signal(uv_loop_t *loop, uv_signal_t *handle, int signum,
                        struct lifecycle *life) {
    int rc = uv_signal_init(loop, handle);
    if (rc != 0) return rc;
    handle->data = life;
    return uv_signal_start(handle, on_signal, signum);
}

static int start_lifeline(uv_loop_t *loop, int fd, struct lifecycle *life) {
    /* not for the grandchildren: they would hold nobody's line */
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0) {
        return UV_EBADF;
    }
    int rc = uv_pipe_init(loop, &life->lifeline, 0);
    if (rc != 0) return rc;
    life->lifeline.data = life;
    rc = uv_pipe_open(&life->lifeline, fd);
    if (rc != 0) return rc;
    return uv_read_start((uv_stream_t *)&life->lifeline, lifeline_alloc,
                         on_lifeline);
}

int lifecycle_start(struct lifecycle *life, uv_loop_t *loop, int lifeline,
                    void (*on_stop)(struct lifecycle *life, const char *why),
                    void *data) {
    *life = (struct lifecycle){.on_stop = on_stop, .data = data};
    signal(SIGPIPE, SIG_IGN);
    int rc = start_signal(loop, &life->sigterm, SIGTERM, life);
    if (rc == 0) rc = start_signal(loop, &life->sigint, SIGINT, life);
    if (rc == 0 && lifeline >= 0) rc = start_lifeline(loop, lifeline, life);
    return rc;
}

static void close_handle(uv_handle_t *handle, void *unused) {
    (void)unused;
    if (uv_is_closing(handle)) return;
    int signum =
        handle->type == UV_SIGNAL ? ((uv_signal_t *)handle)->signum : 0;
    uv_close(handle, NULL);
    /* what was told to stop twice must not die of it before it is done */
    if (signum != 0) signal(signum, SIG_IGN);
}

void lifecycle_close_all(uv_loop_t *loop) {
    uv_walk(loop, close_handle, NULL);
}

/*
 * Threads of their own heaps would not find what was reserved in ours. Large
 * blocks still come from the kernel and go back to it.
 */
void lifecycle_one_heap(void) {
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
}

int lifecycle_reserve(size_t connections) {
    enum { A_CONNECTION = 108 << 10 };
    const size_t n = connections + 1; /* and what else its messages need */
    void **blocks = calloc(n, sizeof(*blocks));
    int rc = blocks != NULL ? 0 : -ENOMEM;
    for (size_t i = 0; i < n && rc == 0; i++) {
        blocks[i] = malloc(A_CONNECTION);
        if (blocks[i] == NULL) {
            rc = -ENOMEM;
        } else {
            memset(blocks[i], 1, A_CONNECTION); /* 0: calloc would do */
        }
    }
    for (size_t i = 0; blocks != NULL && i < n; i++) free(blocks[i]);
    free(blocks);
    return rc;
}

unsigned long lifecycle_raise_fd_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = soft;
    return (unsigned long)limit.rlim_cur;
}
