#include "common/config_table.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"

#define FIELD(field)                        \
#field, offsetof(struct config, field), \
        sizeof(((struct config *)NULL)->field)

/* shorthands of this table */
enum {
    SHARED = CONFIG_SHARED,
    OWN = CONFIG_PER_PROCESS,
    ACTOR = CONFIG_BY_ACTOR,
    REPLAY = CONFIG_BY_REPLAY,
    SIMULATE = CONFIG_BY_SIMULATE,
    PEERS = CONFIG_BY_ACTOR | CONFIG_BY_REPLAY | CONFIG_BY_SIMULATE,
    OPEN_LOW = CONFIG_OPEN_LOW,
    OPEN_HIGH = CONFIG_OPEN_HIGH,
};

#define MOST_UPDATES 1099511627775.0 /* 40 bits of a version */
#define MOST_ROWS 1e12

static const char *const algorithms[] = {"sql", "ddpg", "compose", NULL};
static const char *const temperatures[] = {"constant", "anneal", "auto", NULL};
static const char *const proposals[] = {"uniform", "sampler", NULL};
static const char *const measures[] = {"lebesgue", "uniform", NULL};
static const char *const spaces[] = {"presquash", "action", NULL};
static const char *const explorations[] = {"none", "ou", "gaussian", NULL};
static const char *const fulls[] = {"pause", "drop", NULL};
static const char *const parts[] = {"both", "q", "f", NULL};
static const char *const transports[] = {"ipc", "tcp", NULL};
static const char *const progresses[] = {"auto", "line", "lines", "none", NULL};
static const char *const rewards[] = {"goals", "gaussian", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

const char *const config_table_headings[CONFIG_GROUPS] = {
    [CONFIG_OF_RUN] = "The run (shared: the learner tells every process)",
    [CONFIG_OF_METHOD] = "The method (shared)",
    [CONFIG_OF_REPLAY] = "Replay (shared)",
    [CONFIG_OF_ACTING] = "Acting (shared)",
    [CONFIG_OF_CONVERSATION] = "Conversation between processes (shared)",
    [CONFIG_OF_LAUNCH] = "Processes of a launch (read by deploy/)",
    [CONFIG_OF_PROCESS] = "This process",
    [CONFIG_OF_EVALUATION] = "softq-actor --evaluate and tools",
};

const struct config_option config_table[] = {
    // the run
    {FIELD(task), CONFIG_TEXT, CONFIG_OF_RUN, SHARED | CONFIG_NAME, "multigoal",
     .help = "environment to learn"},
    {FIELD(algorithm), CONFIG_ENUM, CONFIG_OF_RUN, SHARED, "sql",
     .choices = algorithms,
     .help = "soft Q-learning, DDPG, or a sampler for the mean of other runs' "
             "Q functions (deploy/compose.sh)"},
    {FIELD(seed), CONFIG_U64, CONFIG_OF_RUN, SHARED, "1", 0, HUGE_VAL,
     .help = "seed of every random number"},
    {FIELD(max_updates), CONFIG_U64, CONFIG_OF_RUN, SHARED, "0", 0,
     MOST_UPDATES, .unit = "updates",
     .help = "stop after this many; 0: no limit"},
    {FIELD(max_steps), CONFIG_U64, CONFIG_OF_RUN, SHARED, "0", 0, HUGE_VAL,
     .unit = "environment steps",
     .help = "stop when this many are stored; 0: no limit"},
    {FIELD(max_seconds), CONFIG_REAL, CONFIG_OF_RUN, SHARED, "0", 0, 1e9,
     .unit = "s", .help = "stop after this long; 0: no limit"},
    {FIELD(lockstep), CONFIG_BOOL, CONFIG_OF_RUN, SHARED, "false",
     .help = "repeat bit for bit: one actor and one shard in strict turns"},

    // the method
    {FIELD(gamma), CONFIG_REAL, CONFIG_OF_METHOD, SHARED | OPEN_HIGH, "0.99", 0,
     1, .help = "discount of future reward"},
    {FIELD(alpha), CONFIG_REAL, CONFIG_OF_METHOD, SHARED | OPEN_LOW, "1", 0,
     1e6, .help = "temperature: weight of the entropy"},
    {FIELD(temperature), CONFIG_ENUM, CONFIG_OF_METHOD, SHARED, "constant",
     .choices = temperatures,
     .help = "alpha stays, falls log-linearly to alpha_end, or follows the "
             "sampler's entropy"},
    {FIELD(alpha_end), CONFIG_REAL, CONFIG_OF_METHOD, SHARED | OPEN_LOW, "1e-3",
     0, 1e6, .help = "anneal: alpha after alpha_span"},
    {FIELD(alpha_span), CONFIG_U64, CONFIG_OF_METHOD, SHARED, "200000", 1,
     MOST_UPDATES, .unit = "updates", .help = "anneal: from alpha to alpha_end"},
    {FIELD(alpha_rate), CONFIG_REAL, CONFIG_OF_METHOD, SHARED | OPEN_LOW,
     "3e-4", 0, 1, .help = "auto: step of log alpha a nat of missing entropy"},
    {FIELD(entropy_target), CONFIG_REAL, CONFIG_OF_METHOD, SHARED, "-1", -100,
     0.6931, .unit = "nats an action dimension",
     .help = "auto: the sampler's entropy (uniform actions have log 2)"},
    {FIELD(reward_scale), CONFIG_REAL, CONFIG_OF_METHOD, SHARED | OPEN_LOW, "1",
     0, 1e6, .help = "factor on every reward before learning"},
    {FIELD(observation_normalisation), CONFIG_BOOL, CONFIG_OF_METHOD, SHARED,
     "false",
     .help = "networks see observations less their running mean, over their "
             "running deviation"},
    {FIELD(units), CONFIG_U64, CONFIG_OF_METHOD, SHARED, "128", 1, 4096,
     .help = "hidden units of each of the two layers"},
    {FIELD(minibatch), CONFIG_U64, CONFIG_OF_METHOD, SHARED, "64", 1, 65536,
     .unit = "rows", .help = "transitions of one update"},
    {FIELD(particles_fixed), CONFIG_U64, CONFIG_OF_METHOD, SHARED, "16", 2,
     1024, .help = "K, fixed SVGD particles a state"},
    {FIELD(particles_moved), CONFIG_U64, CONFIG_OF_METHOD, SHARED, "16", 1,
     1024, .help = "M, moved SVGD particles a state"},
    {FIELD(one_set), CONFIG_BOOL, CONFIG_OF_METHOD, SHARED, "false",
     .help = "the fixed particles are the moved ones, without their own term"},
    {FIELD(svgd_space), CONFIG_ENUM, CONFIG_OF_METHOD, SHARED, "presquash",
     .choices = spaces,
     .help = "of the particles; action: as the released code, which is biased"},
    {FIELD(svgd_alpha_ramp), CONFIG_TEXT, CONFIG_OF_METHOD, SHARED, "1,0",
     .unit = "as FACTOR,UPDATES",
     .help = "g is divided by a factor that falls from FACTOR to 1: keeps "
             "modes that are far apart"},
    {FIELD(noise_set), CONFIG_U64, CONFIG_OF_METHOD, SHARED, "0", 0, 65536,
     .unit = "vectors",
     .help = "the sampler's noise comes from a fixed set of this size; 0: "
             "fresh noise"},
    {FIELD(noise_set_span), CONFIG_U64, CONFIG_OF_METHOD, SHARED, "0", 0,
     MOST_UPDATES, .unit = "updates",
     .help = "in which noise_set falls to 1; 0: it stays"},
    {FIELD(value_proposals), CONFIG_ENUM, CONFIG_OF_METHOD, SHARED, "uniform",
     .choices = proposals, .help = "actions that estimate the soft value"},
    {FIELD(proposal_switch), CONFIG_U64, CONFIG_OF_METHOD, SHARED, "1000", 0,
     MOST_UPDATES, .unit = "updates",
     .help = "by uniform proposals before the sampler's"},
    {FIELD(shared_proposals), CONFIG_BOOL, CONFIG_OF_METHOD, SHARED, "true",
     .help = "uniform proposals are those of the minibatch, not of a state"},
    {FIELD(value_particles), CONFIG_U64, CONFIG_OF_METHOD, SHARED, "50", 1,
     4096, .help = "K_V, uniform proposals of the soft value"},
    {FIELD(value_particles_sampler), CONFIG_U64, CONFIG_OF_METHOD, SHARED, "16",
     1, 4096, .help = "K_V, the sampler's proposals of the soft value"},
    {FIELD(value_measure), CONFIG_ENUM, CONFIG_OF_METHOD, SHARED, "lebesgue",
     .choices = measures,
     .help = "of the soft value's integral; uniform: less alpha log 2 an "
             "action dimension, no bonus for surviving"},
    {FIELD(learning_rate_q), CONFIG_REAL, CONFIG_OF_METHOD, SHARED | OPEN_LOW,
     "3e-4", 0, 1, .help = "Adam's rate for Q"},
    {FIELD(learning_rate_f), CONFIG_REAL, CONFIG_OF_METHOD, SHARED | OPEN_LOW,
     "3e-4", 0, 1, .help = "Adam's rate for the sampler"},
    {FIELD(learning_rate_end), CONFIG_REAL, CONFIG_OF_METHOD, SHARED, "1", 0, 1,
     .help = "share of both rates left at max_updates, linear; 1: constant"},
    {FIELD(sampler_average), CONFIG_REAL, CONFIG_OF_METHOD, SHARED | OPEN_HIGH,
     "0", 0, 1,
     .help =
         "decay an update of the averaged sampler that acts; 0: no average"},
    {FIELD(target_every), CONFIG_U64, CONFIG_OF_METHOD, SHARED, "1000", 1, 1e9,
     .unit = "updates", .help = "between copies of Q to its target"},
    {FIELD(target_rate), CONFIG_REAL, CONFIG_OF_METHOD, SHARED, "0", 0, 1,
     .help = "Polyak: share of the way to Q that its target goes every "
             "update; 0: whole copies every target_every"},
    {FIELD(twin_q), CONFIG_BOOL, CONFIG_OF_METHOD, SHARED, "false",
     .help = "train two Q networks and use the smaller value: less "
             "overestimation, more work an update"},

    // replay
    {FIELD(replay_size), CONFIG_U64, CONFIG_OF_REPLAY, SHARED, "1000000", 1,
     MOST_ROWS, .unit = "rows", .help = "kept over all shards together"},
    {FIELD(warmup), CONFIG_U64, CONFIG_OF_REPLAY, SHARED, "1000", 1, MOST_ROWS,
     .unit = "rows", .help = "stored before the first update"},
    {FIELD(ratio), CONFIG_REAL, CONFIG_OF_REPLAY, SHARED, "1", 0, 1e6,
     .unit = "updates per environment step",
     .help = "kept by making the faster side wait; 0: both run free"},
    {FIELD(slack), CONFIG_U64, CONFIG_OF_REPLAY, SHARED, "1024", 1, MOST_ROWS,
     .unit = "rows", .help = "that acting may run ahead of ratio"},

    // acting
    {FIELD(environments), CONFIG_U64, CONFIG_OF_ACTING, SHARED, "8", 1, 65536,
     .help = "of each actor process"},
    {FIELD(horizon), CONFIG_U64, CONFIG_OF_ACTING, SHARED, "0", 0, 1e9,
     .unit = "steps", .help = "longest episode; 0: the task's own"},
    {FIELD(batch), CONFIG_U64, CONFIG_OF_ACTING, SHARED, "32", 1, 65536,
     .unit = "rows", .help = "transitions of one message to a shard"},
    {FIELD(window), CONFIG_U64, CONFIG_OF_ACTING, SHARED, "16", 1, 64,
     .unit = "messages", .help = "that an actor may have unanswered"},
    {FIELD(flush_after), CONFIG_REAL, CONFIG_OF_ACTING, SHARED, "0.5", 0.001,
     60, .unit = "s", .help = "send a batch that is not full after this long"},
    {FIELD(pull_interval), CONFIG_REAL, CONFIG_OF_ACTING, SHARED, "0.2", 0.001,
     3600, .unit = "s", .help = "between an actor's requests for parameters"},
    {FIELD(exploration), CONFIG_ENUM, CONFIG_OF_ACTING, SHARED, "none",
     .choices = explorations,
     .help = "noise on the sampler's actions: Ornstein-Uhlenbeck or white"},
    {FIELD(exploration_scale), CONFIG_REAL, CONFIG_OF_ACTING, SHARED, "0.3", 0,
     10, .unit = "of the action's half range",
     .help = "deviation of that noise's step"},
    {FIELD(exploration_decay), CONFIG_REAL, CONFIG_OF_ACTING,
     SHARED | OPEN_LOW, "0.15", 0, 1,
     .help = "ou: share that the noise loses a step"},
    {FIELD(exploration_ladder), CONFIG_REAL, CONFIG_OF_ACTING,
     SHARED | OPEN_LOW, "1", 0, 1,
     .help = "share of the scale left at the last of the actors, in equal "
             "ratios between; 1: all alike"},
    {FIELD(multigoal_reward), CONFIG_TEXT, CONFIG_OF_ACTING, SHARED, "goals",
     .choices = rewards, .help = "reward of the multigoal task"},
    {FIELD(multigoal_start_sd), CONFIG_REAL, CONFIG_OF_ACTING, SHARED, "0.1", 0,
     7, .help = "multigoal: deviation of the start around (0, 0)"},

    // conversation
    {FIELD(publish_interval), CONFIG_REAL, CONFIG_OF_CONVERSATION, SHARED,
     "0.1", 0, 3600, .unit = "s",
     .help = "between published parameter versions"},
    {FIELD(parameter_rate), CONFIG_REAL, CONFIG_OF_CONVERSATION, SHARED, "100",
     1, 1e6, .unit = "1/s", .help = "most parameter messages of the learner"},
    {FIELD(resend_after), CONFIG_REAL, CONFIG_OF_CONVERSATION, SHARED, "2",
     0.05, 600, .unit = "s", .help = "ask again when there is no answer"},
    {FIELD(sample_timeout), CONFIG_REAL, CONFIG_OF_CONVERSATION, SHARED, "0.5",
     0.01, 600, .unit = "s",
     .help = "draw a late part of a minibatch elsewhere"},
    {FIELD(dead_after), CONFIG_REAL, CONFIG_OF_CONVERSATION, SHARED, "5", 1.5,
     3600, .unit = "s", .help = "a silent shard counts as dead"},
    {FIELD(orphan_after), CONFIG_REAL, CONFIG_OF_CONVERSATION, SHARED, "600", 1,
     1e7, .unit = "s", .help = "give up without a learner"},

    // a launch
    {FIELD(actors), CONFIG_U64, CONFIG_OF_LAUNCH, SHARED, "1", 0, 10000,
     .help = "actor processes (shared: they pull parameters in turn)"},
    {FIELD(shards), CONFIG_U64, CONFIG_OF_LAUNCH, SHARED, "1", 1, 256,
     .help = "replay shards (shared), each holds replay_size / shards rows"},
    {FIELD(evaluators), CONFIG_U64, CONFIG_OF_LAUNCH, 0, "0", 0, 256,
     .help = "processes that play the newest parameters by turns, without "
             "exploration, and store nothing: RUN/evaluations.csv"},
    {FIELD(evaluate_every), CONFIG_U64, CONFIG_OF_LAUNCH, 0, "1000", 1,
     MOST_UPDATES, .unit = "updates",
     .help = "between the evaluators' turns; one that is missed is left out"},
    {FIELD(evaluation_episodes), CONFIG_U64, CONFIG_OF_LAUNCH, SHARED, "100", 1,
     1e6,
     .help = "of an evaluator's turn, and when training has ended (shared)"},

    // this process
    {FIELD(run_dir), CONFIG_TEXT, CONFIG_OF_PROCESS, OWN | PEERS, "",
     .help = "folder of the run's files"},
    {FIELD(join), CONFIG_TEXT, CONFIG_OF_PROCESS, OWN | PEERS, "",
     .help = "address of a learner, or the folder of its run"},
    {FIELD(name), CONFIG_TEXT, CONFIG_OF_PROCESS, OWN | PEERS | CONFIG_NAME, "",
     .help = "of this process in the run; empty: role, host and pid"},
    {FIELD(index), CONFIG_U64, CONFIG_OF_PROCESS, OWN | REPLAY, "0", 0, 255,
     .help = "of this shard: its ring file, its tcp port P + 10 + index"},
    {FIELD(transport), CONFIG_ENUM, CONFIG_OF_PROCESS, PEERS, "ipc",
     .choices = transports, .help = "sockets of one host, or across hosts"},
    {FIELD(port), CONFIG_U64, CONFIG_OF_PROCESS, PEERS, "5550", 1, 65535,
     .help = "P of the learner for tcp; its status page is on P + 1"},
    {FIELD(bind), CONFIG_TEXT, CONFIG_OF_PROCESS, PEERS, "127.0.0.1",
     .help = "host to listen on for tcp"},
    {FIELD(advertise), CONFIG_TEXT, CONFIG_OF_PROCESS, PEERS, "",
     .help = "host that others connect to; empty: bind, or the host that the "
             "learner sees where that is every interface"},
    {FIELD(insecure), CONFIG_BOOL, CONFIG_OF_PROCESS, PEERS, "false",
     .help = "listen beyond this host without keys"},
    {FIELD(http), CONFIG_BOOL, CONFIG_OF_PROCESS, 0, "true",
     .help = "the learner serves a page, /status.json and /metrics (Prometheus) "
             "over HTTP; RUN/address says where"},
    {FIELD(http_bind), CONFIG_TEXT, CONFIG_OF_PROCESS, 0, "127.0.0.1",
     .help = "numeric host of the page, which anyone who reaches it can read"},
    {FIELD(http_port), CONFIG_U64, CONFIG_OF_PROCESS, 0, "0", 0, 65535,
     .help = "of the page; 0: P + 1 with tcp, else a free one"},
    {FIELD(keys), CONFIG_TEXT, CONFIG_OF_PROCESS, PEERS, "",
     .help = "folder of this host's keys for tcp, by deploy/keys.sh; empty: "
             "none"},
    {FIELD(threads), CONFIG_U64, CONFIG_OF_PROCESS, 0, "0", 0, 256,
     .help = "the learner's update workers; 0: one a core"},
    {FIELD(prefetch), CONFIG_U64, CONFIG_OF_PROCESS, 0, "8", 1, 1024,
     .unit = "minibatches", .help = "asked for ahead of the learner"},
    {FIELD(checkpoint_seconds), CONFIG_REAL, CONFIG_OF_PROCESS, 0, "60", 0.1,
     1e9, .unit = "s", .help = "between checkpoints"},
    {FIELD(checkpoint_updates), CONFIG_U64, CONFIG_OF_PROCESS, 0, "1000", 1,
     MOST_UPDATES, .unit = "updates", .help = "the same in lockstep"},
    {FIELD(keep_checkpoints), CONFIG_U64, CONFIG_OF_PROCESS, 0, "3", 1, 1e6,
     .help = "the last so many"},
    {FIELD(checkpoint_every), CONFIG_U64, CONFIG_OF_PROCESS, 0, "0", 0,
     MOST_UPDATES, .unit = "updates",
     .help = "between checkpoints that are kept for good; 0: none"},
    {FIELD(init_from), CONFIG_TEXT, CONFIG_OF_PROCESS, 0, "",
     .help = "run whose networks a new one begins with; empty: fresh ones"},
    {FIELD(init_parts), CONFIG_ENUM, CONFIG_OF_PROCESS, 0, "both",
     .choices = parts, .help = "of init_from: Q, the sampler f, or both"},
    {FIELD(compose), CONFIG_TEXT, CONFIG_OF_PROCESS, OWN, "",
     .help = "compose: the runs RUN:RUN... whose Q functions are averaged"},
    {FIELD(import), CONFIG_TEXT, CONFIG_OF_PROCESS, OWN | REPLAY, "",
     .help = "runs RUN, or files FILE.npz of numpy arrays, with ':' between, "
             "whose transitions are copied into ours"},
    {FIELD(progress), CONFIG_ENUM, CONFIG_OF_PROCESS, 0, "auto",
     .choices = progresses,
     .help = "on standard output: one live line, or a line every 5 s"},
    {FIELD(tensorboard), CONFIG_BOOL, CONFIG_OF_PROCESS, 0, "true",
     .help = "the learner writes RUN/tensorboard, about 25 MB the first day"},
    {FIELD(idle_priority), CONFIG_BOOL, CONFIG_OF_PROCESS, ACTOR, "false",
     .help = "actors take only time that nobody else wants"},
    {FIELD(actor_threads), CONFIG_U64, CONFIG_OF_PROCESS, ACTOR, "1", 1, 256,
     .help = "of an actor, that step its environments; the rows are the same"},
    {FIELD(idle_actors), CONFIG_U64, CONFIG_OF_PROCESS, OWN | ACTOR, "1", 0,
     10000, .help = "that this host has; more than 8 a core step by turns"},
    {FIELD(evaluator), CONFIG_BOOL, CONFIG_OF_PROCESS, OWN | ACTOR, "false",
     .help = "join as one of the run's evaluators, not as an actor"},
    {FIELD(replay_dir), CONFIG_TEXT, CONFIG_OF_PROCESS, REPLAY, "",
     .help = "folder of this run's stored transitions, on a local disk; empty: "
             "RUN/replay"},
    {FIELD(on_full), CONFIG_ENUM, CONFIG_OF_PROCESS, ACTOR, "pause",
     .choices = fulls,
     .help = "an actor whose window is full stops stepping, or goes on and "
             "drops the oldest rows that it has not sent"},
    {FIELD(models), CONFIG_TEXT, CONFIG_OF_PROCESS, ACTOR, "",
     .help = "folder of the MuJoCo models; empty: the project's"},
    {FIELD(model), CONFIG_TEXT, CONFIG_OF_PROCESS, ACTOR, "",
     .help = "MJCF file in the place of a MuJoCo task's own; empty: its own"},
    {FIELD(robot), CONFIG_TEXT, CONFIG_OF_PROCESS, OWN | ACTOR, "",
     .help = "file.ini whose [robot] section is the task; empty: the run's "
             "copy, or a built-in task"},
    {FIELD(env), CONFIG_TEXT, CONFIG_OF_PROCESS, OWN | ACTOR, "",
     .help = "shared object that is the task (softq/env.h); empty: likewise"},
    {FIELD(simulated), CONFIG_U64, CONFIG_OF_PROCESS, OWN | SIMULATE, "100", 1,
     10000, .unit = "actors", .help = "that softq-simulate plays"},
    {FIELD(simulated_rate), CONFIG_REAL, CONFIG_OF_PROCESS, OWN | SIMULATE,
     "1000", 0, 1e9, .unit = "rows/s",
     .help = "of all of them together; 0: as fast as their windows let"},
    {FIELD(simulated_spec), CONFIG_TEXT, CONFIG_OF_PROCESS, OWN | SIMULATE,
     "8,2", .help = "dimensions of their observations and actions, as 8,2"},
    {FIELD(ledger), CONFIG_TEXT, CONFIG_OF_PROCESS, OWN | PEERS, "",
     .help = "folder for the actors' record of every batch sent and "
             "acknowledged, for --audit; empty: none"},
    {FIELD(lifeline), CONFIG_INT, CONFIG_OF_PROCESS, OWN | PEERS, "-1", -1,
     1048576, .help = "descriptor whose end of file means stop; -1: none"},
    {FIELD(log_level), CONFIG_TEXT, CONFIG_OF_PROCESS, PEERS, "info",
     .choices = levels, .help = "least important messages to show"},

    // evaluation and tools
    {FIELD(evaluate), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN | ACTOR, "",
     .help = "run folder whose newest checkpoint to play, without a network"},
    {FIELD(checkpoint), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN | ACTOR, "",
     .help = "file of evaluate's or export's run; empty: the newest"},
    {FIELD(export), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN | PEERS, "",
     .help = "run folder whose networks (softq-actor: newest checkpoint as "
             "ONNX and a C header) or transitions (softq-replay: numpy "
             "arrays) to write, and exit"},
    {FIELD(out), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN | PEERS, "",
     .help = "of export: softq-actor's folder, empty: RUN/export; "
             "softq-replay's file (.npz)"},
    {FIELD(episodes), CONFIG_U64, CONFIG_OF_EVALUATION, OWN | ACTOR, "100", 1,
     1e6, .help = "to play"},
    {FIELD(random_policy), CONFIG_BOOL, CONFIG_OF_EVALUATION, OWN | ACTOR,
     "false", .help = "play uniform random actions instead"},
    {FIELD(traces), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN | ACTOR, "",
     .help = "file for episode,step,x,y,reward"},
    {FIELD(q_figure), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN | ACTOR, "",
     .help = "folder for Q over the actions of q_states"},
    {FIELD(q_states), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN | ACTOR, "",
     .help = "observations: numbers by ',', states by ':', as 0,0:2.5,2.5"},
    {FIELD(check), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN | ACTOR, "",
     .help = "task, file.ini or file.so to look at by random actions, and exit"},
    {FIELD(keep), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN | ACTOR, "",
     .help = "folder into which to copy what robot or env needs, and exit"},
    {FIELD(list_tasks), CONFIG_BOOL, CONFIG_OF_EVALUATION, OWN | ACTOR,
     "false", .help = "print what tasks there are and exit"},
    {FIELD(video), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN | ACTOR, "",
     .help = "file (.mp4) for rendered episodes; auto: RUN/video/"},
    {FIELD(video_episodes), CONFIG_U64, CONFIG_OF_EVALUATION, OWN | ACTOR, "3",
     1, 1000, .help = "in the video"},
    {FIELD(video_size), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN | ACTOR,
     "640x480", .help = "of video and picture, in pixels, both even"},
    {FIELD(video_rate), CONFIG_REAL, CONFIG_OF_EVALUATION, OWN | ACTOR, "0", 0,
     1000, .unit = "1/s",
     .help = "frames a second of real time; 0: one a step, 60 at most"},
    {FIELD(camera), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN | ACTOR, "",
     .help = "of the model; follow: one that follows the robot; empty: the "
             "model's first, else follow"},
    {FIELD(picture), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN | ACTOR, "",
     .help = "file (.png) for a picture of the task; without a run it plays "
             "random actions"},
    {FIELD(picture_after), CONFIG_REAL, CONFIG_OF_EVALUATION, OWN | ACTOR,
     "0.2", 0, 1e4, .unit = "s", .help = "from an episode's start"},
    {FIELD(status), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN, "",
     .help = "softq-learner: show the state of this run or address, and exit"},
    {FIELD(make_keys), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN, "",
     .help = "softq-learner: make a pair of keys in this folder, print the "
             "public one, and exit (deploy/keys.sh new)"},
    {FIELD(check_keys), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN, "",
     .help = "softq-learner: look at this folder of keys, or file of allowed "
             "ones, and exit (deploy/keys.sh check)"},
    {FIELD(audit), CONFIG_TEXT, CONFIG_OF_EVALUATION, OWN | REPLAY, "",
     .help = "run whose rings to hold against the record in --ledger, and exit: "
             "0, or 1 when something acknowledged is missing or altered"},
    {FIELD(print_config), CONFIG_BOOL, CONFIG_OF_EVALUATION, OWN | PEERS,
     "false", .help = "print the effective configuration and exit"},
};

const size_t config_table_len = sizeof(config_table) / sizeof(*config_table);

static char fold(char c) {
    return (char)(c == '-' ? '_' : c);
}

const struct config_option *config_table_find(const char *name, size_t len) {
    for (size_t i = 0; i < config_table_len; i++) {
        const char *known = config_table[i].name;
        size_t at = 0;
        while (at < len && known[at] != '\0' && known[at] == fold(name[at])) {
            at++;
        }
        if (at == len && known[at] == '\0') return &config_table[i];
    }
    return NULL;
}

enum { LONGEST_NAME = 40 };

static size_t smallest(size_t a, size_t b, size_t c) {
    const size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Edits (insert, delete, replace) that turn a into b; b <= LONGEST_NAME. */
static size_t edits(const char *a, size_t a_len, const char *b, size_t b_len) {
    size_t row[LONGEST_NAME + 1];
    for (size_t j = 0; j <= b_len; j++) row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            const size_t above = row[j];
            const size_t change = fold(a[i - 1]) == b[j - 1] ? 0 : 1;
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + change);
            diagonal = above;
        }
    }
    return row[b_len];
}

