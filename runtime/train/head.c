/* The heads: from the hidden states to the loss, and back to the gradient of the hidden states. */
#include "ops/class.h"
#include "train/trainer.h"

/* Where the loss of a row is written. */
static rp_range losses_of(const rp_trainer *t) {
    VkDeviceSize bytes = rp_train_exit_bytes(t);
    if (t->exit) return rp_buffer_range(&t->output, t->out.exits + (t->exit - 1) * bytes, bytes);
    return rp_buffer_range(&t->output, t->out.losses, t->out.total - t->out.losses);
}

/* PABEE's loss is the mean over the classifiers, each weighted by the number of its layer. Those inside have
 * their logits beside those of the others, which have no part in it. */
static void weigh_exit(const rp_trainer *t, rp_op *op) {
    uint32_t count = rp_train_exits(t) + 1;
    if (count == 1) return;
    op->weight = 2.0f * (float)(t->exit ? t->exit : count) / ((float)count * (float)(count + 1));
    if (!t->exit) return;
    op->column = (t->exit - 1) * op->width;
    op->x_stride = t->model->on_device.exits.rows;
}

/* The loss and the gradient of the logits, and those by a teacher added to them. Spans and choices compete
 * within a segment of rows. */
static void describe_loss(const rp_trainer *t, rp_train_list *out) {
    const rp_train_buffers *b = &t->buffers;
    bool segments = t->head == RP_HEAD_SPANS || t->head == RP_HEAD_CHOICE;
    rp_op *op = rp_train_next(out, &rp_class_loss, "loss",
                              t->head == RP_HEAD_CHOICE   ? RP_COUNT_ROWS
                              : t->head == RP_HEAD_TOKENS ? RP_COUNT_TOKENS
                                                          : RP_COUNT_SEQUENCES);
    op->variant = segments ? RP_LOSS_SEGMENTS : RP_LOSS_ROWS;
    if (t->head == RP_HEAD_CLASSIFIER && t->problem == RP_PROBLEM_MULTI_LABEL) op->variant = RP_LOSS_LOGISTIC;
    if (t->head == RP_HEAD_CLASSIFIER && t->problem == RP_PROBLEM_REGRESSION) op->variant = RP_LOSS_SQUARES;
    op->width = rp_train_logits(t);
    op->x = b->logits;
    op->out = b->d_logits;
    if (segments) op->list = rp_train_input(t, t->at.segments, (t->tokens + 1) * 4ull);
    op->tiles = rp_train_input(t, t->at.wanted, t->at.taught - t->at.wanted);
    op->stats = losses_of(t);
    op->rate = op->variant <= RP_LOSS_SEGMENTS ? (float)t->params.label_smoothing : 0;
    weigh_exit(t, op);
    if (!t->params.taught) return;
    rp_op *taught = rp_train_next(out, &rp_class_loss, "teacher", RP_COUNT_SEQUENCES);
    taught->variant = RP_LOSS_SQUARES;
    taught->width = op->width;
    taught->x = op->x;
    taught->out = taught->residual = op->out;
    taught->tiles = rp_train_input(t, t->at.taught, t->at.segments - t->at.taught);
    taught->stats = op->stats;
    weigh_exit(t, taught);
}

/* The gradient of the hidden states; no buffer: nobody wants it. */
static rp_range d_hidden(const rp_trainer *t) {
    return t->params.freeze == RP_FREEZE_ENCODER ? (rp_range){0} : t->buffers.d_hidden;
}

/* The layer that makes the logits, its bias, and its transpose. */
typedef struct last {
    const rp_matrix *matrix;
    rp_range bias;
} last;

static last last_of(const rp_trainer *t, const rp_device_weights *w) {
    if (t->exit) return (last){&w->exits, w->exits_bias};
    return rp_train_has_order(t) ? (last){&w->order, w->order_bias}
                                 : (last){&w->classifier, w->classifier_bias};
}

/* The heads for spans and for the next sentence of a BERT drop nothing in Hugging Face's classes. */
static double rate_of(const rp_trainer *t) {
    bool next = rp_train_has_order(t) && t->model->config.family == RP_FAMILY_BERT;
    return t->head == RP_HEAD_SPANS || next ? 0 : t->params.classifier_dropout;
}

/* What the classifier reads, or the gradient of that. */
static void drop(const rp_trainer *t, rp_train_list *out, rp_count rows, rp_range x) {
    rp_train_describe_drop(t, out,
                           &(rp_train_drop){.rows = rows,
                                            .width = t->model->config.hidden_size,
                                            .place = RP_TRAIN_DROP_HEAD + t->exit,
                                            .rate = rate_of(t),
                                            .x = x,
                                            .out = x});
}

