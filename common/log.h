#ifndef COMMON_LOG_H
#define COMMON_LOG_H

/*
 * Levels to stderr, one line each: "HH:MM:SS.mmm program level: text".
 * The level, the program's name and what may still be written are the only
 * global state of the project. Callable from any thread.
 *
 * A process writes at most LOG_BYTES_AN_HOUR in any hour, half of them at once;
 * further lines are left out, and the next one that is not says how many were.
 * The last sixteenth is for errors, the one before it for errors and warnings.
 * Not so at LOG_DEBUG.
 */
enum { LOG_BYTES_AN_HOUR = 1000 * 1000 };
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* name is borrowed for the life of the process, e.g. "softq-actor". */
void log_init(const char *name, enum log_level level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
