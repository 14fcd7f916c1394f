/* The plain C of the training step against finite differences of the forward pass in double: the gradient of
 * a sum of all results with random weights. Each check is shown to fail where a gradient is a little wrong.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "ops/proof.h"
#include "ops/reference_grad.h"

enum { MOST = 4096 };

/* A loss of `count` numbers, and the gradient by them that plain C says. */
typedef struct subject {
    double (*loss)(const double *in, const void *user);
    const void *user;
    const float *in, *got;
    size_t count;
} subject;

static const double STEP = 1e-5, BOUND = 2e-6;

/* The largest difference, relative above 1. */
static double error_of(const subject *s, const float *got) {
    static double in[MOST];
    double most = 0;
    assert_true(s->count <= MOST);
    for (size_t i = 0; i < s->count; i++) in[i] = s->in[i];
    for (size_t i = 0; i < s->count; i++) {
        double x = in[i];
        in[i] = x + STEP;
        double above = s->loss(in, s->user);
        in[i] = x - STEP;
        double slope = (above - s->loss(in, s->user)) / (2 * STEP);
        in[i] = x;
        most = fmax(most, fabs(slope - got[i]) / fmax(1, fabs(slope)));
    }
    return most;
}

static void check(const subject *s, const char *what) {
    static float wrong[MOST];
    size_t largest = 0;
    double error = error_of(s, s->got);
    if (!(error <= BOUND)) fail_msg("%s: error %g", what, error);
    for (size_t i = 0; i < s->count; i++) {
        wrong[i] = s->got[i];
        if (fabsf(wrong[i]) > fabsf(wrong[largest])) largest = i;
    }
    assert_true(fabsf(wrong[largest]) > 0.01f);
    wrong[largest] *= 1.001f;
    if (error_of(s, wrong) <= BOUND) fail_msg("%s: an error of a thousandth passes", what);
    for (size_t i = 0; i < s->count; i++) wrong[i] = i == largest ? 0 : s->got[i];
    if (error_of(s, wrong) <= BOUND) fail_msg("%s: a missing element passes", what);
}

static void fill(float *out, size_t count, uint32_t seed) {
    rp_proof_fill(out, count, seed, 1);
}

/* ---- products and sums ---- */

enum { ROWS = 5, N = 7, K = 11 };
static float x[ROWS * K], dy[ROWS * N], w[N * K], bias[N];

static double product_loss(const double *in, const void *user) {
    double sum = 0;
    (void)user;
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < N; j++) {
            double y = 0;
            for (size_t c = 0; c < K; c++) y += in[j * K + c] * x[i * K + c];
            sum += y * dy[i * N + j];
        }
    return sum;
}

static double bias_loss(const double *in, const void *user) {
    double sum = 0;
    (void)user;
    for (size_t i = 0; i < ROWS * N; i++) sum += (in[i % N] + x[i]) * dy[i];
    return sum;
}

static void test_product(void **state) {
    float got[N * K] = {0}, got_bias[N] = {0};
    (void)state;
    fill(x, ROWS * K, 1);
    fill(dy, ROWS * N, 1000);
    fill(w, N * K, 2000);
    fill(bias, N, 3000);
    rp_reference_gradient(ROWS, N, K, (rp_const_rows){dy, N}, (rp_const_rows){x, K}, (rp_rows){got, K});
    check(&(subject){product_loss, NULL, w, got, N * K}, "product");
    rp_reference_column_sum(ROWS, N, (rp_const_rows){dy, N}, got_bias);
    check(&(subject){bias_loss, NULL, bias, got_bias, N}, "bias");
}

/* ---- LayerNorm ---- */

enum { WIDTH = 9 };
static const float EPS = 1e-3f;
static float norm_x[ROWS * WIDTH], norm_dy[ROWS * WIDTH], norm[2 * WIDTH];

static double norm_value(const double *in, const double *gamma, const double *beta) {
    double sum = 0;
    for (size_t i = 0; i < ROWS; i++) {
        double mean = 0, variance = 0;
        const double *row = in + i * WIDTH;
        for (size_t c = 0; c < WIDTH; c++) mean += row[c] / WIDTH;
        for (size_t c = 0; c < WIDTH; c++) variance += (row[c] - mean) * (row[c] - mean) / WIDTH;
        for (size_t c = 0; c < WIDTH; c++)
            sum += ((row[c] - mean) / sqrt(variance + EPS) * gamma[c] + beta[c]) * norm_dy[i * WIDTH + c];
    }
    return sum;
}

