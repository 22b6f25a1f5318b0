#include "actor/onnx.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/onnx.pb-c.h"

/* IR 7 came with opset 13: what reads the one reads the other. */
enum { IR_VERSION = 7, OPSET = 13, FLOAT = 1 };

/* At most: SNAPSHOT_SOURCES Q functions of two networks each. */
enum {
    MOST_NODES = 256,
    MOST_CONSTANTS = 160,
    MOST_VALUES = MOST_NODES + MOST_CONSTANTS,
    MOST_NOTES = 8,
    NAME_LEN = 24,
};

/* protobuf-c wants lists of pointers, and strings that are not const. */
struct graph {
    size_t n_nodes, n_constants, n_values;
    Onnx__NodeProto nodes[MOST_NODES];
    Onnx__NodeProto *node_list[MOST_NODES];
    char *inputs[MOST_NODES][3], *outputs[MOST_NODES];
    Onnx__TensorProto constants[MOST_CONSTANTS];
    Onnx__TensorProto *constant_list[MOST_CONSTANTS];
    int64_t dims[MOST_CONSTANTS][2];
    char names[MOST_VALUES][NAME_LEN];
};

/* ---- values ---- */

/* A tensor that never changes; rank 0: one number. data borrowed. */
static char *constant(struct graph *g, const char *name, size_t rank,
                      size_t rows, size_t cols, const float *data) {
    assert(g->n_constants < MOST_CONSTANTS && g->n_values < MOST_VALUES);
    const size_t i = g->n_constants++;
    char *own = g->names[g->n_values++];
    snprintf(own, NAME_LEN, "%s", name);
    g->dims[i][0] = (int64_t)rows, g->dims[i][1] = (int64_t)cols;
    const size_t n = (rank > 0 ? rows : 1) * (rank > 1 ? cols : 1);
    Onnx__TensorProto *tensor = &g->constants[i];
    onnx__tensor_proto__init(tensor);
    tensor->n_dims = rank;
    tensor->dims = g->dims[i];
    tensor->has_data_type = 1;
    tensor->data_type = FLOAT;
    tensor->name = own;
    tensor->has_raw_data = 1;
    tensor->raw_data.len = n * sizeof(*data);
    tensor->raw_data.data = (uint8_t *)data;
    g->constant_list[i] = tensor;
    return own;
}

/* One operation on one to three values; the name of what comes out. */
static char *apply(struct graph *g, const char *type, char *a, char *b,
                   char *c) {
    assert(g->n_nodes < MOST_NODES && g->n_values < MOST_VALUES);
    const size_t i = g->n_nodes++;
    char *own = g->names[g->n_values++];
    snprintf(own, NAME_LEN, "v%zu", i);
    Onnx__NodeProto *node = &g->nodes[i];
    onnx__node_proto__init(node);
    g->inputs[i][0] = a, g->inputs[i][1] = b, g->inputs[i][2] = c;
    g->outputs[i] = own;
    node->n_input = c ? 3 : b ? 2 : 1;
    node->input = g->inputs[i];
    node->n_output = 1;
    node->output = &g->outputs[i];
    node->op_type = (char *)type;
    g->node_list[i] = node;
    return own;
}

static char *pair(struct graph *g, const char *type, char *a, char *b) {
    return apply(g, type, a, b, NULL);
}

/* ---- networks ---- */

/* policy_normalise(). name: of what sees the observation so. */
static char *normalise(struct graph *g, const char *name, char *s,
                       const float *mean, const float *scale, size_t S) {
    static const float least = -POLICY_MOST_DEVIATIONS;
    static const float most = POLICY_MOST_DEVIATIONS;
    char full[NAME_LEN];
    if (!mean) return s;
    snprintf(full, sizeof(full), "%s.mean", name);
    char *x = pair(g, "Sub", s, constant(g, full, 1, S, 0, mean));
    snprintf(full, sizeof(full), "%s.scale", name);
    x = pair(g, "Mul", x, constant(g, full, 1, S, 0, scale));
    snprintf(full, sizeof(full), "%s.least", name);
    char *low = constant(g, full, 0, 0, 0, &least);
    snprintf(full, sizeof(full), "%s.most", name);
    return apply(g, "Clip", x, low, constant(g, full, 0, 0, 0, &most));
}

