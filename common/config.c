#include "common/config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/config_file.h"
#include "common/config_table.h"

enum { RANGE_LEN = 96, VALUE_LEN = CONFIG_PATH_LEN };

static void *field(struct config *config, const struct config_option *option) {
    return (char *)config + option->offset;
}

static const void *const_field(const struct config *config,
                               const struct config_option *option) {
    return (const char *)config + option->offset;
}

const char *config_word(const struct config *config, const char *name) {
    const struct config_option *option = config_table_find(name, strlen(name));
    assert(option != NULL && option->type == CONFIG_ENUM);
    return option->choices[*(const int *)const_field(config, option)];
}

static bool blank(const char *text) {
    return text[strspn(text, " \t")] == '\0';
}

/* Decimal digits, or a whole number written as 1e6. */
static bool parse_u64(const char *text, uint64_t *value) {
    char *end;
    errno = 0;
    if (text[strspn(text, "0123456789")] == '\0' && *text != '\0') {
        *value = strtoull(text, &end, 10);
        return errno == 0;
    }
    const double real = strtod(text, &end);
    if (end == text || *end != '\0' || strpbrk(text, "xXpP") != NULL) {
        return false;
    }
    if (!(real >= 0 && real <= 9007199254740992.0) || real != floor(real)) {
        return false; // beyond 2^53 the text's number would be another one
    }
    *value = (uint64_t)real;
    return true;
}

static bool in_range(const struct config_option *option, double value) {
    if (!(value >= option->low && value <= option->high)) return false;
    if (option->flags & CONFIG_OPEN_LOW && value == option->low) return false;
    return !(option->flags & CONFIG_OPEN_HIGH && value == option->high);
}

static bool set_number(void *at, const struct config_option *option,
                       const char *text) {
    char *end;
    uint64_t whole;
    if (blank(text)) return false;
    switch (option->type) {
    case CONFIG_U64:
        if (!parse_u64(text, &whole)) return false;
        if (!in_range(option, (double)whole)) return false;
        *(uint64_t *)at = whole;
        return true;
    case CONFIG_INT: {
        const long value = strtol(text, &end, 10);
        if (*end != '\0' || !in_range(option, (double)value)) return false;
        *(int *)at = (int)value;
        return true;
    }
    default: {
        const double value = strtod(text, &end);
        if (*end != '\0' || !isfinite(value)) return false;
        if (!in_range(option, value)) return false;
        *(double *)at = value;
        return true;
    }
    }
}

/* A file holds one value a line, without spaces at its ends or comments, and
 * libinih reads lines of at most 197 characters. */
static bool text_fits(const struct config_option *option, const char *text) {
    const size_t len = strlen(text);
    if (len >= option->size) return false;
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c < ' ' || c == 127) return false;
        if (option->flags & CONFIG_NAME && !isalnum(c) &&
            strchr("._-", c) == NULL) {
            return false;
        }
    }
    if (option->flags & CONFIG_PER_PROCESS) return true; // never in a file
    if (len > 0 && (text[0] == ' ' || text[len - 1] == ' ')) return false;
    return len + strlen(option->name) + 3 < 197 && strstr(text, " ;") == NULL &&
           text[0] != ';';
}

static bool set_choice(void *at, const struct config_option *option,
                       const char *text) {
    for (int i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], text) != 0) continue;
        if (option->type == CONFIG_ENUM) {
            *(int *)at = i;
        } else {
            assert(strlen(text) < option->size);
            snprintf(at, option->size, "%s", text);
        }
        return true;
    }
    return false;
}

static bool set_value(struct config *config, const struct config_option *option,
                      const char *text) {
    void *at = field(config, option);
    if (option->choices != NULL) return set_choice(at, option, text);
    switch (option->type) {
    case CONFIG_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
            return false;
        }
        *(bool *)at = text[0] == 't';
        return true;
    case CONFIG_TEXT:
        if (!text_fits(option, text)) return false;
        memset(at, 0, option->size);
        memcpy(at, text, strlen(text));
        return true;
    default:
        return set_number(at, option, text);
    }
}

