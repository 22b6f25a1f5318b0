#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Every option of every program: one struct, one table (config_table.c: name,
 * type, default, range, unit, help, shared or local).
 *
 * Sources, later ones win: defaults, each --config=FILE (INI; [robot] is left
 * to actor/tasks/recipe.h, other sections are ignored), then --name=value in order. '-' and '_' are the same in names.
 * `shared` options travel from the learner to every joining process and
 * override what that process was given; `local` ones never travel.
 */

enum config_program { CONFIG_ACTOR, CONFIG_REPLAY, CONFIG_LEARNER, CONFIG_SIMULATE };
enum config_algorithm { ALGORITHM_SQL, ALGORITHM_DDPG, ALGORITHM_COMPOSE };
enum config_temperature { TEMPERATURE_CONSTANT, TEMPERATURE_ANNEAL, TEMPERATURE_AUTO };
enum config_proposals { PROPOSALS_UNIFORM, PROPOSALS_SAMPLER };
enum config_measure { MEASURE_LEBESGUE, MEASURE_UNIFORM };
enum config_space { SPACE_PRESQUASH, SPACE_ACTION };
enum config_exploration { EXPLORATION_NONE, EXPLORATION_OU, EXPLORATION_GAUSSIAN };
enum config_on_full { ON_FULL_PAUSE, ON_FULL_DROP };
enum config_parts { PARTS_BOTH, PARTS_Q, PARTS_F };
enum config_transport { TRANSPORT_IPC, TRANSPORT_TCP };
enum config_progress { PROGRESS_AUTO, PROGRESS_LINE, PROGRESS_LINES, PROGRESS_NONE };

enum { CONFIG_PATH_LEN = 512, CONFIG_NAME_LEN = 65 };

// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in reading order
struct config {
    /* the run: shared */
    char task[CONFIG_NAME_LEN];       /* "multigoal" */
    int algorithm;                    /* enum config_algorithm */
    uint64_t seed;                    /* 1 */
    uint64_t max_updates;             /* 0: no limit */
    uint64_t max_steps;               /* environment steps stored; 0: no limit */
    double max_seconds;               /* 0: no limit */
    bool lockstep;                    /* false */

    /* the method (REFERENCE.md): shared */
    double gamma;                     /* [0, 1) 0.99 */
    double alpha;                     /* > 0, 1 */
    int temperature;                  /* enum config_temperature, constant */
    double alpha_end;                 /* > 0, anneal: reached after alpha_span, 1e-3 */
    uint64_t alpha_span;              /* updates, 200000 */
    double alpha_rate;                /* auto: eta, 3e-4 */
    double entropy_target;            /* auto: nats an action dimension, -1 */
    double reward_scale;              /* > 0, 1 */
    bool observation_normalisation;   /* running mean and deviation, false */
    uint64_t units;                   /* hidden units of each of two layers, 128 */
    uint64_t minibatch;               /* 64 */
    uint64_t particles_fixed;         /* K >= 2, 16 */
    uint64_t particles_moved;         /* M >= 1, 16 */
    bool one_set;                     /* x = y, K = M; false */
    int svgd_space;                   /* enum config_space, presquash */
    char svgd_alpha_ramp[48];         /* "FACTOR,UPDATES"; "1,0": off. config_alpha_ramp() */
    uint64_t noise_set;               /* size of xi's fixed set at the start; 0: fresh noise */
    uint64_t noise_set_span;          /* updates in which it falls to 1; 0: it stays */
    int value_proposals;              /* enum config_proposals, uniform */
    uint64_t proposal_switch;         /* updates by uniform ones before the sampler's, 1000 */
    bool shared_proposals;            /* one set of uniform ones a minibatch, true */
    uint64_t value_particles;         /* K_V of uniform ones >= 1, 50 */
    uint64_t value_particles_sampler; /* K_V of the sampler's >= 1, 16 */
    int value_measure;                /* enum config_measure, lebesgue */
    double learning_rate_q;           /* 3e-4 */
    double learning_rate_f;           /* 3e-4 */
    double learning_rate_end;         /* [0, 1] share of both rates left at max_updates, linear; 1: constant */
    double sampler_average;           /* [0, 1) decay of the averaged sampler weights that are published and kept for evaluation; 0: off */
    uint64_t target_every;            /* updates between hard copies, 1000 */
    double target_rate;               /* [0, 1] Polyak instead, a share an update; 0: hard copies */
    bool twin_q;                      /* two Q networks, the smaller one counts, false */