/* mlp_forward() of s and x. p (P), borrowed. */
static char *network(struct graph *g, const char *name,
                     const struct mlp_shape *shape, const float *p, char *s,
                     char *x) {
    struct mlp_slice slices[MLP_TENSORS];
    char *w[MLP_TENSORS], full[NAME_LEN];
    mlp_slices(shape, slices);
    for (size_t i = 0; i < MLP_TENSORS; i++) {
        snprintf(full, sizeof(full), "%s.%s", name, slices[i].name);
        w[i] = constant(g, full, slices[i].cols > 0 ? 2 : 1, slices[i].rows,
                        slices[i].cols, p + slices[i].offset);
    }
    char *h =
        pair(g, "Add", pair(g, "MatMul", s, w[0]), pair(g, "MatMul", x, w[1]));
    h = apply(g, "Relu", pair(g, "Add", h, w[2]), NULL, NULL);
    h = pair(g, "Add", pair(g, "MatMul", h, w[3]), w[4]);
    h = pair(g, "MatMul", apply(g, "Relu", h, NULL, NULL), w[5]);
    return pair(g, "Add", h, w[6]);
}

/* ---- the model around a graph ---- */

/* A float of (N, cols). */
struct value {
    Onnx__ValueInfoProto info;
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TensorShapeProto shape;
    Onnx__TensorShapeProto__Dimension dims[2], *dim_list[2];
};

static void describe(struct value *value, const char *name, size_t cols,
                     const char *doc) {
    onnx__value_info_proto__init(&value->info);
    onnx__type_proto__init(&value->type);
    onnx__type_proto__tensor__init(&value->tensor);
    onnx__tensor_shape_proto__init(&value->shape);
    for (size_t i = 0; i < 2; i++) {
        onnx__tensor_shape_proto__dimension__init(&value->dims[i]);
        value->dim_list[i] = &value->dims[i];
    }
    value->dims[0].dim_param = (char *)"N";
    value->dims[1].has_dim_value = 1;
    value->dims[1].dim_value = (int64_t)cols;
    value->shape.n_dim = 2;
    value->shape.dim = value->dim_list;
    value->tensor.has_elem_type = 1;
    value->tensor.elem_type = FLOAT;
    value->tensor.shape = &value->shape;
    value->type.tensor_type = &value->tensor;
    value->info.name = (char *)name;
    value->info.type = &value->type;
    value->info.doc_string = (char *)doc;
}

/* "1,2;3,4" of x (rows, cols), malloc'ed; NULL when out of memory. */
static char *list(const float *x, size_t rows, size_t cols) {
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out) return NULL;
    for (size_t i = 0; i < rows * cols; i++)
        fprintf(out, "%s%.9g",
                i == 0         ? ""
                : i % cols > 0 ? ","
                               : ";",
                (double)x[i]);
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

struct notes {
    size_t n;
    Onnx__StringStringEntryProto entries[MOST_NOTES], *entry_list[MOST_NOTES];
};

static void note(struct notes *notes, const char *key, char *value) {
    assert(notes->n < MOST_NOTES);
    Onnx__StringStringEntryProto *entry = &notes->entries[notes->n];
    onnx__string_string_entry_proto__init(entry);
    entry->key = (char *)key;
    entry->value = value;
    notes->entry_list[notes->n++] = entry;
}

struct model {
    struct graph graph;
    struct value in[2], out;
    struct notes notes;
    char updates[24], noise[128], *noise_set, *centre, *half; /* owned */
};

/* Whence it comes, and what a caller must know. 0 or -ENOMEM. */
static int add_notes(struct model *m, const struct export *export) {
    const struct policy *policy = &export->snapshot->policy;
    const size_t A = policy->shape.X;
    m->centre = list(export->centre, 1, A);
    m->half = list(export->half, 1, A);
    if (policy->n_noise > 0)
        m->noise_set = list(policy->noise, policy->n_noise, A);
    if (!m->centre || !m->half || (policy->n_noise > 0 && !m->noise_set))
        return -ENOMEM;
    export_noise(export, m->noise, sizeof(m->noise));
    snprintf(m->updates, sizeof(m->updates), "%" PRIu64,
             export->snapshot->updates);
    note(&m->notes, "run", (char *)export->run);
    note(&m->notes, "checkpoint", (char *)export->checkpoint);
    note(&m->notes, "task", (char *)export->task);
    note(&m->notes, "updates", m->updates);
    note(&m->notes, "action_centre", m->centre);
    note(&m->notes, "action_half", m->half);
    note(&m->notes, "noise", m->noise);
    if (m->noise_set) note(&m->notes, "noise_set", m->noise_set);
    return 0;
}

