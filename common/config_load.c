#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"
#include "common/config_file.h"
#include "common/config_table.h"
#include "common/log.h"

enum { MAX_FILES = 16, FIRST_KEY = 1000, KEY_CONFIG = 900 };
enum { ALSO = CONFIG_GROUPS + 1 }; /* argp's group */

/* The command line, taken apart but not yet applied: files come first. */
struct line {
    enum config_program program;
    const struct config_library *libraries; /* NULL: none */
    size_t n_files, n_values;
    const char *files[MAX_FILES]; /* of argv */
    struct {
        const struct config_option *option;
        const char *value; /* of argv */
    } * values;            /* (n_values), owned */
    char **argv;           /* (argc + 1) copies with '_' in names, owned */
    char why[256];
};

static const char *const programs[] = {
    [CONFIG_ACTOR] = "softq-actor",
    [CONFIG_REPLAY] = "softq-replay",
    [CONFIG_LEARNER] = "softq-learner",
    [CONFIG_SIMULATE] = "softq-simulate",
};

static const char *const purposes[] = {
    [CONFIG_ACTOR] = "Steps environments with the sampling network for a run "
                     "of soft Q-learning, or plays a checkpoint (--evaluate).",
    [CONFIG_REPLAY] = "One shard of the replay memory of a run of soft "
                      "Q-learning.",
    [CONFIG_LEARNER] = "Coordinates a run of soft Q-learning and learns.",
    [CONFIG_SIMULATE] =
        "Plays many actors of a run of soft Q-learning that step "
        "no environments: for load.",
};

static const char notes[] =
    "\vLater ones win: defaults, each --config file, then the command line in "
    "order. '-' and '_' are the same in names; --name=value and --name value "
    "are the same; a true|false option alone means true. Shared options travel "
    "from the learner to every process of its run.\n\n"
    "Exit status: 0 finished, 1 crash, 2 wrong option or refused, 3 "
    "non-finite numbers.";

const char *config_version(void) {
    return SOFTQ_VERSION;
}

/* argp's callback: collect, and leave the checking for later. */
static error_t on_option(int key, char *arg, struct argp_state *state) {
    struct line *line = state->input;
    if (key == KEY_CONFIG) {
        if (line->n_files == MAX_FILES) {
            snprintf(line->why, sizeof(line->why),
                     "too many --config files: at most %d", (int)MAX_FILES);
            return EINVAL;
        }
        line->files[line->n_files++] = arg;
        return 0;
    }
    if (key == ARGP_KEY_ARG) {
        snprintf(line->why, sizeof(line->why),
                 "'%.80s' is no option: write --name=value (--help lists all)",
                 arg);
        return EINVAL;
    }
    const size_t i = (size_t)(key - FIRST_KEY);
    if (key < FIRST_KEY || i >= config_table_len) return ARGP_ERR_UNKNOWN;
    line->values[line->n_values].option = &config_table[i];
    line->values[line->n_values++].value = arg != NULL ? arg : "true";
    return 0;
}

/* The options of every program that are not in the table. */
static const char also_heading[] = "Also";
static const struct argp_option also[] = {
    {"config", KEY_CONFIG, "FILE", 0,
     "options as name = value, a line each; may be given again", ALSO},
    {"help", KEY_CONFIG + 1, NULL, 0, "print this and exit", ALSO},
    {"version", KEY_CONFIG + 2, NULL, 0,
     "print the version, and those of the libraries, and exit", ALSO},
    {"print_options", KEY_CONFIG + 3, NULL, 0,
     "print these options for other programs and exit: name, kind, range, "
     "unit, "
     "default, heading and help by tabs",
     ALSO},
    {0},
};
enum { N_ALSO = sizeof(also) / sizeof(*also) - 1 };

/* "help; [0, 1] s, default 3", owned by the caller; NULL out of memory. */
static char *describe(const struct config_option *option) {
    char range[128], *text;
    config_table_range(option, range, sizeof(range));
    const bool empty = *option->fallback == '\0';
    const int len = asprintf(&text, "%s; %s%s%s, default %s", option->help,
                             range, option->unit != NULL ? " " : "",
                             option->unit != NULL ? option->unit : "",
                             empty ? "empty" : option->fallback);
    return len < 0 ? NULL : text;
}

static const char *value_name(const struct config_option *option) {
    static const char *const names[] = {
        [CONFIG_BOOL] = "BOOL", [CONFIG_U64] = "COUNT", [CONFIG_INT] = "NUMBER",
        [CONFIG_REAL] = "REAL", [CONFIG_TEXT] = "TEXT", [CONFIG_ENUM] = "WORD",
    };
    return option->choices != NULL ? "WORD" : names[option->type];
}