    /* replay: shared */
    uint64_t replay_size;             /* rows over all shards, 1000000 */
    uint64_t warmup;                  /* rows, 1000 */
    double ratio;                     /* updates per environment step, >= 0; 0: free, 1 */
    uint64_t slack;                   /* rows, >= batch, 1024 */

    /* acting: shared */
    uint64_t environments;            /* per actor process, 8 */
    uint64_t horizon;                 /* 0: the task's own */
    uint64_t batch;                   /* rows per Insert, 32 */
    uint64_t window;                  /* W, [1, 64], 16 */
    double flush_after;               /* s, 0.5 */
    double pull_interval;             /* s between GetParameters, 0.2 */
    int exploration;                  /* enum config_exploration, none */
    double exploration_scale;         /* of the noise's N(0, I), 0.3 */
    double exploration_decay;         /* ou: share that the noise loses a step, 0.15 */
    double exploration_ladder;        /* (0, 1] share of the scale at the last actor, geometric; 1: all alike */
    char multigoal_reward[16];        /* "goals" | "gaussian" */
    double multigoal_start_sd;        /* of the start around (0, 0), 0.1 */

    /* conversation: shared */
    double publish_interval;          /* s, 0.1 */
    double parameter_rate;            /* Parameters a second, 100 */
    double resend_after;              /* s, 2 */
    double sample_timeout;            /* s, 0.5 */
    double dead_after;                /* s, 5 */
    double orphan_after;              /* s, 600 */

    /* the processes of a launch; actors (they pull parameters in turn) and
     * shards (capacity = replay_size / shards) are shared */
    uint64_t actors;                  /* 1 */
    uint64_t shards;                  /* 1 */
    uint64_t evaluators;              /* 0 */
    uint64_t evaluate_every;          /* updates between their turns, 1000 */
    uint64_t evaluation_episodes;     /* shared: of a turn, and at the end; 100 */

