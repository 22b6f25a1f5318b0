#include "actor/tasks/recipe.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/config_file.h"

/* What stands in parentheses. */
enum shape {
    BARE,       /* nothing */
    NAMED,      /* one name */
    INDEXED,    /* a name, perhaps an index */
    ALL_OR_ONE, /* nothing, or as INDEXED */
    PAIR,       /* two names */
};

static const struct word {
    const char *name;
    enum recipe_kind kind;
    enum shape shape;
    const char *form;
} words[] = {
    {"qpos", RECIPE_QPOS, ALL_OR_ONE, "qpos, qpos(JOINT) or qpos(JOINT,0)"},
    {"qvel", RECIPE_QVEL, ALL_OR_ONE, "qvel, qvel(JOINT) or qvel(JOINT,0)"},
    {"sin", RECIPE_SIN, NAMED, "sin(JOINT)"},
    {"cos", RECIPE_COS, NAMED, "cos(JOINT)"},
    {"sensor", RECIPE_SENSOR, INDEXED, "sensor(NAME) or sensor(NAME,0)"},
    {"position", RECIPE_POSITION, INDEXED,
     "position(BODY) or position(BODY,x)"},
    {"velocity", RECIPE_VELOCITY, INDEXED,
     "velocity(BODY) or velocity(BODY,x)"},
    {"up", RECIPE_UP, NAMED, "up(BODY)"},
    {"distance", RECIPE_DISTANCE, PAIR, "distance(SITE,SITE)"},
    {"control", RECIPE_CONTROL, BARE, "control"},
    {"alive", RECIPE_ALIVE, BARE, "alive"},
};
enum { WORDS = sizeof(words) / sizeof(*words) };

/* Appends to text (n bytes) at *at; what is too much is cut. */
static void __attribute__((format(printf, 4, 5)))
append(char *text, size_t n, size_t *at, const char *format, ...) {
    if (*at >= n) return;
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(text + *at, n - *at, format, args);
    va_end(args);
    if (len > 0) *at += (size_t)len;
}

static int no_such_word(const char *text, char *why, size_t n) {
    size_t at = 0;
    append(why, n, &at, "'%.40s' is no quantity: ", text);
    for (size_t i = 0; i < WORDS; i++)
        append(why, n, &at, "%s%s", i > 0 ? ", " : "", words[i].name);
    return -EINVAL;
}

/* 0, 1 ... or x, y, z; -1: no index. */
static int parse_index(const char *text) {
    static const char axes[] = "xyz";
    const size_t len = strlen(text);
    const char *axis = len == 1 ? strchr(axes, text[0]) : NULL;
    if (axis) return (int)(axis - axes);
    if (len == 0 || len > 3 || text[strspn(text, "0123456789")] != '\0')
        return -1;
    return atoi(text);
}

/* The arguments (args: the text between the parentheses, NULL: none). */
static int take_arguments(struct recipe_quantity *q, enum shape shape,
                          char *args) {
    if (!args) return shape == BARE || shape == ALL_OR_ONE ? 0 : -EINVAL;
    char *second = strchr(args, ',');
    if (second) *second++ = '\0';
    if (shape == BARE || args[0] == '\0' || strlen(args) >= sizeof(q->name) ||
        (second && strchr(second, ',')))
        return -EINVAL;
    strcpy(q->name, args);
    if (shape == NAMED) return second ? -EINVAL : 0;
    if (shape == PAIR) {
        if (!second || second[0] == '\0' || strlen(second) >= sizeof(q->other))
            return -EINVAL;
        strcpy(q->other, second);
        return 0;
    }
    if (second) q->index = parse_index(second);
    return second && q->index < 0 ? -EINVAL : 0;
}

int recipe_quantity_parse(struct recipe_quantity *q, const char *text,
                          size_t len, char *why, size_t n) {
    *q = (struct recipe_quantity){.index = -1};
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        if (isspace((unsigned char)text[i])) continue;
        if (used + 1 >= sizeof(q->text)) {
            snprintf(why, n, "'%.40s...' is longer than %d characters", text,
                     RECIPE_TEXT_LEN - 1);
            return -EINVAL;
        }
        q->text[used++] = text[i];
    }

    char copy[RECIPE_TEXT_LEN];
    strcpy(copy, q->text);
    if (used > 2 && strcmp(copy + used - 2, "^2") == 0) {
        q->squared = true;
        copy[used -= 2] = '\0';
    }
    char *args = strchr(copy, '(');
    if (args) {
        const bool closed = copy[used - 1] == ')' && !strchr(args + 1, '(') &&
                            strchr(args, ')') == copy + used - 1;
        if (!closed) {
            snprintf(why, n, "'%.60s' has parentheses that do not match",
                     q->text);
            return -EINVAL;
        }
        copy[used - 1] = '\0';
        *args++ = '\0';
    }
    for (size_t i = 0; i < WORDS; i++) {
        if (strcmp(words[i].name, copy) != 0) continue;
        q->kind = words[i].kind;
        if (take_arguments(q, words[i].shape, args) == 0) return 0;
        snprintf(why, n, "'%.60s' is not understood: write %s", q->text,
                 words[i].form);
        return -EINVAL;
    }
    return no_such_word(q->text, why, n);
}