/* Of every token. */
static void describe_token_head(const rp_trainer *t, rp_train_list *out) {
    const rp_device_weights *w = &t->model->on_device, *g = &t->gradient;
    const rp_train_buffers *b = &t->buffers;
    drop(t, out, RP_COUNT_TOKENS, b->hidden);
    rp_train_product(t, out, "head", RP_COUNT_TOKENS, b->hidden, &w->classifier, w->classifier_bias,
                     b->logits);
    describe_loss(t, out);
    rp_train_product_grad(t, out,
                          &(rp_train_linear){.label = "head gradient",
                                             .rows = RP_COUNT_TOKENS,
                                             .x = b->hidden,
                                             .dy = b->d_logits,
                                             .dx = d_hidden(t),
                                             .gradient = &g->classifier,
                                             .turned = &t->turned.classifier,
                                             .bias_gradient = g->classifier_bias});
    if (d_hidden(t).buffer) drop(t, out, RP_COUNT_TOKENS, b->d_hidden);
}

/* tanh of the pooler, forwards or backwards. */
static void pooler_tanh(const rp_trainer *t, rp_train_list *out, bool back) {
    const rp_train_buffers *b = &t->buffers;
    rp_op *op = rp_train_next(out, &rp_class_pointwise, "pooler", RP_COUNT_SEQUENCES);
    op->variant = back ? RP_POINTWISE_GRADIENT : RP_POINTWISE_ACTIVATE;
    op->activation = RP_OP_TANH;
    op->width = t->model->config.hidden_size;
    op->x = b->pooled_in;
    if (back) op->dy = b->d_pooled;
    op->out = back ? b->d_pooled : b->pooled;
}

/* What a layer made that is not the last one: on the way back the input of the next one, which was fetched
 * for it. */
static rp_range states_of(const rp_trainer *t) {
    return t->exit && d_hidden(t).buffer ? t->buffers.in : t->buffers.hidden;
}

/* From the hidden states of the first tokens to the logits. */
static void describe_pooled(const rp_trainer *t, rp_train_list *out) {
    const rp_device_weights *w = &t->model->on_device;
    const rp_train_buffers *b = &t->buffers;
    const rp_count rows = RP_COUNT_SEQUENCES;
    rp_op *gather = rp_train_next(out, &rp_class_gather, "first tokens", rows);
    gather->width = t->model->config.hidden_size;
    gather->x = states_of(t);
    gather->list = rp_train_starts(t);
    gather->out = b->first_rows;
    rp_train_product(t, out, "pooler", rows, b->first_rows, &w->pooler, w->pooler_bias, b->pooled_in);
    pooler_tanh(t, out, false);
    drop(t, out, rows, b->pooled);
    rp_train_product(t, out, "head", rows, b->pooled, last_of(t, w).matrix, last_of(t, w).bias, b->logits);
}

/* The hidden state of a first token gets that of its sequence, and other tokens none; or has it added, where
 * the way back has come with that of the layers above. */
static void spread(const rp_trainer *t, rp_train_list *out, rp_range x) {
    if (!d_hidden(t).buffer) return;
    rp_op *op =
        rp_train_next(out, &rp_class_rows, "first tokens", t->exit ? RP_COUNT_SEQUENCES : RP_COUNT_TOKENS);
    op->variant = t->exit ? RP_ROWS_ADD_TO : RP_ROWS_SET_FROM;
    op->width = t->model->config.hidden_size;
    op->x = x;
    op->list = t->exit ? rp_train_starts(t) : rp_train_input(t, t->at.first, t->tokens * 8ull);
    op->out = t->buffers.d_hidden;
}

/* And back. */
static void describe_pooled_grad(const rp_trainer *t, rp_train_list *out) {
    const rp_device_weights *g = &t->gradient;
    const rp_train_buffers *b = &t->buffers;
    rp_train_product_grad(t, out,
                          &(rp_train_linear){.label = "head gradient",
                                             .rows = RP_COUNT_SEQUENCES,
                                             .x = b->pooled,
                                             .dy = b->d_logits,
                                             .dx = b->d_pooled,
                                             .gradient = last_of(t, g).matrix,
                                             .turned = last_of(t, &t->turned).matrix,
                                             .bias_gradient = last_of(t, g).bias});
    drop(t, out, RP_COUNT_SEQUENCES, b->d_pooled);
    pooler_tanh(t, out, true);
    rp_train_product_grad(t, out,
                          &(rp_train_linear){.label = "pooler gradient",
                                             .rows = RP_COUNT_SEQUENCES,
                                             .x = b->first_rows,
                                             .dy = b->d_pooled,
                                             .dx = d_hidden(t).buffer ? b->pooled : (rp_range){0},
                                             .gradient = &g->pooler,
                                             .turned = &t->turned.pooler,
                                             .bias_gradient = g->pooler_bias});
    spread(t, out, b->pooled);
}

