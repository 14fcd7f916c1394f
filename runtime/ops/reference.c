#include "ops/reference.h"

#include <math.h>

#include "base/alloc.h"

static const float *row(rp_const_rows rows, size_t i) {
    return rows.data + i * rows.stride;
}

static float *out_row(rp_rows rows, size_t i) {
    return rows.data + i * rows.stride;
}

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

static double activate(double x, rp_op_activation activation) {
    switch (activation) {
    case RP_OP_GELU:
        return 0.5 * x * (1 + erf(x * 0.70710678118654752440));
    case RP_OP_GELU_TANH:
        return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case RP_OP_RELU:
        return x > 0 ? x : 0;
    case RP_OP_TANH:
        return tanh(x);
    default:
        return x;
    }
}

float rp_reference_activate(float x, rp_op_activation activation) {
    return (float)activate(x, activation);
}

void rp_reference_matmul_run(const rp_reference_matmul *op) {
    for (size_t i = 0; i < op->rows; i++) {
        for (size_t j = 0; j < op->n; j++) {
            double y = dot(row(op->x, i), row(op->w, j), op->k);
            if (op->bias) y += op->bias[j];
            y = activate(y, op->activation);
            if (op->residual.data) y += row(op->residual, i)[j];
            out_row(op->out, i)[j] = (float)y;
        }
    }
}

void rp_reference_layernorm_run(const rp_reference_layernorm *op) {
    for (size_t i = 0; i < op->rows; i++) {
        const float *x = row(op->x, i);
        float *out = out_row(op->out, i);
        double mean = 0, variance = 0;
        for (size_t c = 0; c < op->width; c++) mean += x[c];
        mean /= (double)op->width;
        for (size_t c = 0; c < op->width; c++) variance += (x[c] - mean) * (x[c] - mean);
        variance /= (double)op->width;
        double scale = 1 / sqrt(variance + op->eps);
        for (size_t c = 0; c < op->width; c++)
            out[c] = (float)((x[c] - mean) * scale * op->gamma[c] + op->beta[c]);
    }
}

void rp_reference_embed_run(const rp_reference_embed *op) {
    for (size_t i = 0; i < op->count; i++) {
        const uint32_t *token = &op->tokens[4 * i];
        const float *word = row(op->word, token[0]), *type = row(op->type, token[1]),
                    *position = row(op->position, token[2]);
        for (size_t c = 0; c < op->width; c++)
            out_row(op->out, i)[c] = (float)((double)word[c] + position[c] + type[c]);
    }
}

/* One head of one token at row `query`, over the keys [first, last). */
static void attend(const rp_reference_attention *op, size_t head, size_t query, size_t first, size_t last,
                   double *scores) {
    size_t column = head * op->head_stride, k = op->width + column, v = 2 * op->width + column;
    double largest = -INFINITY, total = 0;
    for (size_t key = first; key < last; key++) {
        double score = dot(row(op->qkv, query) + column, row(op->qkv, key) + k, op->head_dim);
        scores[key - first] = score / sqrt((double)op->head_dim);
        largest = fmax(largest, scores[key - first]);
    }
    for (size_t i = 0; i < last - first; i++) {
        scores[i] = exp(scores[i] - largest);
        total += scores[i];
    }
    for (size_t d = 0; d < op->head_dim; d++) {
        double sum = 0;
        for (size_t key = first; key < last; key++) sum += scores[key - first] * row(op->qkv, key)[v + d];
        out_row(op->out, query)[column + d] = (float)(sum / total);
    }
}

rp_status rp_reference_attention_run(const rp_reference_attention *op, rp_error *err) {
    size_t longest = 0;
    for (size_t s = 0; s < op->sequences; s++)
        if (op->starts[s + 1] - op->starts[s] > longest) longest = op->starts[s + 1] - op->starts[s];
    double *scores = rp_new_array(double, longest);
    if (!scores) return rp_fail_memory(err, "attention scores", longest * sizeof *scores);
    for (size_t s = 0; s < op->sequences; s++)
        for (size_t query = op->starts[s]; query < op->starts[s + 1]; query++)
            for (size_t head = 0; head < op->heads; head++)
                attend(op, head, query, op->starts[s], op->starts[s + 1], scores);
    free(scores);
    return RP_OK;
}

void rp_reference_gather(size_t rows, size_t width, rp_const_rows x, const uint32_t *list, rp_rows out) {
    for (size_t i = 0; i < rows; i++)
        memcpy(out_row(out, i), row(x, list ? list[i] : i), width * sizeof(float));
}

void rp_reference_pool(size_t sequences, size_t width, bool largest, rp_const_rows x, const uint32_t *starts,
                       rp_rows out) {
    for (size_t s = 0; s < sequences; s++) {
        size_t first = starts[s], last = starts[s + 1];
        for (size_t c = 0; c < width; c++) {
            double sum = 0, most = -INFINITY;
            for (size_t i = first; i < last; i++) {
                sum += row(x, i)[c];
                most = fmax(most, row(x, i)[c]);
            }
            out_row(out, s)[c] = (float)(largest ? most : sum / (double)(last - first));
        }
    }
}
