#include "common/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *program_name = "softq";
static enum log_level threshold = LOG_INFO;

/* What may still be written, in bytes: at most so much at once, and refilled by
 * as much an hour. Errors may use the last of it, warnings more than the rest:
 * what a peer can make us say again and again is mostly no more than news. */
enum {
    BUCKET = LOG_BYTES_AN_HOUR / 2,
    FOR_ERRORS = BUCKET / 8,
    FOR_WARNINGS = FOR_ERRORS + BUCKET / 8,
    TAIL = 96
};
static struct log_bucket {
    pthread_mutex_t mutex;
    double left, refilled; /* refilled: seconds of the monotonic clock */
    unsigned long dropped;
} bucket = {.mutex = PTHREAD_MUTEX_INITIALIZER, .left = BUCKET};

void log_init(const char *name, enum log_level level) {
    program_name = name;
    threshold = level;
}

/* May a line of so many bytes be written? before: lines that could not since
 * the last one that could. */
static bool admit(enum log_level level, size_t len, unsigned long *before) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const double seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    const double keep = level == LOG_ERROR  ? 0.0
                        : level == LOG_WARN ? FOR_ERRORS
                                            : FOR_WARNINGS;
    pthread_mutex_lock(&bucket.mutex);
    if (bucket.refilled > 0.0) {
        bucket.left += (seconds - bucket.refilled) * BUCKET / 3600.0;
        if (bucket.left > BUCKET) bucket.left = BUCKET;
    }
    bucket.refilled = seconds;
    const bool may = bucket.left - (double)(len + TAIL) >= keep;
    if (may) {
        bucket.left -= (double)len;
        *before = bucket.dropped;
        bucket.dropped = 0;
        if (*before > 0) bucket.left -= TAIL;
    } else {
        bucket.dropped++;
    }
    pthread_mutex_unlock(&bucket.mutex);
    return may;
}

/* One write(2) a line, so that lines of several threads never mix. */
static void put(const char *line, size_t len) {
    while (len > 0) {
        ssize_t written = write(STDERR_FILENO, line, len);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return; // nowhere left to say it
        line += written;
        len -= (size_t)written;
    }
}

__attribute__((format(printf, 2, 0))) static void
emit(enum log_level level, const char *format, va_list arguments) {
    static const char *const names[] = {"error", "warning", "info", "debug"};
    if (level > threshold) return;

    const int saved_errno = errno;
    struct timespec now;
    struct tm local;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);

    char line[2048];
    int head = snprintf(line, sizeof(line),
                        "%02d:%02d:%02d.%03ld %s %s: ", local.tm_hour,
                        local.tm_min, local.tm_sec, now.tv_nsec / 1000000,
                        program_name, names[level]);
    if (head < 0 || (size_t)head >= sizeof(line) / 2) head = 0;
    size_t room = sizeof(line) - (size_t)head - 1; // 1 for the newline
    // the caller started it; NOLINTNEXTLINE(clang-analyzer-valist.*)
    int body = vsnprintf(line + head, room, format, arguments);
    size_t len = (size_t)head;
    if (body > 0) len += (size_t)body < room ? (size_t)body : room - 1;
    for (size_t i = 0; i < len; i++) { // a peer's text must not forge lines
        if ((unsigned char)line[i] < ' ') line[i] = ' ';
    }
    line[len++] = '\n';
    // who asks for debug lines wants all of them
    unsigned long before = 0;
    if (threshold < LOG_DEBUG && !admit(level, len, &before)) {
        errno = saved_errno;
        return;
    }
    if (before > 0) {
        char tail[TAIL];
        const int n = snprintf(tail, sizeof(tail),
                               "(%lu lines before this one left out: a log has "
                               "%d bytes an hour)\n",
                               before, LOG_BYTES_AN_HOUR);
        put(tail, (size_t)n);
    }
    put(line, len);
    errno = saved_errno;
}

void log_error(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    emit(LOG_ERROR, format, arguments);
    va_end(arguments);
}

void log_warn(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    emit(LOG_WARN, format, arguments);
    va_end(arguments);
}

void log_info(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    emit(LOG_INFO, format, arguments);
    va_end(arguments);
}

void log_debug(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    emit(LOG_DEBUG, format, arguments);
    va_end(arguments);
}
