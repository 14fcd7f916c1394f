/* The encoder, forwards and backwards, operator by operator. Nothing here allocates or fails. */
#include "ops/attention.h"
#include "ops/class.h"
#include "train/trainer.h"

/* ---- the parts of all lists ---- */

rp_op *rp_train_next(rp_train_list *list, const rp_class *class, const char *label, rp_count rows) {
    list->beside &= ~(1ull << list->count);
    rp_op *op = &list->ops[list->count++];
    *op = (rp_op){.class = class, .label = label, .rows = rows};
    return op;
}

/* x [rows, k] as float16, in a place of its own. */
static rp_range halve(rp_train_list *list, rp_count rows, uint32_t k, rp_range x, rp_range out) {
    rp_op *op = rp_train_next(list, &rp_class_pointwise, "to float16", rows);
    op->variant = RP_POINTWISE_HALVE;
    op->width = k;
    op->halves = RP_HALF_OUT;
    op->x = x;
    op->out = out;
    return out;
}

static rp_op *product(rp_train_list *list, const char *label, rp_count rows, rp_range x, const rp_matrix *w,
                      rp_range bias, rp_range out) {
    rp_op *op = rp_train_next(list, &rp_class_matmul, label, rows);
    op->x = x;
    op->w[0] = w;
    op->bias = bias;
    op->out = out;
    op->halves = w->format == RP_FORMAT_F16 ? RP_HALF_X : 0;
    return op;
}

rp_op *rp_train_product(const rp_trainer *t, rp_train_list *list, const char *label, rp_count rows,
                        rp_range x, const rp_matrix *w, rp_range bias, rp_range out) {
    const rp_matrix *halved = rp_train_halved(t, w);
    if (halved) x = halve(list, rows, w->k, x, t->buffers.half_x);
    return product(list, label, rows, x, halved ? halved : w, bias, out);
}

/* The last operator needs nothing of the one before, and neither writes what the other uses. */
static void beside(rp_train_list *list) {
    list->beside |= 1ull << (list->count - 1);
}

static bool is_same(rp_range a, rp_range b) {
    return a.buffer == b.buffer && a.offset == b.offset;
}

void rp_train_product_grad(const rp_trainer *t, rp_train_list *list, const rp_train_linear *linear) {
    bool half = rp_train_in_half(t), learns = linear->gradient->chunk_count;
    rp_range x = linear->x, dy = linear->dy;
    if (half && (learns || linear->dx.buffer))
        dy = halve(list, linear->rows, linear->turned->k, dy, t->buffers.half_dy);
    if (half && learns) {
        x = halve(list, linear->rows, linear->turned->rows, x, t->buffers.half_x);
        beside(list);
    }
    uint32_t first = list->count;
    if (learns) {
        rp_op *weights = rp_train_next(list, &rp_class_gradient, linear->label, linear->rows);
        weights->x = x;
        weights->dy = dy;
        weights->w[0] = linear->gradient;
        weights->halves = half ? RP_HALF_X : 0;
    }
    if (linear->dx.buffer) {
        rp_op *back =
            product(list, linear->label, linear->rows, dy, linear->turned, (rp_range){0}, linear->dx);
        back->residual = linear->residual;
        if (list->count - 1 > first && !is_same(linear->dx, x)) beside(list);
    }
    if (linear->bias_gradient.buffer) {
        rp_op *bias = rp_train_next(list, &rp_class_column_sum, linear->label, linear->rows);
        bias->variant = RP_COLUMN_SUM_BIAS;
        bias->width = linear->turned->k;
        bias->dy = linear->dy;
        bias->out = linear->bias_gradient;
        bias->scratch = t->buffers.scratch;
        if (list->count - 1 > first) beside(list);
    }
}

void rp_train_describe_drop(const rp_trainer *t, rp_train_list *list, const rp_train_drop *drop) {
    if (!(drop->rate > 0)) return;
    rp_op *op = rp_train_next(list, &rp_class_pointwise, "dropout", drop->rows);
    op->variant = RP_POINTWISE_DROP;
    op->width = drop->width;
    op->place = drop->place;
    op->rate = (float)drop->rate;
    op->state = drop->rows == RP_COUNT_SEQUENCES ? rp_train_input(t, t->at.head_state, sizeof(rp_train_state))
                                                 : rp_train_state_range(t);
    op->x = drop->x;
    op->out = drop->out;
}

