#ifndef COMMON_CONFIG_TABLE_H
#define COMMON_CONFIG_TABLE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The one list of options that reading, checking, printing, --help and Welcome
 * all walk. Only common/config*.c and its test include this.
 */

/* The field's C type: bool, uint64_t, int, double, char[size], int. */
enum config_type {
    CONFIG_BOOL,
    CONFIG_U64,
    CONFIG_INT,
    CONFIG_REAL,
    CONFIG_TEXT, /* free, or one of choices */
    CONFIG_ENUM, /* index into choices */
};

/* Bits of config_option.flags. */
enum {
    CONFIG_SHARED = 1,      /* travels in Welcome */
    CONFIG_PER_PROCESS = 2, /* never written to a file */
    CONFIG_OPEN_LOW = 4,    /* low itself is outside */
    CONFIG_OPEN_HIGH = 8,   /* high itself is outside */
    CONFIG_NAME = 16,       /* text of [A-Za-z0-9._-] only */
    CONFIG_BY_ACTOR = 32,   /* in softq-actor's --help */
    CONFIG_BY_REPLAY = 64,  /* in softq-replay's --help */
    CONFIG_BY_SIMULATE = 128, /* in softq-simulate's --help */
};

enum config_group {
    CONFIG_OF_RUN,
    CONFIG_OF_METHOD,
    CONFIG_OF_REPLAY,
    CONFIG_OF_ACTING,
    CONFIG_OF_CONVERSATION,
    CONFIG_OF_LAUNCH,
    CONFIG_OF_PROCESS,
    CONFIG_OF_EVALUATION,
    CONFIG_GROUPS,
};

struct config_option {
    const char *name;    /* with '_' */
    size_t offset, size; /* in struct config; bytes of the field */
    enum config_type type;
    enum config_group group;
    unsigned flags;
    const char *fallback; /* default, as a file would have it */
    double low, high;     /* numbers; high INFINITY: no limit */
    const char *unit;     /* "s", "rows" ... or NULL */
    const char *help;
    const char *const *choices; /* NULL-terminated, or NULL */
};

extern const struct config_option config_table[];
extern const size_t config_table_len;
extern const char *const config_table_headings[CONFIG_GROUPS];

/* By name, '-' and '_' equal; NULL when unknown. len: bytes of name to read. */
const struct config_option *config_table_find(const char *name, size_t len);

/* The known name fewest edits away, or NULL when none is near. */
const char *config_table_nearest(const char *name, size_t len);

/* "[0, 1)", "true|false", "ipc|tcp", "text of at most 64 characters" ... */
void config_table_range(const struct config_option *option, char *text,
                        size_t n);

#endif