const char *config_table_nearest(const char *name, size_t len) {
    const char *nearest = NULL;
    if (len > LONGEST_NAME) return NULL;
    size_t fewest = len / 2 + 1; // more than half wrong is no likeness
    for (size_t i = 0; i < config_table_len; i++) {
        const char *known = config_table[i].name;
        const size_t n = edits(name, len, known, strlen(known));
        if (n < fewest) {
            fewest = n;
            nearest = known;
        }
    }
    return nearest;
}

/* "a|b|c" */
static void join_choices(const char *const *choices, char *text, size_t n) {
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; choices[i] != NULL && at < n; i++) {
        at += (size_t)snprintf(text + at, n - at, "%s%s", i > 0 ? "|" : "",
                               choices[i]);
    }
}

/* Short where that is the same number: 1e+12, but 1099511627775. */
static void format_limit(double limit, char *text, size_t n) {
    snprintf(text, n, "%g", limit);
    if (strtod(text, NULL) != limit) snprintf(text, n, "%.15g", limit);
}

/* A file's line holds 196 characters, "name = value" is one. */
static size_t longest_text(const struct config_option *option) {
    const size_t fits = option->size - 1, line = 193 - strlen(option->name);
    const bool in_file = !(option->flags & CONFIG_PER_PROCESS);
    return in_file && line < fits ? line : fits;
}

void config_table_range(const struct config_option *option, char *text,
                        size_t n) {
    char low[32], high[32];
    format_limit(option->low, low, sizeof(low));
    format_limit(option->high, high, sizeof(high));
    const char *open = option->flags & CONFIG_OPEN_LOW ? "(" : "[";
    const char *close = option->flags & CONFIG_OPEN_HIGH ? ")" : "]";
    if (option->choices != NULL) {
        join_choices(option->choices, text, n);
    } else if (option->type == CONFIG_BOOL) {
        snprintf(text, n, "true|false");
    } else if (option->flags & CONFIG_NAME) {
        snprintf(text, n, "at most %zu of A-Z a-z 0-9 . _ -", option->size - 1);
    } else if (option->type == CONFIG_TEXT) {
        snprintf(text, n, "at most %zu characters", longest_text(option));
    } else if (isinf(option->high)) {
        snprintf(text, n, "%s or more", low);
    } else {
        snprintf(text, n, "%s%s, %s%s", open, low, high, close);
    }
}
