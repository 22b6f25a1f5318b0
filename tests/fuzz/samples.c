#include "tests/fuzz/samples.h"

#include <string.h>

enum { ROWS = 3, S = 2, A = 1 };

static float s[ROWS * S] = {1, 2, 3, 4, 5, 6}, a[ROWS * A] = {0.5f, -0.5f, 1},
                      r[ROWS] = {-1, 0, 1e30f},
                      next[ROWS * S] = {2, 3, 4, 5, 6, 7};
static uint8_t flags[ROWS] = {0, BATCH_TERMINAL, BATCH_TRUNCATED};
static uint64_t version[ROWS] = {1, (uint64_t)2 << 40 | 7, UINT64_MAX};

static float phi[5] = {1, -2, 3, -4, 0.125f};
static float noise[4] = {0.5f, -1, 2, 0};
static float mean[3] = {1, 2, -3}, scale[3] = {1, 0.5f, 4};
static struct wire_shard shards[2] = {
    {0, "ipc:///run/user/1000/softq/a/shard-0", 0x1234, WIRE_SHARD_LISTED, ""},
    {7, "tcp://10.0.0.1:5567", UINT64_MAX, WIRE_SHARD_DEAD,
     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
};
static const struct wire_episode list[3] = {
    {-12.5, 30, 1, 2, {1.5, 2.5}},
    {0, 1, UINT64_MAX, 0, {0}},
    {1e300, 1000, 5, WIRE_MAX_STATS, {1, 2, 3, 4, 5, 6, 7, 8}},
};

static struct batch rows(void) {
    return (struct batch){.capacity = ROWS,
                          .n = ROWS,
                          .S = S,
                          .A = A,
                          .s = s,
                          .a = a,
                          .r = r,
                          .next = next,
                          .flags = flags,
                          .version = version};
}

static struct wire_topology topology(void) {
    return (struct wire_topology){
        .version = 9, .spec = {S, A}, .n = 2, .shards = shards};
}

static const uint32_t latencies[] = {4u << 24 | 1, 90u << 24 | 0xFFFFFF,
                                     239u << 24 | 7};

static void fill_bodies(struct wire_message *m) {
    m[WIRE_HELLO - 1].hello =
        (struct wire_hello){WIRE_SHARD, "0.1.0", "tcp://*:5560", 3};
    m[WIRE_WELCOME - 1].welcome =
        (struct wire_welcome){4, 1, "gamma = 0.99\n", 13, topology()};
    m[WIRE_REFUSED - 1].refused = (struct wire_refused){
        WIRE_INSERT, 41, WIRE_CODE_STALE, "seq 41 is below the mask"};
    m[WIRE_READY - 1].ready =
        (struct wire_ready){{8, 2}, UINT64_C(0x8000000000000001)};
    m[WIRE_HEARTBEAT - 1].heartbeat = (struct wire_heartbeat){
        11,
        {1, 2, 3, 4, 5, 6, 17, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18},
        true,
        1000,
        {latencies, 3},
        {&latencies[2], 1},
        {(uint64_t)3 << 40 | 6, 20, 2, -193.5, 39.25, 10.5, true, 19}};
    m[WIRE_GET_PARAMETERS - 1].get_parameters =
        (struct wire_get_parameters){(uint64_t)3 << 40 | 5, 6};
    m[WIRE_PARAMETERS - 1].parameters = (struct wire_parameters){
        (uint64_t)3 << 40 | 6, 7, 0.5f, phi, 5, noise, 4, mean, scale, 3};
    m[WIRE_NOT_MODIFIED - 1].not_modified = 77;
    m[WIRE_INSERT - 1].insert = (struct wire_insert){0xABCDEF, 21, 2, rows()};
    m[WIRE_INSERTED - 1].answer = (struct wire_answer){0xABCDEF, 21};
    m[WIRE_BUSY - 1].answer = (struct wire_answer){0xABCDEE, 22};
    m[WIRE_SAMPLE - 1].sample = (struct wire_sample){5, 6, 7, 64, UINT64_MAX};
    m[WIRE_MINIBATCH - 1].minibatch = (struct wire_minibatch){
        .id = 5, .part = 7, .rows = rows(), .size = 100, .stored = 200};
    m[WIRE_GRANT - 1].grant = (struct wire_grant){12345};
    m[WIRE_SHARD_READY - 1].shard_ready =
        (struct wire_shard_ready){0xFEED, {8, 2}, 128, 1000, 900, 950};
    m[WIRE_TOPOLOGY - 1].topology = topology();
    m[WIRE_EPISODES - 1].episodes =
        (struct wire_episodes){0xABCDEF, 50, 3, list};
    m[WIRE_RECEIVED - 1].received = (struct wire_received){0xABCDEF, 53};
    m[WIRE_STOP - 1].text = (struct wire_text){"max_updates reached", 19};
    m[WIRE_STATUS_REPLY - 1].text = (struct wire_text){"stored 5\n", 9};
}

void samples_fill(struct wire_message messages[SAMPLES]) {
    memset(messages, 0, SAMPLES * sizeof(*messages));
    for (int i = 0; i < SAMPLES; i++) {
        messages[i].protocol = WIRE_PROTOCOL;
        messages[i].run = 0x0123456789ABCDEF;
        messages[i].incarnation = 0xFEDCBA9876543210;
        strcpy(messages[i].name, "actor-1.a_B");
        messages[i].type = (enum wire_type)(i + 1);
    }
    fill_bodies(messages);
}