/* Of hidden states. */
static void drop_hidden(const rp_trainer *t, rp_train_list *list, uint32_t place, rp_range x, rp_range out) {
    rp_train_describe_drop(t, list,
                           &(rp_train_drop){.width = t->model->config.hidden_size,
                                            .place = place,
                                            .rate = t->params.hidden_dropout,
                                            .x = x,
                                            .out = out});
}

void rp_train_norm_forward(const rp_trainer *t, rp_train_list *list, const rp_train_norm *n) {
    rp_op *op = rp_train_next(list, &rp_class_layernorm, n->label, n->rows);
    op->width = n->width;
    op->eps = t->model->config.norm_eps;
    op->x = n->x;
    op->norm = n->norm;
    op->out = n->out;
}

void rp_train_norm_back(const rp_trainer *t, rp_train_list *list, const rp_train_norm *n) {
    rp_op *op = rp_train_next(list, &rp_class_layernorm_grad, n->label, n->rows);
    op->width = n->width;
    op->eps = t->model->config.norm_eps;
    op->x = n->x;
    op->dy = n->dy;
    op->norm = n->norm;
    op->stats = t->buffers.norm_stats;
    op->out = n->out;
    if (!n->gradient.buffer) return;
    rp_op *sums = rp_train_next(list, &rp_class_column_sum, n->label, n->rows);
    sums->variant = RP_COLUMN_SUM_NORM;
    sums->width = n->width;
    sums->x = n->x;
    sums->dy = n->dy;
    sums->stats = t->buffers.norm_stats;
    sums->out = n->gradient;
    sums->scratch = t->buffers.scratch;
}

/* Of tokens. */
static void layernorm(const rp_trainer *t, rp_train_list *list, const char *label, uint32_t width, rp_range x,
                      rp_range norm, rp_range out) {
    rp_train_norm_forward(t, list,
                          &(rp_train_norm){.label = label, .width = width, .x = x, .norm = norm, .out = out});
}

static void layernorm_grad(const rp_trainer *t, rp_train_list *list, const char *label, uint32_t width,
                           rp_range x, rp_range dy, rp_range norm, rp_range gradient, rp_range out) {
    rp_train_norm_back(t, list,
                       &(rp_train_norm){.label = label,
                                        .width = width,
                                        .x = x,
                                        .dy = dy,
                                        .norm = norm,
                                        .gradient = gradient,
                                        .out = out});
}

static rp_op_activation activation(const rp_config *config) {
    static const rp_op_activation activations[] = {[RP_ACTIVATION_NONE] = RP_OP_NONE,
                                                   [RP_ACTIVATION_GELU] = RP_OP_GELU,
                                                   [RP_ACTIVATION_GELU_TANH] = RP_OP_GELU_TANH,
                                                   [RP_ACTIVATION_RELU] = RP_OP_RELU,
                                                   [RP_ACTIVATION_TANH] = RP_OP_TANH};
    return activations[config->activation];
}

void rp_train_activate(const rp_trainer *t, rp_train_list *list, rp_count rows, uint32_t width, rp_range z,
                       rp_range dy, rp_range out) {
    bool back = dy.buffer;
    rp_op *op = rp_train_next(list, &rp_class_pointwise, back ? "activation gradient" : "activation", rows);
    op->variant = back ? RP_POINTWISE_GRADIENT : RP_POINTWISE_ACTIVATE;
    op->activation = activation(&t->model->config);
    op->width = width;
    op->x = z;
    op->dy = dy;
    op->out = out;
}

/* ---- before the layers ---- */

static bool is_mapped(const rp_trainer *t) {
    return t->model->on_device.mapping.chunk_count;
}

/* What the LayerNorm of the embeddings made, or the gradient of that. */
static void drop_embeddings(const rp_trainer *t, rp_train_list *list, rp_range x) {
    rp_train_describe_drop(t, list,
                           &(rp_train_drop){.width = t->model->config.embedding_size,
                                            .place = RP_TRAIN_DROP_EMBEDDINGS,
                                            .rate = t->params.hidden_dropout,
                                            .x = x,
                                            .out = x});
}

void rp_train_describe_prologue(const rp_trainer *t, rp_train_list *out) {
    const rp_device_weights *w = &t->model->on_device;
    const rp_train_buffers *b = &t->buffers;
    out->count = 0;
    rp_op *embed = rp_train_next(out, &rp_class_embed, "embed", RP_COUNT_TOKENS);
    embed->list = rp_train_input(t, t->at.tokens, t->tokens * 16ull);
    embed->w[0] = &w->word;
    embed->w[1] = &w->position;
    embed->w[2] = &w->type;
    embed->out = b->sum;
    layernorm(t, out, "embedding norm", t->model->config.embedding_size, b->sum, w->embedding_norm,
              is_mapped(t) ? b->normed : b->hidden);
    drop_embeddings(t, out, is_mapped(t) ? b->normed : b->hidden);
    if (is_mapped(t))
        rp_train_product(t, out, "mapping in", RP_COUNT_TOKENS, b->normed, &w->mapping, w->mapping_bias,
                         b->hidden);
}

