#include "common/config_file.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/config.h"

/* Where lines come from, what they set, and the first thing that went wrong. */
struct reading {
    FILE *file;       /* or NULL: text */
    const char *text; /* (left) */
    size_t left;
    config_pair *pair;
    void *user; /* of pair */
    unsigned line;
    unsigned bad_line; /* 0: none */
    int error;         /* errno of the file, or 0 */
    char why[256];
};

static void fail(struct reading *reading, const char *why) {
    if (reading->bad_line > 0) return;
    reading->bad_line = reading->line;
    snprintf(reading->why, sizeof(reading->why), "%s", why);
}

/* fgets() on text. */
static char *take_line(struct reading *reading, char *line, size_t size) {
    size_t n = 0;
    while (n + 1 < size && n < reading->left) {
        line[n] = reading->text[n];
        if (line[n++] == '\n') break;
    }
    line[n] = '\0';
    reading->text += n;
    reading->left -= n;
    return n > 0 ? line : NULL;
}

/*
 * libinih's reader. It cuts long lines silently and takes an indented line for
 * a continuation, so here the first are refused and the second straightened.
 */
static char *read_line(char *line, int size, void *user) {
    struct reading *reading = user;
    if (reading->bad_line > 0) return NULL;
    reading->line++;
    char *got = reading->file != NULL ? fgets(line, size, reading->file)
                                      : take_line(reading, line, (size_t)size);
    if (got == NULL && reading->file != NULL && ferror(reading->file)) {
        reading->error = errno;
    }
    if (got == NULL) return NULL;
    const size_t len = strlen(line);
    const bool whole = len > 0 && line[len - 1] == '\n';
    if (!whole && len + 1 >= (size_t)size) {
        fail(reading, "the line is too long: at most 197 characters");
        return NULL;
    }
    if (!whole &&
        !(reading->file != NULL ? feof(reading->file) : reading->left == 0)) {
        fail(reading, "the line holds a zero byte: this is not a text file");
        return NULL;
    }
    const size_t indent = strspn(line, " \t");
    memmove(line, line + indent, len - indent + 1);
    return line;
}

static int on_pair(void *user, const char *section, const char *name,
                   const char *value) {
    struct reading *reading = user;
    if (reading->bad_line > 0) return 0;
    char why[sizeof(reading->why)];
    if (reading->pair(reading->user, section, name, value, why, sizeof(why)) ==
        0) {
        return 1;
    }
    fail(reading, why);
    return 0;
}

/* 0 or -EINVAL with reading->bad_line and why set. */
static int parse(struct reading *reading) {
    const int bad = ini_parse_stream(read_line, reading, on_pair, reading);
    if (reading->bad_line == 0 && bad != 0) {
        fail(reading, "not understood: write name = value");
        if (bad > 0) reading->bad_line = (unsigned)bad;
    }
    return reading->bad_line == 0 ? 0 : -EINVAL;
}

int config_read_pairs(const char *path, config_pair *pair, void *user,
                      char *why, size_t n) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        snprintf(why, n, "configuration file '%.200s': %s", path,
                 strerror(errno));
        return -EINVAL;
    }
    struct reading reading = {.file = file, .pair = pair, .user = user};
    int rc = parse(&reading);
    if (reading.error != 0) {
        snprintf(why, n, "configuration file '%.200s': %s", path,
                 strerror(reading.error));
        rc = -EINVAL;
    } else if (rc != 0) {
        snprintf(why, n, "%.200s:%u: %s", path, reading.bad_line, reading.why);
    }
    fclose(file);
    return rc;
}

/* A file's line; [robot] describes a task and holds no options. */
static int set_option(void *user, const char *section, const char *name,
                      const char *value, char *why, size_t n) {
    if (strcmp(section, CONFIG_ROBOT_SECTION) == 0) return 0;
    return config_set(user, name, value, why, n);
}

/* A Welcome's line. */
static int set_shared(void *user, const char *section, const char *name,
                      const char *value, char *why, size_t n) {
    (void)section;
    return config_set_shared(user, name, value, why, n);
}

int config_read_file(struct config *config, const char *path, char *why,
                     size_t n) {
    struct config changed = *config;
    int rc = config_read_pairs(path, set_option, &changed, why, n);
    if (rc == 0) *config = changed;
    return rc;
}

int config_apply_shared(struct config *config, const char *text, size_t len,
                        char *why, size_t n) {
    struct config changed = *config;
    struct reading reading = {
        .text = text, .left = len, .pair = set_shared, .user = &changed};
    if (len > 0 && memchr(text, '\0', len) != NULL) {
        snprintf(why, n, "shared options: not a text");
        return -EINVAL;
    }
    int rc = parse(&reading);
    if (rc != 0) {
        snprintf(why, n, "shared options, line %u: %s", reading.bad_line,
                 reading.why);
        return rc;
    }
    *config = changed;
    return 0;
}