static double norm_loss_x(const double *in, const void *user) {
    double both[2 * WIDTH];
    (void)user;
    for (size_t i = 0; i < 2 * WIDTH; i++) both[i] = norm[i];
    return norm_value(in, both, both + WIDTH);
}

static double norm_loss_parameters(const double *in, const void *user) {
    double rows[ROWS * WIDTH];
    (void)user;
    for (size_t i = 0; i < ROWS * WIDTH; i++) rows[i] = norm_x[i];
    return norm_value(rows, in, in + WIDTH);
}

static void test_layernorm(void **state) {
    float dx[ROWS * WIDTH], parameters[2 * WIDTH] = {0};
    (void)state;
    fill(norm_x, ROWS * WIDTH, 1);
    fill(norm_dy, ROWS * WIDTH, 1000);
    fill(norm, 2 * WIDTH, 2000);
    rp_reference_layernorm_grad op = {.rows = ROWS,
                                      .width = WIDTH,
                                      .eps = EPS,
                                      .x = {norm_x, WIDTH},
                                      .dy = {norm_dy, WIDTH},
                                      .gamma = norm,
                                      .dx = {dx, WIDTH},
                                      .dgamma = parameters,
                                      .dbeta = parameters + WIDTH};
    rp_reference_layernorm_grad_run(&op);
    check(&(subject){norm_loss_x, NULL, norm_x, dx, ROWS * WIDTH}, "LayerNorm by x");
    check(&(subject){norm_loss_parameters, NULL, norm, parameters, 2 * WIDTH}, "LayerNorm by gamma and beta");
}

/* ---- activations ---- */

enum { POINTS = 64 };
static float weights[POINTS];

static double activation_loss(const double *in, const void *user) {
    const rp_op_activation *activation = user;
    double sum = 0;
    for (size_t i = 0; i < POINTS; i++) sum += rp_reference_activate(in[i], *activation) * weights[i];
    return sum;
}

static void test_activations(void **state) {
    float in[POINTS], got[POINTS];
    (void)state;
    fill(weights, POINTS, 1);
    for (size_t i = 0; i < POINTS; i++) in[i] = ((float)i - POINTS / 2 + 0.3f) / 6;
    for (rp_op_activation a = RP_OP_NONE; a <= RP_OP_TANH; a++) {
        for (size_t i = 0; i < POINTS; i++) got[i] = (float)(weights[i] * rp_reference_slope(in[i], a));
        check(&(subject){activation_loss, &a, in, got, POINTS}, "activation");
    }
}

/* ---- attention ---- */

enum { SEQUENCES = 2, TOKENS = 8, HEADS = 2, HEAD_DIM = 3, HEAD = 4, ATTENTION_WIDTH = 32, PLACE = 7 };
static const uint32_t starts[SEQUENCES + 1] = {0, 3, TOKENS};
static const rp_train_state attention_step = {.seed = {1, 2}, .step = 3, .first_row = 4, .layer = 5};
static float attention_dy[TOKENS * ATTENTION_WIDTH];

static double attend(const double *in, float rate, size_t head, size_t query, size_t first, size_t n) {
    const double *q = in + query * 3 * ATTENTION_WIDTH + head * HEAD;
    double e[TOKENS], total = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double *k = in + (first + i) * 3 * ATTENTION_WIDTH + ATTENTION_WIDTH + head * HEAD;
        e[i] = exp((q[0] * k[0] + q[1] * k[1] + q[2] * k[2]) / sqrt(HEAD_DIM));
        total += e[i];
    }
    for (size_t i = 0; i < n; i++) {
        const double *v = in + (first + i) * 3 * ATTENTION_WIDTH + 2 * ATTENTION_WIDTH + head * HEAD;
        const uint32_t in_sequence = (uint32_t)(query - first);
        const uint32_t element[4] = {(uint32_t)first, in_sequence / 4, (uint32_t)i, (uint32_t)head};
        float kept[4] = {1, 1, 1, 1};
        if (rate > 0) rp_kept(&attention_step, PLACE, rate, element, kept);
        for (size_t d = 0; d < HEAD_DIM; d++)
            sum += e[i] / total * kept[in_sequence % 4] * v[d] *
                   attention_dy[query * ATTENTION_WIDTH + head * HEAD + d];
    }
    return sum;
}

static double attention_loss(const double *in, const void *user) {
    double sum = 0;
    for (size_t s = 0; s < SEQUENCES; s++)
        for (size_t query = starts[s]; query < starts[s + 1]; query++)
            for (size_t head = 0; head < HEADS; head++)
                sum += attend(in, *(const float *)user, head, query, starts[s], starts[s + 1] - starts[s]);
    return sum;
}

