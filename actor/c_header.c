#include "actor/c_header.h"

#include <inttypes.h>
#include <string.h>

static void put_float(FILE *out, float x) {
    char text[32];
    snprintf(text, sizeof(text), "%.9g", (double)x);
    fprintf(out, "%s%sf", text, strpbrk(text, ".e") ? "" : ".0");
}

/* Few a line. x (n) */
static void put_numbers(FILE *out, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (i > 0) fputs(i % 6 > 0 ? ", " : ",\n     ", out);
        put_float(out, x[i]);
    }
}

/* dims: "[SAMPLER_S][SAMPLER_H]"; cols 0: a vector. x (rows, cols) */
static void put_array(FILE *out, const char *name, const char *dims,
                      const float *x, size_t rows, size_t cols) {
    fprintf(out, "static const float sampler_%s%s = {\n", name, dims);
    if (cols == 0) {
        fputs("     ", out);
        put_numbers(out, x, rows);
    }
    for (size_t i = 0; cols > 0 && i < rows; i++) {
        fputs(i > 0 ? ",\n    {" : "    {", out);
        put_numbers(out, x + i * cols, cols);
        fputc('}', out);
    }
    fputs("\n};\n", out);
}

static void put_head(FILE *out, const struct export *export) {
    const struct snapshot *snapshot = export->snapshot;
    const struct mlp_shape *shape = &snapshot->policy.shape;
    char noise[128];
    export_noise(export, noise, sizeof(noise));
    fprintf(out,
            "/*\n * A policy trained by softq, written by softq-actor "
            "--export.\n *\n"
            " *   run         %s\n *   checkpoint  %s\n *   task        %s\n"
            " *   updates     %" PRIu64 "\n *\n",
            export->run, export->checkpoint, export->task, snapshot->updates);
    fprintf(out,
            " * sampler_act() takes an observation as the task gives it and "
            "noise, and\n * writes an action in the motors' ranges. It keeps "
            "%zu bytes on the stack,\n * nothing else. The noise is\n *\n"
            " *   %s\n%s */\n",
            2 * shape->H * sizeof(float), noise,
            snapshot->policy.n_noise > 0 ? " *   (sampler_noise)\n" : "");
    fprintf(out,
            "#ifndef SOFTQ_SAMPLER_H\n#define SOFTQ_SAMPLER_H\n\n"
            "#include <math.h>\n\n"
            "enum {\n    SAMPLER_S = %zu, /* observation */\n"
            "    SAMPLER_A = %zu, /* action, and noise */\n"
            "    SAMPLER_H = %zu, /* hidden units of each of two layers */\n"
            "    SAMPLER_NOISE = %zu /* rows of sampler_noise; 0: N(0, 1) */\n"
            "};\n\n",
            shape->S, shape->X, shape->H, snapshot->policy.n_noise);
}

static void put_weights(FILE *out, const struct export *export) {
    static const char *const dims[MLP_TENSORS] = {
        "[SAMPLER_S][SAMPLER_H]",
        "[SAMPLER_A][SAMPLER_H]",
        "[SAMPLER_H]",
        "[SAMPLER_H][SAMPLER_H]",
        "[SAMPLER_H]",
        "[SAMPLER_H][SAMPLER_A]",
        "[SAMPLER_A]",
    };
    const struct policy *policy = &export->snapshot->policy;
    const size_t S = policy->shape.S, A = policy->shape.X;
    struct mlp_slice slices[MLP_TENSORS];
    mlp_slices(&policy->shape, slices);
    for (size_t i = 0; i < MLP_TENSORS; i++)
        put_array(out, slices[i].name, dims[i], policy->phi + slices[i].offset,
                  slices[i].rows, slices[i].cols);
    put_array(out, "centre", "[SAMPLER_A]", export->centre, A, 0);
    put_array(out, "half", "[SAMPLER_A]", export->half, A, 0);
    if (policy->mean) {
        put_array(out, "mean", "[SAMPLER_S]", policy->mean, S, 0);
        put_array(out, "scale", "[SAMPLER_S]", policy->scale, S, 0);
    }
    if (policy->n_noise > 0)
        put_array(out, "noise", "[SAMPLER_NOISE][SAMPLER_A]", policy->noise,
                  policy->n_noise, A);
}

static void put_function(FILE *out, const struct export *export) {
    fputs("\nstatic inline void sampler_act(const float observation[SAMPLER_S]"
          ",\n                               const float noise[SAMPLER_A],\n"
          "                               float action[SAMPLER_A]) {\n"
          "    float h1[SAMPLER_H], h2[SAMPLER_H];\n"
          "    int i, j;\n"
          "    for (j = 0; j < SAMPLER_H; j++) h1[j] = sampler_b1[j];\n"
          "    for (i = 0; i < SAMPLER_S; i++) {\n",
          out);
    if (export->snapshot->policy.mean)
        fprintf(out,
                "        const float x = fminf(fmaxf((observation[i] - "
                "sampler_mean[i]) *\n"
                "                                        sampler_scale[i], "
                "-%d.0f), %d.0f);\n",
                POLICY_MOST_DEVIATIONS, POLICY_MOST_DEVIATIONS);
    else
        fputs("        const float x = observation[i];\n", out);
    fputs("        for (j = 0; j < SAMPLER_H; j++) h1[j] += x * "
          "sampler_ws[i][j];\n"
          "    }\n"
          "    for (i = 0; i < SAMPLER_A; i++)\n"
          "        for (j = 0; j < SAMPLER_H; j++)\n"
          "            h1[j] += noise[i] * sampler_wx[i][j];\n"
          "    for (j = 0; j < SAMPLER_H; j++) h2[j] = sampler_b2[j];\n"
          "    for (i = 0; i < SAMPLER_H; i++) {\n"
          "        if (!(h1[i] > 0.0f)) continue;\n"
          "        for (j = 0; j < SAMPLER_H; j++) h2[j] += h1[i] * "
          "sampler_w2[i][j];\n"
          "    }\n"
          "    for (j = 0; j < SAMPLER_A; j++) action[j] = sampler_b3[j];\n"
          "    for (i = 0; i < SAMPLER_H; i++) {\n"
          "        if (!(h2[i] > 0.0f)) continue;\n"
          "        for (j = 0; j < SAMPLER_A; j++)\n"
          "            action[j] += h2[i] * sampler_w3[i][j];\n"
          "    }\n"
          "    for (j = 0; j < SAMPLER_A; j++)\n"
          "        action[j] = sampler_centre[j] + sampler_half[j] * "
          "tanhf(action[j]);\n"
          "}\n\n#endif\n",
          out);
}

void c_header_write(const struct export *export, FILE *out) {
    put_head(out, export);
    put_weights(out, export);
    put_function(out, export);
}