void config_defaults(struct config *config) {
    memset(config, 0, sizeof(*config));
    for (size_t i = 0; i < config_table_len; i++) {
        const bool ok =
            set_value(config, &config_table[i], config_table[i].fallback);
        assert(ok);
        (void)ok;
    }
}

int config_unknown(const char *name, size_t len, char *why, size_t n) {
    const char *nearest = config_table_nearest(name, len);
    snprintf(why, n, "unknown option '%.*s'%s%s%s (--help lists all)",
             (int)(len < 80 ? len : 80), name,
             nearest != NULL ? ": did you mean '" : "",
             nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
    return -EINVAL;
}

static int set_option(struct config *config, const struct config_option *option,
                      const char *value, char *why, size_t n) {
    if (set_value(config, option, value)) return 0;
    char range[RANGE_LEN];
    config_table_range(option, range, sizeof(range));
    snprintf(why, n,
             "option %s = '%.80s' is not allowed: give %s%s%s%s (default '%s')",
             option->name, value,
             option->type == CONFIG_U64 ? "a whole number, " : "", range,
             option->unit != NULL ? " " : "",
             option->unit != NULL ? option->unit : "", option->fallback);
    return -EINVAL;
}

int config_set(struct config *config, const char *name, const char *value,
               char *why, size_t n) {
    const struct config_option *option = config_table_find(name, strlen(name));
    if (option == NULL) return config_unknown(name, strlen(name), why, n);
    return set_option(config, option, value, why, n);
}

int config_set_shared(struct config *config, const char *name,
                      const char *value, char *why, size_t n) {
    const struct config_option *option = config_table_find(name, strlen(name));
    if (option == NULL) return config_unknown(name, strlen(name), why, n);
    if (!(option->flags & CONFIG_SHARED)) {
        snprintf(why, n, "option %s is local: it does not travel",
                 option->name);
        return -EINVAL;
    }
    return set_option(config, option, value, why, n);
}

/* The fewest digits that read back as the same double. */
static void format_real(char *text, size_t n, double value) {
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, n, "%.*g", digits, value);
        if (strtod(text, NULL) == value) return;
    }
}

static void format_value(const struct config *config,
                         const struct config_option *option, char *text,
                         size_t n) {
    const void *at = const_field(config, option);
    switch (option->type) {
    case CONFIG_BOOL:
        snprintf(text, n, "%s", *(const bool *)at ? "true" : "false");
        break;
    case CONFIG_U64:
        snprintf(text, n, "%llu", (unsigned long long)*(const uint64_t *)at);
        break;
    case CONFIG_INT:
        snprintf(text, n, "%d", *(const int *)at);
        break;
    case CONFIG_REAL:
        format_real(text, n, *(const double *)at);
        break;
    case CONFIG_TEXT:
        snprintf(text, n, "%s", (const char *)at);
        break;
    case CONFIG_ENUM:
        snprintf(text, n, "%s", option->choices[*(const int *)at]);
        break;
    }
}

void config_print(const struct config *config, FILE *out) {
    enum config_group group = CONFIG_GROUPS;
    char value[VALUE_LEN];
    for (size_t i = 0; i < config_table_len; i++) {
        const struct config_option *option = &config_table[i];
        if (option->flags & CONFIG_PER_PROCESS) continue;
        if (option->group != group) {
            fprintf(out, "%s# %s\n", i > 0 ? "\n" : "",
                    config_table_headings[option->group]);
            group = option->group;
        }
        format_value(config, option, value, sizeof(value));
        fprintf(out, "%s = %s\n", option->name, value);
    }
}

long config_shared_text(const struct config *config, char *text, size_t size) {
    char value[VALUE_LEN];
    size_t len = 0;
    for (size_t i = 0; i < config_table_len; i++) {
        const struct config_option *option = &config_table[i];
        if (!(option->flags & CONFIG_SHARED)) continue;
        format_value(config, option, value, sizeof(value));
        const int wrote =
            snprintf(text + len, size - len, "%s = %s\n", option->name, value);
        if (wrote < 0 || (size_t)wrote >= size - len) return -ENOSPC;
        len += (size_t)wrote;
    }
    return (long)len;
}