/* A number and what follows it, or NULL: none, or not a finite one. */
static const char *parse_number(const char *text, double *number) {
    char *end = NULL;
    *number = strtod(text, &end);
    return end == text || !isfinite(*number) ? NULL : end;
}

static int parse_whole(const char *name, const char *value, double low,
                       double high, double *number, char *why, size_t n) {
    const char *end = parse_number(value, number);
    if (end && *end == '\0' && *number == floor(*number) && *number >= low &&
        *number <= high)
        return 0;
    snprintf(why, n, "%s is '%.40s': give a whole number in [%g, %g]", name,
             value, low, high);
    return -EINVAL;
}

static int twice(const struct recipe_quantity *q, const char *verb, char *why,
                 size_t n) {
    snprintf(why, n, "%s %s twice: write it once", q->text, verb);
    return -EINVAL;
}

/* Quantities between blanks or commas that no parenthesis holds. */
static int take_observed(struct recipe *recipe, const char *value, char *why,
                         size_t n) {
    for (size_t at = 0; value[at] != '\0';) {
        size_t len = 0;
        int depth = 0;
        at += strspn(value + at, " \t,");
        for (; value[at + len] != '\0'; len++) {
            const char c = value[at + len];
            depth += (c == '(') - (c == ')');
            if (depth <= 0 && strchr(" \t,", c)) break;
        }
        if (len == 0) break;
        if (recipe->n_observed == RECIPE_MAX_OBSERVED) {
            snprintf(why, n, "observe holds more than %d quantities",
                     RECIPE_MAX_OBSERVED);
            return -EINVAL;
        }
        struct recipe_quantity *q = &recipe->observed[recipe->n_observed];
        int err = recipe_quantity_parse(q, value + at, len, why, n);
        if (err) return err;
        for (size_t i = 0; i < recipe->n_observed; i++)
            if (strcmp(recipe->observed[i].text, q->text) == 0)
                return twice(q, "is observed", why, n);
        recipe->n_observed++;
        at += len;
    }
    return 0;
}

static int take_reward(struct recipe *recipe, const char *value, char *why,
                       size_t n) {
    if (recipe->n_terms == RECIPE_MAX_TERMS) {
        snprintf(why, n, "reward has more than %d terms", RECIPE_MAX_TERMS);
        return -EINVAL;
    }
    struct recipe_term *term = &recipe->terms[recipe->n_terms];
    const char *rest = parse_number(value, &term->weight);
    if (!rest) {
        snprintf(why, n,
                 "reward is '%.60s': write a finite weight and a quantity, "
                 "as -0.1 control",
                 value);
        return -EINVAL;
    }
    rest += strspn(rest, " \t*");
    int err = recipe_quantity_parse(&term->of, rest, strlen(rest), why, n);
    if (err) return err;
    for (size_t i = 0; i < recipe->n_terms; i++)
        if (strcmp(recipe->terms[i].of.text, term->of.text) == 0)
            return twice(&term->of, "is rewarded", why, n);
    recipe->n_terms++;
    return 0;
}

static int take_end(struct recipe *recipe, const char *value, char *why,
                    size_t n) {
    if (recipe->n_ends == RECIPE_MAX_ENDS) {
        snprintf(why, n, "more than %d lines say end", RECIPE_MAX_ENDS);
        return -EINVAL;
    }
    struct recipe_end *end = &recipe->ends[recipe->n_ends];
    const size_t len = strcspn(value, "<>");
    const char *rest =
        value[len] == '\0' ? NULL : parse_number(value + len + 1, &end->bound);
    if (!rest || rest[strspn(rest, " \t")] != '\0') {
        snprintf(why, n,
                 "end is '%.60s': write a quantity, < or > and a number, as "
                 "position(torso,z) < 0.2",
                 value);
        return -EINVAL;
    }
    end->above = value[len] == '>';
    int err = recipe_quantity_parse(&end->of, value, len, why, n);
    if (!err) recipe->n_ends++;
    return err;
}

static int take_text(const char *name, const char *value, char *text,
                     size_t size, char *why, size_t n) {
    if (value[0] == '\0' || strlen(value) >= size) {
        snprintf(why, n, "%s is '%.60s': give 1 to %zu characters", name, value,
                 size - 1);
        return -EINVAL;
    }
    strcpy(text, value);
    return 0;
}