/* Table number `i` of words, positions and types. */
static void scatter(const rp_trainer *t, rp_train_list *list, uint32_t i, const rp_matrix *gradient,
                    rp_range dy) {
    rp_op *op =
        rp_train_next(list, &rp_class_scatter, "embedding gradient", (rp_count)(RP_TRAIN_COUNT_WORDS + i));
    op->dy = dy;
    op->list = rp_train_input(t, t->at.lists[i], t->tokens * 16ull);
    op->tiles = rp_train_input(t, t->at.orders[i], t->tokens * 4ull);
    op->w[0] = gradient;
}

void rp_train_describe_epilogue(const rp_trainer *t, rp_train_list *out) {
    const rp_device_weights *w = &t->model->on_device, *g = &t->gradient;
    const rp_train_buffers *b = &t->buffers;
    bool frozen = t->params.freeze == RP_FREEZE_EMBEDDINGS;
    rp_range dy = b->d_hidden;
    out->count = 0;
    if (is_mapped(t)) {
        rp_train_product_grad(t, out,
                              &(rp_train_linear){.label = "mapping gradient",
                                                 .rows = RP_COUNT_TOKENS,
                                                 .x = b->normed,
                                                 .dy = dy,
                                                 .dx = frozen ? (rp_range){0} : b->d_inner,
                                                 .gradient = &g->mapping,
                                                 .turned = &t->turned.mapping,
                                                 .bias_gradient = g->mapping_bias});
        dy = b->d_inner;
    }
    if (frozen) return;
    drop_embeddings(t, out, dy);
    rp_range sum = is_mapped(t) ? b->normed : b->d_other;
    layernorm_grad(t, out, "embedding norm gradient", t->model->config.embedding_size, b->sum, dy,
                   w->embedding_norm, g->embedding_norm, sum);
    scatter(t, out, 0, &g->word, sum);
    scatter(t, out, 1, &g->position, sum);
    scatter(t, out, 2, &g->type, sum);
}

/* ---- a layer ---- */

static void count_layer(const rp_trainer *t, rp_train_list *list, uint32_t by) {
    rp_op *op = rp_train_next(list, &rp_class_rows, "count layers", RP_COUNT_TOKENS);
    op->variant = RP_ROWS_COUNT_LAYER;
    op->fixed = by;
    op->state = rp_train_state_range(t);
}

/* Between its place among all layers and a buffer of its own: what one layer has there, of this width. */
static void move(const rp_trainer *t, rp_train_list *list, bool back, uint32_t width, rp_range own,
                 rp_range among_all) {
    rp_op *op = rp_train_next(list, &rp_class_rows, "kept", RP_COUNT_TOKENS);
    op->variant = back ? RP_ROWS_UNSTASH : RP_ROWS_STASH;
    op->width = width;
    op->fixed = t->tokens;
    op->state = rp_train_state_range(t);
    op->x = back ? among_all : own;
    op->out = back ? own : among_all;
}

/* What the way back needs of a layer, but for its input and what is made of these row by row. */
static void move_inside(const rp_trainer *t, rp_train_list *list, bool back) {
    const rp_config *c = &t->model->config;
    const rp_train_buffers *b = &t->buffers;
    uint32_t a = rp_attention_width(c->attention_heads, c->hidden_size / c->attention_heads);
    move(t, list, back, 3 * a, b->qkv, b->kept.qkv);
    move(t, list, back, a, b->context, b->kept.context);
    beside(list);
    move(t, list, back, c->hidden_size, b->before, b->kept.before);
    beside(list);
    move(t, list, back, c->intermediate_size, b->z, b->kept.z);
    beside(list);
    move(t, list, back, c->hidden_size, b->ahead, b->kept.ahead);
    beside(list);
}

static rp_op *attention(const rp_trainer *t, rp_train_list *list, const rp_class *class, uint32_t tiles,
                        VkDeviceSize at) {
    const rp_config *config = &t->model->config;
    rp_op *op = rp_train_next(list, class, "attention", RP_COUNT_TOKENS);
    op->heads = config->attention_heads;
    op->head_dim = config->hidden_size / config->attention_heads;
    op->x = t->buffers.qkv;
    op->list = rp_train_starts(t);
    op->tiles = rp_train_input(t, at, t->tokens * 8ull);
    op->slice.count = (rp_count)tiles;
    return op;
}