static void test_attention(void **state) {
    enum { ALL = TOKENS * 3 * ATTENTION_WIDTH };
    static const float rates[] = {0, 0.3f};
    static float qkv[ALL], got[ALL], context[TOKENS * ATTENTION_WIDTH];
    (void)state;
    fill(qkv, ALL, 1);
    fill(attention_dy, TOKENS * ATTENTION_WIDTH, 5000);
    for (size_t r = 0; r < RP_COUNT(rates); r++) {
        static double dqkv[ALL], loss = 0;
        memset(dqkv, 0, sizeof dqkv);
        const rp_reference_attention_grad op = {.sequences = SEQUENCES,
                                                .heads = HEADS,
                                                .head_dim = HEAD_DIM,
                                                .head_stride = HEAD,
                                                .width = ATTENTION_WIDTH,
                                                .starts = starts,
                                                .qkv = {qkv, 3 * ATTENTION_WIDTH},
                                                .dy = {attention_dy, ATTENTION_WIDTH},
                                                .step = &attention_step,
                                                .place = PLACE,
                                                .rate = rates[r],
                                                .out = {context, ATTENTION_WIDTH},
                                                .dqkv = dqkv};
        assert_int_equal(rp_reference_attention_grad_run(&op, NULL), RP_OK);
        for (size_t i = 0; i < ALL; i++) got[i] = (float)dqkv[i];
        check(&(subject){attention_loss, &rates[r], qkv, got, ALL}, "attention");
        /* the context, too */
        loss = 0;
        for (size_t i = 0; i < TOKENS; i++)
            for (size_t c = 0; c < HEADS * HEAD; c++)
                loss += context[i * ATTENTION_WIDTH + c] *
                        (c % HEAD < HEAD_DIM ? attention_dy[i * ATTENTION_WIDTH + c] : 0.0f);
        double in[ALL];
        for (size_t i = 0; i < ALL; i++) in[i] = qkv[i];
        assert_true(fabs(loss - attention_loss(in, &rates[r])) < 1e-5);
    }
}

/* ---- losses ---- */

typedef struct loss_case {
    uint32_t label;
    float smoothing;
} loss_case;
enum { CLASSES = 6, BETWEEN = 2 };

/* The cross entropy of a softmax, as its definition has it. */
static double cross_entropy(const double *in, const void *user) {
    const loss_case *c = user;
    double total = 0, loss = 0;
    for (size_t i = 0; i < CLASSES; i++) total += exp(in[i * BETWEEN]);
    for (size_t i = 0; i < CLASSES && c->label < CLASSES; i++) {
        double wanted = (double)c->smoothing / CLASSES + (i == c->label ? 1 - (double)c->smoothing : 0);
        loss -= wanted * log(exp(in[i * BETWEEN]) / total);
    }
    return loss;
}

static double logistic(const double *in, const void *user) {
    const float *y = user;
    double loss = 0;
    for (size_t i = 0; i < CLASSES; i++) {
        double p = 1 / (1 + exp(-in[i]));
        loss += weights[i] * -(y[i] * log(p) + (1 - y[i]) * log(1 - p));
    }
    return loss;
}

static double squares(const double *in, const void *user) {
    const float *y = user;
    double loss = 0;
    for (size_t i = 0; i < CLASSES; i++) loss += weights[i] * (in[i] - y[i]) * (in[i] - y[i]);
    return loss;
}

static void test_losses(void **state) {
    static const loss_case cases[] = {{2, 0}, {0, 0.1f}, {CLASSES - 1, 0.5f}};
    static const float y[CLASSES] = {0, 1, 1, 0, 0.25f, 1};
    float in[CLASSES * BETWEEN], got[CLASSES * BETWEEN] = {0};
    double gradient[CLASSES], wide[CLASSES * BETWEEN];
    (void)state;
    fill(in, CLASSES * BETWEEN, 1);
    for (size_t i = 0; i < CLASSES * BETWEEN; i++) wide[i] = in[i] *= 3;
    for (size_t n = 0; n < RP_COUNT(cases); n++) {
        double loss =
            rp_reference_cross_entropy(in, BETWEEN, CLASSES, cases[n].label, cases[n].smoothing, gradient);
        assert_true(fabs(loss - cross_entropy(wide, &cases[n])) < 1e-9);
        for (size_t i = 0; i < CLASSES; i++) got[i * BETWEEN] = (float)gradient[i];
        check(&(subject){cross_entropy, &cases[n], in, got, CLASSES * BETWEEN}, "cross entropy");
    }
    assert_true(rp_reference_cross_entropy(in, BETWEEN, CLASSES, UINT32_MAX, 0, gradient) == 0);
    for (size_t i = 0; i < CLASSES; i++) assert_true(gradient[i] == 0);
    fill(weights, CLASSES, 7);
    for (int kind = 0; kind < 2; kind++) {
        double loss = 0;
        for (size_t i = 0; i < CLASSES; i++) {
            loss += weights[i] * (kind ? rp_reference_squares : rp_reference_logistic)(in[i], y[i], gradient);
            got[i] = (float)(weights[i] * *gradient);
        }
        assert_true(fabs(loss - (kind ? squares : logistic)(wide, y)) < 1e-6);
        check(&(subject){kind ? squares : logistic, y, in, got, CLASSES}, kind ? "squares" : "logistic");
    }
}