    /* this process: local */
    char run_dir[CONFIG_PATH_LEN];    /* "": runs/<task>-<time> (deploy), required by programs unless join names it */
    char join[CONFIG_PATH_LEN];       /* actor, replay: ADDRESS or RUN */
    char name[CONFIG_NAME_LEN];       /* this peer's name; "": role-HOST-PID */
    uint64_t index;                   /* replay: ring file number and tcp port offset */
    int transport;                    /* enum config_transport, ipc */
    uint64_t port;                    /* 5550 */
    char bind[CONFIG_PATH_LEN];       /* tcp host to bind, "127.0.0.1" */
    char advertise[CONFIG_PATH_LEN];  /* host that others connect to; "": bind */
    bool insecure;                    /* bind beyond loopback without keys */
    bool http;                        /* learner: serve a page */
    char http_bind[CONFIG_PATH_LEN];  /* numeric host of the page, "127.0.0.1" */
    uint64_t http_port;               /* 0: P + 1 with tcp, else a free one */
    char keys[CONFIG_PATH_LEN];       /* folder of this host's keys for tcp (proto/keys.h); "": none */
    uint64_t threads;                 /* learner's update workers; 0: automatic */
    uint64_t prefetch;                /* minibatches asked ahead, 8 */
    double checkpoint_seconds;        /* s, 60 */
    uint64_t checkpoint_updates;      /* lockstep only, 1000 */
    uint64_t keep_checkpoints;        /* 3 */
    uint64_t checkpoint_every;        /* updates between those kept for good; 0: none */
    char init_from[CONFIG_PATH_LEN];  /* learner: RUN whose networks a new run begins with; "": fresh ones */
    int init_parts;                   /* enum config_parts, both */
    char compose[CONFIG_PATH_LEN * 4]; /* learner: RUN:RUN... whose Q functions' mean is sampled */
    char import[CONFIG_PATH_LEN * 4]; /* replay: RUN:FILE.npz... whose rows are copied into ours */
    int progress;                     /* enum config_progress on stdout, auto */
    bool tensorboard;                 /* learner: event files in RUN/tensorboard, true */
    bool idle_priority;               /* actor: SCHED_IDLE */
    uint64_t actor_threads;           /* actor: that step its environments, with the same results. 1 */
    uint64_t idle_actors;             /* actor: how many of them this host has; more than 8 a core take turns. 1 */
    bool evaluator;                   /* actor: play the newest parameters by turns, store nothing */
    char replay_dir[CONFIG_PATH_LEN]; /* replay: folder of this run's rings, made where missing; "": RUN/replay */
    int on_full;                      /* enum config_on_full, pause: what an actor does when its window is full */
    char models[CONFIG_PATH_LEN];     /* actor: folder of the MJCF files; "": the built-in path */
    char model[CONFIG_PATH_LEN];      /* actor: MJCF file in the place of a MuJoCo task's own; "": its own */
    char robot[CONFIG_PATH_LEN];      /* actor: INI with a [robot] section, the task; "": RUN/task's, or a built-in task */
    char env[CONFIG_PATH_LEN];        /* actor: shared object of softq/env.h, the task; "": likewise */
    uint64_t simulated;               /* softq-simulate: actors in this process, 100 */
    double simulated_rate;            /* softq-simulate: rows a second of all of them; 0: as the window lets, 1000 */
    char simulated_spec[16];          /* softq-simulate: "S,A", observation and action dimensions. config_simulated_spec() */
    char ledger[CONFIG_PATH_LEN];     /* folder of common/ledger.h's files; actor: written; replay: for audit; "": none */
    int lifeline;                     /* inherited descriptor; -1: none. End of file means stop */
    char log_level[8];                /* error|warn|info|debug */

    /* softq-actor --evaluate RUN: local */
    char evaluate[CONFIG_PATH_LEN];   /* RUN; "": act */
    char checkpoint[CONFIG_PATH_LEN]; /* file of it to play, or export; "": the newest */
    char export[CONFIG_PATH_LEN];     /* RUN whose networks (actor) or transitions (replay) to write for other programs, exit */
    char out[CONFIG_PATH_LEN];        /* actor: folder for them, "": RUN/export; replay: FILE.npz */
    uint64_t episodes;                /* 100 */
    bool random_policy;               /* evaluate uniform random actions instead */
    char traces[CONFIG_PATH_LEN];     /* FILE.csv: episode,step,x,y,reward */
    char q_figure[CONFIG_PATH_LEN];   /* folder: q-<i>.csv (a1,a2,q) and actions-<i>.csv (a1,a2) for q_states; act_dim 2 only */
    char q_states[CONFIG_PATH_LEN];   /* observations, numbers by ',' and states by ':', e.g. "-2.5,0:0,0:2.5,2.5" */
    char check[CONFIG_PATH_LEN];      /* actor: a task, or FILE.ini, FILE.so, to play by random actions */
    char keep[CONFIG_PATH_LEN];       /* actor: folder into which what robot or env names is copied */
    bool list_tasks;                  /* actor: print what tasks there are, exit */
    char video[CONFIG_PATH_LEN];      /* FILE.mp4; "auto": RUN/video/<checkpoint>.mp4; "": none */
    uint64_t video_episodes;          /* 3 */
    char video_size[16];              /* pixels, "640x480"; of picture too */
    double video_rate;                /* frames a second; 0: one a step, 60 at most */
    char camera[CONFIG_NAME_LEN];     /* of the model, or "follow"; "": its first, else follow */
    char picture[CONFIG_PATH_LEN];    /* FILE.png of the task, without a run too; "": none */
    double picture_after;             /* s into an episode, 0.2 */
    char status[CONFIG_PATH_LEN];     /* learner: --status=RUN|ADDRESS, print and exit */
    char make_keys[CONFIG_PATH_LEN];  /* learner: make a key pair in this folder, print the public one, exit */
    char check_keys[CONFIG_PATH_LEN]; /* learner: is this keys folder, or list of allowed keys, in order? */
    char audit[CONFIG_PATH_LEN];      /* replay: RUN whose rings to hold against ledger, exit */
    bool print_config;                /* print the effective configuration, exit */
};