/* One step of the way back through attention, or forwards with dropout. */
static rp_op *attention_grad(const rp_trainer *t, rp_train_list *list, rp_attention_grad_variant variant) {
    const rp_train_buffers *b = &t->buffers;
    rp_op *op = attention(t, list, &rp_class_attention_grad, RP_TRAIN_COUNT_TILES, t->at.tiles);
    op->variant = variant;
    op->stats = b->attention_stats;
    op->state = rp_train_state_range(t);
    op->place = RP_TRAIN_DROP_ATTENTION;
    op->rate = (float)t->params.attention_dropout;
    op->out = variant == RP_ATTENTION_STATS || variant == RP_ATTENTION_OUT ? b->context : b->inner;
    return op;
}

static void attend(const rp_trainer *t, rp_train_list *out) {
    if (t->params.attention_dropout > 0) {
        attention_grad(t, out, RP_ATTENTION_STATS);
        attention_grad(t, out, RP_ATTENTION_OUT);
    } else {
        attention(t, out, &rp_class_attention, RP_TRAIN_COUNT_QUERIES, t->at.queries)->out =
            t->buffers.context;
    }
}

/* A product with a residual, of which elements are dropped before the residual is added. */
typedef struct summand {
    const char *label;
    rp_range x, bias, out;
    const rp_matrix *w;
} summand;
static void product_in_sum(const rp_trainer *t, rp_train_list *list, summand product, uint32_t place,
                           double rate, rp_range residual) {
    rp_op *op = rp_train_product(t, list, product.label, RP_COUNT_TOKENS, product.x, product.w, product.bias,
                                 product.out);
    if (!(rate > 0)) {
        op->residual = residual;
        return;
    }
    drop_hidden(t, list, place, product.out, product.out);
    rp_op *sum = rp_train_next(list, &rp_class_rows, "residual", RP_COUNT_TOKENS);
    sum->variant = RP_ROWS_ADD;
    sum->width = t->model->config.hidden_size;
    sum->x = residual;
    sum->out = product.out;
}

/* HF's ALBERT drops nothing after the feed-forward network. */
static double output_rate(const rp_trainer *t) {
    return t->model->config.family == RP_FAMILY_BERT ? t->params.hidden_dropout : 0;
}

/* From `in` to the sum before the second LayerNorm. */
static void forward(const rp_trainer *t, const rp_device_layer *w, rp_range in, rp_train_list *out) {
    const rp_config *config = &t->model->config;
    const rp_train_buffers *b = &t->buffers;
    const rp_count rows = RP_COUNT_TOKENS;
    rp_train_product(t, out, "qkv", rows, in, &w->qkv, w->qkv_bias, b->qkv);
    attend(t, out);
    product_in_sum(t, out,
                   (summand){.label = "attention output",
                             .x = b->context,
                             .w = &w->dense,
                             .bias = w->dense_bias,
                             .out = b->before},
                   RP_TRAIN_DROP_DENSE, t->params.hidden_dropout, in);
    layernorm(t, out, "attention norm", config->hidden_size, b->before, w->attention_norm, b->attended);
    rp_train_product(t, out, "ffn", rows, b->attended, &w->ffn, w->ffn_bias, b->z);
    rp_train_activate(t, out, rows, config->intermediate_size, b->z, (rp_range){0}, b->inner);
    product_in_sum(t, out,
                   (summand){.label = "ffn output",
                             .x = b->inner,
                             .w = &w->ffn_output,
                             .bias = w->ffn_output_bias,
                             .out = b->ahead},
                   RP_TRAIN_DROP_OUTPUT, output_rate(t), b->attended);
}

/* The same from what was kept. */
static void restore(const rp_trainer *t, const rp_device_layer *w, rp_train_list *out) {
    const rp_train_buffers *b = &t->buffers;
    move_inside(t, out, true);
    layernorm(t, out, "attention norm", t->model->config.hidden_size, b->before, w->attention_norm,
              b->attended);
    rp_train_activate(t, out, RP_COUNT_TOKENS, t->model->config.intermediate_size, b->z, (rp_range){0},
                      b->inner);
}