static bool in_help(const struct config_option *option,
                    enum config_program program) {
    switch (program) {
    case CONFIG_ACTOR:
        return option->flags & CONFIG_BY_ACTOR;
    case CONFIG_REPLAY:
        return option->flags & CONFIG_BY_REPLAY;
    case CONFIG_SIMULATE:
        return option->flags & CONFIG_BY_SIMULATE;
    default:
        return true;
    }
}

/* argp's list from the table, for free_options(); NULL when out of memory. */
static struct argp_option *make_options(enum config_program program) {
    const size_t most = config_table_len + (size_t)(CONFIG_GROUPS + N_ALSO + 2);
    struct argp_option *list = calloc(most, sizeof(*list));
    if (list == NULL) return NULL;
    size_t n = 0;
    enum config_group group = CONFIG_GROUPS;
    for (size_t i = 0; i < config_table_len; i++) {
        const struct config_option *option = &config_table[i];
        const bool shown = in_help(option, program);
        if (shown && option->group != group) {
            group = option->group;
            list[n++] = (struct argp_option){
                .doc = config_table_headings[group], .group = (int)group + 1};
        }
        const int optional =
            option->type == CONFIG_BOOL ? OPTION_ARG_OPTIONAL : 0;
        list[n++] = (struct argp_option){
            .name = option->name,
            .key = FIRST_KEY + (int)i,
            .arg = value_name(option),
            .flags = optional | (shown ? 0 : OPTION_HIDDEN),
            .doc = describe(option),
            .group = (int)option->group + 1,
        };
    }
    list[n++] = (struct argp_option){.doc = also_heading, .group = ALSO};
    memcpy(list + n, also, sizeof(also));
    return list;
}

static void free_options(struct argp_option *list) {
    for (size_t i = 0; list[i].name != NULL || list[i].doc != NULL; i++) {
        if (list[i].key >= FIRST_KEY) free((char *)list[i].doc);
    }
    free(list);
}

static void print_help(enum config_program program) {
    struct argp_option *list = make_options(program);
    char *doc;
    if (list == NULL || asprintf(&doc, "%s%s", purposes[program], notes) < 0) {
        exit(EXIT_FAILURE);
    }
    const struct argp argp = {.options = list, .doc = doc};
    char name[32];
    snprintf(name, sizeof(name), "%s", programs[program]);
    // wide enough for a name and its range beside it
    setenv("ARGP_HELP_FMT", "opt-doc-col=34,rmargin=100", 0);
    argp_help(&argp, stdout,
              ARGP_HELP_LONG | ARGP_HELP_PRE_DOC | ARGP_HELP_POST_DOC, name);
    free_options(list);
    free(doc);
}

/* A line an option, for completion and manual pages. */
static void print_options(enum config_program program) {
    for (size_t i = 0; i < config_table_len; i++) {
        const struct config_option *option = &config_table[i];
        char range[128];
        if (!in_help(option, program)) continue;
        config_table_range(option, range, sizeof(range));
        printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\n", option->name, value_name(option),
               range, option->unit != NULL ? option->unit : "",
               option->fallback, config_table_headings[option->group],
               option->help);
    }
    for (size_t i = 0; i < N_ALSO; i++) {
        printf("%s\t%s\t\t\t\t%s\t%s\n", also[i].name,
               also[i].arg != NULL ? also[i].arg : "", also_heading,
               also[i].doc);
    }
}

static void print_version(const struct line *line) {
    const struct config_library *library = line->libraries;
    printf("%s %s\n", programs[line->program], config_version());
    for (; library != NULL && library->name != NULL; library++) {
        char text[160];
        library->version(text, sizeof(text));
        printf("%s %s\n", library->name, text);
    }
}