/* ---- cosines ---- */

static double cosine_loss(const double *in, const void *user) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t c = 0; c < WIDTH; c++) {
        ab += in[c] * in[WIDTH + c];
        aa += in[c] * in[c];
        bb += in[WIDTH + c] * in[WIDTH + c];
    }
    return *(const double *)user * ab / sqrt(aa * bb);
}

static void test_cosine(void **state) {
    static const double DY = -1.75;
    float in[2 * WIDTH], got[2 * WIDTH];
    double wide[2 * WIDTH], gradient[2 * WIDTH] = {0};
    (void)state;
    fill(in, 2 * WIDTH, 5);
    for (size_t i = 0; i < 2 * WIDTH; i++) wide[i] = in[i];
    assert_true(fabs(DY * rp_reference_cosine(in, in + WIDTH, WIDTH) - cosine_loss(wide, &DY)) < 1e-6);
    rp_reference_cosine_grad(in, in + WIDTH, WIDTH, DY, gradient, gradient + WIDTH);
    for (size_t i = 0; i < 2 * WIDTH; i++) got[i] = (float)gradient[i];
    check(&(subject){cosine_loss, &DY, in, got, 2 * WIDTH}, "cosine");
}

/* ---- dropout ---- */

/* So many are dropped, and what is dropped depends on everything that it is to depend on. */
static void test_dropout(void **state) {
    enum { ELEMENTS = 40000 };
    const rp_train_state step = {.seed = {1, 2}, .step = 3, .first_row = 4, .layer = 5};
    rp_train_state others[] = {step, step, step, step, step};
    size_t dropped = 0, same[RP_COUNT(others) + 1] = {0}, moved = 0;
    (void)state;
    others[0].seed[0]++;
    others[1].seed[1]++;
    others[2].step++;
    others[3].layer++;
    others[4].first_row += 1;
    for (uint32_t i = 0; i < ELEMENTS / 4; i++) {
        const uint32_t element[4] = {i / 64, i % 64, 0, 0}, before[4] = {i / 64 + 1, i % 64, 0, 0};
        float kept[4], other[4];
        rp_kept(&step, 9, 0.3f, element, kept);
        for (size_t n = 0; n <= RP_COUNT(others); n++) {
            rp_kept(n < RP_COUNT(others) ? &others[n] : &step, n < RP_COUNT(others) ? 9 : 10, 0.3f, element,
                    other);
            for (int k = 0; k < 4; k++) same[n] += !kept[k] == !other[k];
        }
        for (int k = 0; k < 4; k++) {
            assert_true(kept[k] == 0 || fabsf(kept[k] - 1 / 0.7f) < 1e-6f);
            dropped += kept[k] == 0;
        }
        /* the row that first_row moved to */
        rp_kept(&step, 9, 0.3f, before, kept);
        rp_kept(&others[4], 9, 0.3f, element, other);
        moved += !memcmp(kept, other, sizeof kept);
    }
    assert_true(dropped > ELEMENTS * 0.29 && dropped < ELEMENTS * 0.31);
    for (size_t n = 0; n < RP_COUNT(same); n++) /* 0.3^2 + 0.7^2 by chance */
        if (same[n] < ELEMENTS * 0.56 || same[n] > ELEMENTS * 0.60)
            fail_msg("%zu: %zu are the same", n, same[n]);
    assert_int_equal(moved, ELEMENTS / 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_product),     cmocka_unit_test(test_layernorm),
        cmocka_unit_test(test_activations), cmocka_unit_test(test_attention),
        cmocka_unit_test(test_losses),      cmocka_unit_test(test_cosine),
        cmocka_unit_test(test_dropout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