void rp_train_describe_forward(const rp_trainer *t, uint32_t layer, rp_train_list *out) {
    const rp_device_layer *w = &t->model->on_device.layers[layer];
    const rp_train_buffers *b = &t->buffers;
    out->count = 0;
    move(t, out, false, t->model->config.hidden_size, b->hidden, b->kept.in);
    forward(t, w, b->hidden, out);
    if (!t->recomputes) move_inside(t, out, false);
    layernorm(t, out, "output norm", t->model->config.hidden_size, b->ahead, w->output_norm, b->hidden);
    count_layer(t, out, 1);
}

/* Back through the feed-forward half: from d_hidden to d_hidden. */
static void backward_ffn(const rp_trainer *t, const rp_device_layer *w, const rp_device_layer *g,
                         const rp_device_layer *turned, rp_train_list *out) {
    const rp_config *config = &t->model->config;
    const rp_train_buffers *b = &t->buffers;
    layernorm_grad(t, out, "output norm gradient", config->hidden_size, b->ahead, b->d_hidden, w->output_norm,
                   g->output_norm, b->d_other);
    rp_range dy = output_rate(t) > 0 ? b->ahead : b->d_other; /* `ahead` is of no more use */
    if (output_rate(t) > 0) drop_hidden(t, out, RP_TRAIN_DROP_OUTPUT, b->d_other, dy);
    rp_train_product_grad(t, out,
                          &(rp_train_linear){.label = "ffn output gradient",
                                             .x = b->inner,
                                             .dy = dy,
                                             .dx = b->d_inner,
                                             .gradient = &g->ffn_output,
                                             .turned = &turned->ffn_output,
                                             .bias_gradient = g->ffn_output_bias});
    rp_train_activate(t, out, RP_COUNT_TOKENS, config->intermediate_size, b->z, b->d_inner, b->d_inner);
    rp_train_product_grad(t, out,
                          &(rp_train_linear){.label = "ffn gradient",
                                             .x = b->attended,
                                             .dy = b->d_inner,
                                             .dx = b->d_hidden,
                                             .residual = b->d_other,
                                             .gradient = &g->ffn,
                                             .turned = &turned->ffn,
                                             .bias_gradient = g->ffn_bias});
}

/* Back through the attention half: from d_hidden to d_hidden. d_inner has the gradient of the context, inner
 * that of Q, K and V. */
static void backward_attention(const rp_trainer *t, const rp_device_layer *w, const rp_device_layer *g,
                               const rp_device_layer *turned, rp_train_list *out) {
    const rp_train_buffers *b = &t->buffers;
    layernorm_grad(t, out, "attention norm gradient", t->model->config.hidden_size, b->before, b->d_hidden,
                   w->attention_norm, g->attention_norm, b->d_other);
    rp_range dy = t->params.hidden_dropout > 0 ? b->ahead : b->d_other; /* `ahead` is of no more use */
    drop_hidden(t, out, RP_TRAIN_DROP_DENSE, b->d_other, dy);
    rp_train_product_grad(t, out,
                          &(rp_train_linear){.label = "attention output gradient",
                                             .x = b->context,
                                             .dy = dy,
                                             .dx = b->d_inner,
                                             .gradient = &g->dense,
                                             .turned = &turned->dense,
                                             .bias_gradient = g->dense_bias});
    attention_grad(t, out, RP_ATTENTION_STATS)->dy = b->d_inner;
    attention_grad(t, out, RP_ATTENTION_DQ)->dy = b->d_inner;
    attention_grad(t, out, RP_ATTENTION_DKV)->dy = b->d_inner;
    beside(out);
    rp_train_product_grad(t, out,
                          &(rp_train_linear){.label = "qkv gradient",
                                             .x = b->in,
                                             .dy = b->inner,
                                             .dx = b->d_hidden,
                                             .residual = b->d_other,
                                             .gradient = &g->qkv,
                                             .turned = &turned->qkv,
                                             .bias_gradient = g->qkv_bias});
}

void rp_train_describe_backward(const rp_trainer *t, uint32_t layer, rp_train_list *out) {
    const rp_device_layer *w = &t->model->on_device.layers[layer], *g = &t->gradient.layers[layer],
                          *turned = &t->turned.layers[layer];
    const rp_train_buffers *b = &t->buffers;
    out->count = 0;
    count_layer(t, out, UINT32_MAX);
    move(t, out, true, t->model->config.hidden_size, b->in, b->kept.in);
    if (t->recomputes)
        forward(t, w, b->in, out);
    else
        restore(t, w, out);
    backward_ffn(t, w, g, turned, out);
    backward_attention(t, w, g, turned, out);
}