static int take_model(struct recipe *recipe, const char *value, char *why,
                      size_t n) {
    return take_text("model", value, recipe->model, sizeof(recipe->model), why,
                     n);
}

static int take_start(struct recipe *recipe, const char *value, char *why,
                      size_t n) {
    return take_text("start", value, recipe->start, sizeof(recipe->start), why,
                     n);
}

static int take_noise(struct recipe *recipe, const char *value, char *why,
                      size_t n) {
    const char *end = parse_number(value, &recipe->reset_noise);
    if (end && *end == '\0' && recipe->reset_noise >= 0 &&
        recipe->reset_noise <= 10)
        return 0;
    snprintf(why, n, "reset_noise is '%.40s': give a number in [0, 10]", value);
    return -EINVAL;
}

static int take_frame_skip(struct recipe *recipe, const char *value, char *why,
                           size_t n) {
    double number = 0.0;
    int err = parse_whole("frame_skip", value, 1, 1000, &number, why, n);
    if (!err) recipe->frame_skip = (int)number;
    return err;
}

static int take_horizon(struct recipe *recipe, const char *value, char *why,
                        size_t n) {
    double number = 0.0;
    int err = parse_whole("horizon", value, 1, 1e9, &number, why, n);
    if (!err) recipe->horizon = (uint64_t)number;
    return err;
}

static int take_skip(struct recipe *recipe, const char *value, char *why,
                     size_t n) {
    double number = 0.0;
    int err = parse_whole("skip", value, 0, 1000, &number, why, n);
    if (!err) recipe->skip = (int)number;
    return err;
}

static const struct key {
    const char *name;
    int (*take)(struct recipe *recipe, const char *value, char *why, size_t n);
    bool repeats;
} keys[] = {
    {"model", take_model, false},
    {"frame_skip", take_frame_skip, false},
    {"horizon", take_horizon, false},
    {"start", take_start, false},
    {"reset_noise", take_noise, false},
    {"observe", take_observed, true},
    {"skip", take_skip, false},
    {"reward", take_reward, true},
    {"end", take_end, true},
};
enum { KEYS = sizeof(keys) / sizeof(*keys) };

struct reading {
    struct recipe *recipe;
    bool seen[KEYS];
};

/* The section goes into the hash as it is written, the model by its content. */
static void add_to_hash(struct recipe *recipe, const char *name,
                        const char *value) {
    if (strcmp(name, "model") == 0) return;
    recipe->hash = hash_bytes(recipe->hash, name, strlen(name) + 1);
    recipe->hash = hash_bytes(recipe->hash, value, strlen(value) + 1);
}

static int on_pair(void *user, const char *section, const char *name,
                   const char *value, char *why, size_t n) {
    struct reading *reading = user;
    size_t at = 0;
    if (strcmp(section, CONFIG_ROBOT_SECTION) != 0) return 0;
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].name, name) != 0) continue;
        if (reading->seen[i] && !keys[i].repeats) {
            snprintf(why, n, "%s stands twice in [robot]: write it once", name);
            return -EINVAL;
        }
        reading->seen[i] = true;
        add_to_hash(reading->recipe, name, value);
        return keys[i].take(reading->recipe, value, why, n);
    }
    append(why, n, &at, "[robot] knows no '%.40s': ", name);
    for (size_t i = 0; i < KEYS; i++)
        append(why, n, &at, "%s%s", i > 0 ? ", " : "", keys[i].name);
    return -EINVAL;
}

int recipe_read(struct recipe *recipe, const char *path, char *why, size_t n) {
    *recipe =
        (struct recipe){.frame_skip = 1, .horizon = 1000, .hash = HASH_START};
    struct reading reading = {.recipe = recipe};
    int err = config_read_pairs(path, on_pair, &reading, why, n);
    if (err) return err;
    const char *missing = recipe->model[0] == '\0'  ? "model = FILE.xml"
                          : recipe->n_observed == 0 ? "observe = qpos qvel"
                          : recipe->n_terms == 0    ? "reward = 1 alive"
                                                    : NULL;
    if (!missing) return 0;
    snprintf(why, n, "%.200s: the section [robot] lacks a line as %s", path,
             missing);
    return -EINVAL;
}

int recipe_model(const struct recipe *recipe, const char *ini, char *path,
                 size_t n) {
    const char *slash = strrchr(ini, '/');
    const int folder = slash ? (int)(slash - ini) : 1;
    const int len = recipe->model[0] == '/'
                        ? snprintf(path, n, "%s", recipe->model)
                        : snprintf(path, n, "%.*s/%s", folder,
                                   slash ? ini : ".", recipe->model);
    return len >= 0 && (size_t)len < n ? 0 : -ENAMETOOLONG;
}
