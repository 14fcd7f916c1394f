#include "pool.h"

#include <math.h>
#include <string.h>

/* ---- pooling ---- */

static const float *row(const float *hidden, size_t width, size_t token) {
    return hidden + token * width;
}

/* out[k] = sum of weight(token) hidden[token][k] / divisor, over the tokens from `skip` on. */
static void weighted_sum(const float *hidden, size_t count, size_t width, size_t skip, bool by_place,
                         double divisor, float *out) {
    for (size_t k = 0; k < width; k++) {
        double sum = 0;
        for (size_t token = skip; token < count; token++)
            sum += (by_place ? (double)token + 1 : 1) * row(hidden, width, token)[k];
        out[k] = (float)(sum / divisor);
    }
}

/* Of no tokens at all the reference makes -1e9, what it fills in for those that it leaves out. */
static void largest(const float *hidden, size_t count, size_t width, size_t skip, float *out) {
    for (size_t k = 0; k < width; k++) {
        float most = -1e9f;
        for (size_t token = skip; token < count; token++) most = fmaxf(most, row(hidden, width, token)[k]);
        out[k] = most;
    }
}

static void last(const float *hidden, size_t count, size_t width, size_t skip, float *out) {
    if (skip < count)
        memcpy(out, row(hidden, width, count - 1), width * sizeof *out);
    else
        memset(out, 0, width * sizeof *out);
}

void rp_pool_hidden(const float *hidden, size_t count, size_t width, unsigned modes, size_t skip,
                    float *out) {
    size_t from = skip < count ? skip : count;
    double tokens = fmax((double)(count - from), 1e-9);
    /* 1 + 2 + ... + count, less 1 + 2 + ... + from */
    double places =
        fmax(0.5 * ((double)count * ((double)count + 1) - (double)from * ((double)from + 1)), 1e-9);
    for (unsigned bit = 1; bit < 1u << RP_POOL_MODES; bit <<= 1) {
        if (!(modes & bit)) continue;
        if (bit == RP_POOL_CLS) memcpy(out, hidden, width * sizeof *out);
        if (bit == RP_POOL_MAX) largest(hidden, count, width, from, out);
        if (bit == RP_POOL_MEAN) weighted_sum(hidden, count, width, from, false, tokens, out);
        if (bit == RP_POOL_MEAN_SQRT) weighted_sum(hidden, count, width, from, false, sqrt(tokens), out);
        if (bit == RP_POOL_WEIGHTED_MEAN) weighted_sum(hidden, count, width, from, true, places, out);
        if (bit == RP_POOL_LAST) last(hidden, count, width, from, out);
        out += width;
    }
}

/* ---- modules ---- */

void rp_normalize_vector(float *vector, size_t count) {
    double squares = 0;
    for (size_t i = 0; i < count; i++) squares += (double)vector[i] * vector[i];
    double length = fmax(sqrt(squares), 1e-12);
    for (size_t i = 0; i < count; i++) vector[i] = (float)(vector[i] / length);
}

static void dense(const rp_module *module, const float *in, float *out) {
    for (size_t o = 0; o < module->out; o++) {
        const float *weight = module->weight + o * module->in;
        double sum = module->bias ? module->bias[o] : 0;
        for (size_t i = 0; i < module->in; i++) sum += (double)weight[i] * in[i];
        out[o] = module->activation((float)sum);
    }
}

static void layer_norm(const rp_module *module, float *vector) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < module->in; i++) mean += vector[i];
    mean /= module->in;
    for (size_t i = 0; i < module->in; i++) variance += (vector[i] - mean) * (vector[i] - mean);
    double scale = 1 / sqrt(variance / module->in + 1e-5);
    for (size_t i = 0; i < module->in; i++)
        vector[i] = (float)((vector[i] - mean) * scale * module->weight[i] + module->bias[i]);
}

size_t rp_modules_widest(const rp_module *modules, size_t count, size_t columns) {
    for (size_t m = 0; m < count; m++) columns = modules[m].out > columns ? modules[m].out : columns;
    return columns;
}

void rp_modules_apply(const rp_module *modules, size_t count, float *vector, float *scratch) {
    for (size_t m = 0; m < count; m++) {
        const rp_module *module = &modules[m];
        switch (module->kind) {
        case RP_MODULE_NORMALIZE:
            rp_normalize_vector(vector, module->in);
            break;
        case RP_MODULE_LAYER_NORM:
            layer_norm(module, vector);
            break;
        case RP_MODULE_DENSE:
            memcpy(scratch, vector, module->in * sizeof *vector);
            dense(module, scratch, vector);
            break;
        }
    }
}