/* The last operation's value is the output. */
static int pack(struct model *m, const char *name, uint8_t **data,
                size_t *len) {
    struct graph *g = &m->graph;
    Onnx__ValueInfoProto *in[2] = {&m->in[0].info, &m->in[1].info};
    Onnx__ValueInfoProto *out = &m->out.info;
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    Onnx__OperatorSetIdProto *opsets[1] = {&opset};
    g->outputs[g->n_nodes - 1] = out->name;
    graph.n_node = g->n_nodes, graph.node = g->node_list;
    graph.n_initializer = g->n_constants, graph.initializer = g->constant_list;
    graph.n_input = 2, graph.input = in;
    graph.n_output = 1, graph.output = &out;
    graph.name = (char *)name;
    opset.domain = (char *)"";
    opset.has_version = 1, opset.version = OPSET;
    model.has_ir_version = 1, model.ir_version = IR_VERSION;
    model.producer_name = (char *)"softq";
    model.producer_version = (char *)config_version();
    model.graph = &graph;
    model.n_opset_import = 1, model.opset_import = opsets;
    model.n_metadata_props = m->notes.n;
    model.metadata_props = m->notes.entry_list;
    *len = onnx__model_proto__get_packed_size(&model);
    *data = malloc(*len);
    if (!*data) return -ENOMEM;
    onnx__model_proto__pack(&model, *data);
    return 0;
}

static void finish(struct model *m) {
    if (!m) return;
    free(m->noise_set), free(m->centre), free(m->half);
    free(m);
}

int onnx_sampler(const struct export *export, uint8_t **data, size_t *len) {
    const struct policy *policy = &export->snapshot->policy;
    const struct mlp_shape *shape = &policy->shape;
    struct model *m = calloc(1, sizeof(*m));
    int err = m ? add_notes(m, export) : -ENOMEM;
    if (!err) {
        struct graph *g = &m->graph;
        describe(&m->in[0], "observation", shape->S, "as the task gives it");
        describe(&m->in[1], "noise", shape->X, m->noise);
        describe(&m->out, "action", shape->X, "in the motors' ranges");
        char *s = normalise(g, "f", m->in[0].info.name, policy->mean,
                            policy->scale, shape->S);
        char *u = network(g, "f", shape, policy->phi, s, m->in[1].info.name);
        char *half = constant(g, "half", 1, shape->X, 0, export->half);
        char *centre = constant(g, "centre", 1, shape->X, 0, export->centre);
        char *a = pair(g, "Mul", apply(g, "Tanh", u, NULL, NULL), half);
        pair(g, "Add", a, centre);
        err = pack(m, "sampler", data, len);
    }
    finish(m);
    return err;
}

/* One source's Q: of twins the smaller. */
static char *source(struct graph *g, size_t i, const struct stored_q *q,
                    char *s, char *a) {
    char name[16];
    snprintf(name, sizeof(name), "q%zu", i);
    char *x =
        normalise(g, name, s, q->moments.shift, q->moments.scale, q->shape.S);
    char *value = network(g, name, &q->shape, q->theta[0], x, a);
    if (q->n == 1) return value;
    snprintf(name, sizeof(name), "q%zu.twin", i);
    return pair(g, "Min", value,
                network(g, name, &q->shape, q->theta[1], x, a));
}

int onnx_q(const struct export *export, uint8_t **data, size_t *len) {
    const struct snapshot *snapshot = export->snapshot;
    const struct mlp_shape *shape = &snapshot->policy.shape;
    const float share = 1.0f / (float)snapshot->n_sources;
    struct model *m = calloc(1, sizeof(*m));
    int err = m ? add_notes(m, export) : -ENOMEM;
    if (!err) {
        struct graph *g = &m->graph;
        describe(&m->in[0], "observation", shape->S, "as the task gives it");
        describe(&m->in[1], "action", shape->X,
                 "in [-1, 1]: (action - action_centre) / action_half");
        describe(&m->out, "q", 1, "");
        char *s = m->in[0].info.name, *a = m->in[1].info.name;
        char *sum = source(g, 0, &snapshot->sources[0], s, a);
        for (size_t i = 1; i < snapshot->n_sources; i++)
            sum =
                pair(g, "Add", sum, source(g, i, &snapshot->sources[i], s, a));
        if (snapshot->n_sources > 1)
            pair(g, "Mul", sum, constant(g, "share", 0, 0, 0, &share));
        err = pack(m, "q", data, len);
    }
    finish(m);
    return err;
}
