#ifndef PROTO_LIFECYCLE_H
#define PROTO_LIFECYCLE_H

#include <stddef.h>

#include <uv.h>

/*
 * How every program of ours lives on a libuv loop: SIGTERM and SIGINT, and the
 * lifeline (an inherited pipe's read end: end of file means that the launcher
 * is gone, and counts as SIGTERM).
 */
struct lifecycle {
    void (*on_stop)(struct lifecycle *life, const char *why); /* once */
    void *data;

    /* private */
    uv_signal_t sigterm, sigint;
    uv_pipe_t lifeline;
    char ignored[64]; /* what a launcher may write into the lifeline */
    int stopping;
};

/*
 * lifeline < 0: none. Returns 0 or a negative errno; handles that were made
 * close with the loop's either way. SIGPIPE is ignored from now on.
 */
int lifecycle_start(struct lifecycle *life, uv_loop_t *loop, int lifeline,
                    void (*on_stop)(struct lifecycle *life, const char *why),
                    void *data);

/* Close every handle of the loop; uv_run() then returns by itself. A signal
 * that it caught is ignored from then on, so that what is left to do gets done.
 */
void lifecycle_close_all(uv_loop_t *loop);

/*
 * A process's memory for its connections, from its start on. libzmq keeps up to
 * two blocks of 16 KiB a connection and direction, and comes to the end of them
 * after 512 messages: left alone, a process grows for minutes, and where
 * messages are few for hours, as if it leaked. With what its messages leave
 * between them, 256 actors of an hour brought a shard to 97 KiB a connection
 * and a learner to 105, and there they stayed. lifecycle_one_heap() in main(),
 * before any thread; lifecycle_reserve() touches as much once, as soon as it is
 * known how many there may be, and later for how many more.
 */
void lifecycle_one_heap(void);
/* Returns 0 or -ENOMEM, which is no reason to stop. */
int lifecycle_reserve(size_t connections);

/* Raise the soft limit of open files to the hard one; returns it. */
unsigned long lifecycle_raise_fd_limit(void);

#endif