void config_defaults(struct config *config);

/* A library that a program runs with, for --version. */
struct config_library {
    const char *name;                      /* "libuv" */
    void (*version)(char *text, size_t n); /* writes "1.44.2" */
};

/*
 * Read argv (argp: --help prints every option this program takes with default,
 * range and unit; the learner's prints all) and the files it names; check
 * ranges and the rules between options (warmup >= minibatch, slack >= batch,
 * replay_size / shards >= minibatch ...).
 *
 * Every program accepts every option. Before all --config files comes
 * RUN/config.ini where the command line means a run that is there already:
 * --evaluate=RUN and --export=RUN (actor), --run_dir=RUN with a RUN/state (learner: it
 * resumes) and --status=RUN (learner: where its keys are). An empty run_dir becomes the RUN of --evaluate=RUN, --export=RUN or --join=RUN.
 * Names the log (softq-actor ...) and sets its level. libraries: what --version
 * tells of beside the program, up to one without a name; NULL: none.
 *
 * Returns 0, or -EINVAL after one log_error that names the option, the value
 * and its range. --help, --version, --print_options and --print_config print and
 * exit(0).
 */
int config_load(struct config *config, enum config_program program,
                const struct config_library *libraries, int argc, char **argv);

/*
 * One option by name. Returns 0 or -EINVAL with one line in why (n bytes).
 */
int config_set(struct config *config, const char *name, const char *value,
               char *why, size_t n);

/* Apply a file; the first wrong line changes nothing and is named in why. */
int config_read_file(struct config *config, const char *path, char *why,
                     size_t n);

/* The rules between options; as config_set(). */
int config_check(const struct config *config, char *why, size_t n);

/* simulated_spec's two numbers, each from 1 to 4096. 0 or -EINVAL. */
int config_simulated_spec(const struct config *config, uint32_t *S,
                          uint32_t *A);

/* svgd_alpha_ramp's two numbers: factor >= 1, updates. 0 or -EINVAL. */
int config_alpha_ramp(const struct config *config, double *factor,
                      uint64_t *updates);

/* "name = value" a line, the INI that config_load() reads back; every option
 * but the per-process ones that must not be inherited (run_dir, join, name,
 * index, lifeline, evaluate ...). Floats are written so that they read back
 * the same. */
void config_print(const struct config *config, FILE *out);

/*
 * The shared options as config_print() writes them, for Welcome. Returns the
 * length, or -ENOSPC if size is too small (text is then undefined).
 */
long config_shared_text(const struct config *config, char *text, size_t size);

/* Apply a Welcome's text: shared options only, ranges checked. As config_set(). */
int config_apply_shared(struct config *config, const char *text, size_t len,
                        char *why, size_t n);

/* An option of fixed words as a file would have it: "sql". Borrowed. */
const char *config_word(const struct config *config, const char *option);

/* The version of this build, "0.1.0". */
const char *config_version(void);

#endif