/* ---- masked language model ---- */

static rp_range masked_list(const rp_trainer *t) {
    return rp_train_input(t, t->at.masked, t->masked * 4ull);
}

/* From the hidden states of masked tokens to the gradient of the logits of all words, which takes their
 * place. */
static void describe_masked(const rp_trainer *t, rp_train_list *out) {
    const rp_device_weights *w = &t->model->on_device;
    const rp_config *c = &t->model->config;
    const rp_train_buffers *b = &t->buffers;
    const rp_count rows = RP_COUNT_ROWS;
    rp_op *gather = rp_train_next(out, &rp_class_gather, "masked tokens", rows);
    gather->width = c->hidden_size;
    gather->x = b->hidden;
    gather->list = masked_list(t);
    gather->out = b->masked_rows;
    rp_train_product(t, out, "masked LM", rows, b->masked_rows, &w->lm_dense, w->lm_dense_bias, b->masked_in);
    rp_train_activate(t, out, rows, c->embedding_size, b->masked_in, (rp_range){0}, b->masked_act);
    rp_train_norm_forward(t, out,
                          &(rp_train_norm){.label = "masked LM norm",
                                           .rows = rows,
                                           .width = c->embedding_size,
                                           .x = b->masked_act,
                                           .norm = w->lm_norm,
                                           .out = b->masked_normed});
    rp_train_product(t, out, "decoder", rows, b->masked_normed, rp_train_decoder(t, w), w->lm_bias, b->words);
    rp_op *loss = rp_train_next(out, &rp_class_loss, "masked LM loss", rows);
    loss->variant = RP_LOSS_ROWS;
    loss->width = c->vocab_size;
    loss->x = loss->out = b->words;
    loss->tiles = rp_train_input(t, t->at.masked_ids, t->masked * 8ull);
    loss->stats = rp_buffer_range(&t->output, t->out.masked, t->masked * 8ull);
    loss->rate = (float)t->params.label_smoothing;
}

/* And back to masked_rows. */
static void describe_masked_grad(const rp_trainer *t, rp_train_list *out) {
    const rp_device_weights *w = &t->model->on_device, *g = &t->gradient;
    const rp_config *c = &t->model->config;
    const rp_train_buffers *b = &t->buffers;
    const rp_count rows = RP_COUNT_ROWS;
    rp_train_product_grad(t, out,
                          &(rp_train_linear){.label = "decoder gradient",
                                             .rows = rows,
                                             .x = b->masked_normed,
                                             .dy = b->words,
                                             .dx = b->d_masked,
                                             .gradient = rp_train_decoder(t, g),
                                             .turned = rp_train_decoder(t, &t->turned),
                                             .bias_gradient = g->lm_bias});
    rp_train_norm_back(t, out,
                       &(rp_train_norm){.label = "masked LM norm gradient",
                                        .rows = rows,
                                        .width = c->embedding_size,
                                        .x = b->masked_act,
                                        .dy = b->d_masked,
                                        .norm = w->lm_norm,
                                        .gradient = g->lm_norm,
                                        .out = b->d_masked_act});
    rp_train_activate(t, out, rows, c->embedding_size, b->masked_in, b->d_masked_act, b->d_masked_act);
    rp_train_product_grad(t, out,
                          &(rp_train_linear){.label = "masked LM gradient",
                                             .rows = rows,
                                             .x = b->masked_rows,
                                             .dy = b->d_masked_act,
                                             .dx = d_hidden(t).buffer ? b->masked_rows : (rp_range){0},
                                             .gradient = &g->lm_dense,
                                             .turned = &t->turned.lm_dense,
                                             .bias_gradient = g->lm_dense_bias});
    if (!d_hidden(t).buffer) return;
    rp_op *add = rp_train_next(out, &rp_class_rows, "masked tokens", rows);
    add->variant = RP_ROWS_ADD_TO;
    add->width = c->hidden_size;
    add->x = b->masked_rows;
    add->list = masked_list(t);
    add->out = b->d_hidden;
}

void rp_train_describe_head(const rp_trainer *t, rp_train_list *out) {
    const rp_train_buffers *b = &t->buffers;
    out->count = 0;
    if (rp_train_has_token_rows(t)) {
        describe_token_head(t, out);
        return;
    }
    if (!rp_train_pretrains(t) || rp_train_has_order(t)) {
        describe_pooled(t, out);
        describe_loss(t, out);
        describe_pooled_grad(t, out);
    } else {
        spread(t, out, b->masked_rows); /* the host lists no first token: zeros */
    }
    if (!rp_train_pretrains(t)) return;
    describe_masked(t, out);
    describe_masked_grad(t, out);
}