/* Status 0 once what was asked for is out. */
static void end_printing(void) {
    exit(fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Prints and exits for help, version and print_options. */
static void answer(const struct line *line, const char *arg) {
    if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0 ||
        strcmp(arg, "-?") == 0) {
        print_help(line->program);
    } else if (strcmp(arg, "--version") == 0) {
        print_version(line);
    } else if (strcmp(arg, "--print_options") == 0 ||
               strcmp(arg, "--print-options") == 0) {
        print_options(line->program);
    } else {
        return;
    }
    end_printing();
}

/*
 * What argp would not say our way: names must be whole (getopt takes any
 * beginning of one) and known, and a value must follow where one is needed.
 * Writes '_' for '-' in names of argv.
 */
static int check_names(struct line *line, int argc) {
    for (int i = 1; i < argc; i++) {
        char *arg = line->argv[i];
        if (arg[0] != '-' || arg[1] == '\0') continue;
        answer(line, arg);
        const size_t dashes = strspn(arg, "-");
        char *name = arg + (dashes < 2 ? dashes : 2);
        const size_t len = strcspn(name, "=");
        const struct config_option *option = config_table_find(name, len);
        const bool config = len == 6 && strncmp(name, "config", 6) == 0;
        if (dashes < 2 || (option == NULL && !config)) {
            return config_unknown(name, len, line->why, sizeof(line->why));
        }
        if (option != NULL) memcpy(name, option->name, len);
        const bool flag = option != NULL && option->type == CONFIG_BOOL;
        if (name[len] == '=' || flag) continue;
        if (++i < argc) continue;
        snprintf(line->why, sizeof(line->why),
                 "option %s needs a value: write --%s=VALUE", name, name);
        return -EINVAL;
    }
    return 0;
}

static int parse_line(struct line *line, int argc, char **argv) {
    line->argv = calloc((size_t)argc + 1, sizeof(*line->argv));
    line->values = calloc((size_t)argc + 1, sizeof(*line->values));
    if (line->argv == NULL || line->values == NULL) return -ENOMEM;
    for (int i = 0; i < argc; i++) {
        line->argv[i] = strdup(argv[i]);
        if (line->argv[i] == NULL) return -ENOMEM;
    }
    int rc = check_names(line, argc);
    if (rc != 0) return rc;

    struct argp_option *list = make_options(line->program);
    if (list == NULL) return -ENOMEM;
    const struct argp argp = {.options = list, .parser = on_option};
    rc = -argp_parse(&argp, argc, line->argv, ARGP_NO_ERRS | ARGP_NO_HELP, NULL,
                     line);
    free_options(list);
    return rc;
}

static const char *last_value(const struct line *line, const char *name) {
    for (size_t i = line->n_values; i > 0; i--) {
        if (strcmp(line->values[i - 1].option->name, name) == 0) {
            return line->values[i - 1].value;
        }
    }
    return "";
}

/* RUN/config.ini of a run that is there already and meant, or "". */
static void find_base(const struct line *line, char *path, size_t n) {
    char state[CONFIG_PATH_LEN + 16];
    const char *run = "", *status = last_value(line, "status");
    path[0] = '\0';
    if (line->program == CONFIG_ACTOR) {
        run = last_value(line, "evaluate");
        if (*run == '\0') run = last_value(line, "export");
    } else if (line->program == CONFIG_LEARNER && *status != '\0') {
        // an address, or a folder that is no run: told when it is asked
        snprintf(state, sizeof(state), "%s/config.ini", status);
        if (access(state, F_OK) != 0) return;
        run = status;
    } else if (line->program == CONFIG_LEARNER) {
        run = last_value(line, "run_dir");
        snprintf(state, sizeof(state), "%s/state", run);
        if (access(state, F_OK) != 0) return;
    }
    if (*run != '\0') snprintf(path, n, "%s/config.ini", run);
}

static int apply(struct config *config, struct line *line) {
    char base[CONFIG_PATH_LEN + 16];
    int rc = 0;
    find_base(line, base, sizeof(base));
    if (base[0] != '\0') {
        rc = config_read_file(config, base, line->why, sizeof(line->why));
    }
    for (size_t i = 0; rc == 0 && i < line->n_files; i++) {
        rc = config_read_file(config, line->files[i], line->why,
                              sizeof(line->why));
    }
    for (size_t i = 0; rc == 0 && i < line->n_values; i++) {
        rc = config_set(config, line->values[i].option->name,
                        line->values[i].value, line->why, sizeof(line->why));
    }
    if (rc != 0) return rc;

    if (config->run_dir[0] == '\0') {
        const bool run = strstr(config->join, "://") == NULL;
        const char *from = config->evaluate[0] != '\0' ? config->evaluate
                           : config->export[0] != '\0' ? config->export
                           : run                       ? config->join
                                                       : "";
        snprintf(config->run_dir, sizeof(config->run_dir), "%s", from);
    }
    return config_check(config, line->why, sizeof(line->why));
}

static enum log_level level_of(const struct config *config) {
    switch (config->log_level[0]) {
    case 'e':
        return LOG_ERROR;
    case 'w':
        return LOG_WARN;
    case 'd':
        return LOG_DEBUG;
    default:
        return LOG_INFO;
    }
}

int config_load(struct config *config, enum config_program program,
                const struct config_library *libraries, int argc, char **argv) {
    struct line line = {.program = program, .libraries = libraries};
    log_init(programs[program], LOG_INFO);
    config_defaults(config);

    int rc = parse_line(&line, argc, argv);
    if (rc == 0) rc = apply(config, &line);
    if (rc != 0) log_error("%s", *line.why ? line.why : strerror(-rc));

    for (int i = 0; line.argv != NULL && i < argc; i++) free(line.argv[i]);
    free(line.argv);
    free(line.values);
    if (rc != 0) return -EINVAL;

    log_init(programs[program], level_of(config));
    if (config->print_config) {
        config_print(config, stdout);
        end_printing();
    }
    return 0;
}
