#include "model/describe.h"

#include "ops/class.h"

_Static_assert((int)RP_OP_GELU == RP_ACTIVATION_GELU && (int)RP_OP_GELU_TANH == RP_ACTIVATION_GELU_TANH &&
                   (int)RP_OP_RELU == RP_ACTIVATION_RELU && (int)RP_OP_TANH == RP_ACTIVATION_TANH,
               "the two lists of activations agree");

static rp_range whole(const rp_buffer *buffer) {
    return rp_buffer_range(buffer, 0, buffer->size);
}

static rp_range input(const rp_model *model, VkDeviceSize offset, VkDeviceSize bytes) {
    return rp_buffer_range(&model->activations.input, offset, bytes);
}

/* Of an operator that reads or writes `hidden`. */
static unsigned halves(const rp_model *model, unsigned which) {
    return model->half ? which : 0;
}

static rp_op_activation activation(const rp_config *config) {
    return (rp_op_activation)config->activation;
}

/* The next operator of the list. */
static rp_op *next(rp_op_list *list, const rp_class *class, const char *label) {
    rp_op *op = &list->ops[list->count++];
    *op = (rp_op){.class = class, .label = label};
    return op;
}

/* x * w^T + bias, as the next operator. */
static rp_op *product(rp_op_list *list, const char *label, rp_range x, const rp_matrix *w, rp_range bias,
                      rp_range out) {
    rp_op *op = next(list, &rp_class_matmul, label);
    op->x = x;
    op->w[0] = w;
    op->bias = bias;
    op->out = out;
    return op;
}

/* LayerNorm over E, as the next operator. */
static rp_op *layernorm(const rp_model *model, rp_op_list *list, const char *label, rp_range x, rp_range norm,
                        rp_range out) {
    rp_op *op = next(list, &rp_class_layernorm, label);
    op->width = model->config.embedding_size;
    op->eps = model->config.norm_eps;
    op->x = x;
    op->norm = norm;
    op->out = out;
    return op;
}

void rp_describe_prologue(const rp_model *model, rp_op_list *out) {
    const rp_device_weights *w = &model->on_device;
    const rp_activations *a = &model->activations;
    bool mapped = w->mapping.chunk_count;
    rp_range sum = rp_model_range_of_wide(model, 0, w->word.k, 4), hidden = whole(&a->hidden);
    rp_range normed = mapped ? rp_model_range_of_wide(model, w->word.k, w->word.k, 4) : hidden;
    out->count = 0;
    rp_op *embed = next(out, &rp_class_embed, "embed");
    embed->list = input(model, a->at.tokens, model->batch_tokens * 16ull);
    embed->w[0] = &w->word;
    embed->w[1] = &w->position;
    embed->w[2] = &w->type;
    embed->out = sum;
    rp_op *last = layernorm(model, out, "embedding norm", sum, w->embedding_norm, normed);
    if (mapped) last = product(out, "mapping in", normed, &w->mapping, w->mapping_bias, hidden);
    last->halves = halves(model, RP_HALF_OUT);
}

/* End in the sum with a residual, and its LayerNorm. */
static void end_in_norm(rp_op *op, const rp_config *config, rp_range residual, rp_range norm,
                        const rp_layer_buffers *at) {
    op->residual = residual;
    op->norm = norm;
    op->arrived = at->arrived;
    op->width = config->hidden_size;
    op->eps = config->norm_eps;
}

void rp_describe_layer(const rp_config *config, bool half, const rp_device_layer *w,
                       const rp_layer_buffers *at, uint32_t most_rows, rp_op_list *out) {
    uint32_t inner_stride = rp_spread_stride(config->intermediate_size, half ? 2 : 4);
    out->count = 0;
    product(out, "qkv", at->in, &w->qkv, w->qkv_bias, at->qkv);
    rp_op *attention = next(out, &rp_class_attention, "attention");
    attention->heads = config->attention_heads;
    attention->head_dim = config->hidden_size / config->attention_heads;
    attention->x = at->qkv;
    attention->list = at->starts;
    attention->tiles = at->tiles;
    attention->out = at->context;
    rp_op *dense = product(out, "attention output", at->context, &w->dense, w->dense_bias, at->attended);
    end_in_norm(dense, config, at->in, w->attention_norm, at);
    rp_op *ffn = product(out, "ffn", at->attended, &w->ffn, w->ffn_bias, at->inner);
    ffn->out_stride = inner_stride;
    ffn->activation = activation(config);
    rp_op *output = product(out, "ffn output", at->inner, &w->ffn_output, w->ffn_output_bias, at->out);
    output->x_stride = inner_stride;
    end_in_norm(output, config, at->attended, w->output_norm, at);
    for (uint32_t i = 0; i < out->count; i++) {
        out->ops[i].halves = half ? RP_HALF_X | RP_HALF_OUT : 0;
        if (out->ops[i].class == &rp_class_matmul) out->ops[i].most_rows = most_rows;
    }
}

/* Rows of the hidden states that a list names, as float32. */
static void gather(const rp_model *model, rp_op_list *list, const char *label, rp_count rows, rp_range which,
                   rp_range out) {
    rp_op *op = next(list, &rp_class_gather, label);
    op->rows = rows;
    op->width = model->config.hidden_size;
    op->x = whole(&model->activations.hidden);
    op->list = which;
    op->out = out;
    op->halves = halves(model, RP_HALF_X);
}

static rp_range starts(const rp_model *model) {
    return input(model, model->activations.at.starts, (model->batch_tokens + 1) * 4ull);
}

/* The rows of input.rows -> dense + activation -> LayerNorm -> decoder. */
static void describe_masked_lm(const rp_model *model, rp_op_list *list) {
    const rp_device_weights *w = &model->on_device;
    const rp_activations *a = &model->activations;
    uint32_t h = rp_padded(model->config.hidden_size), e = w->word.k;
    rp_range rows = rp_model_range_of_wide(model, 0, h, 4), dense = rp_model_range_of_wide(model, h, e, 4),
             normed = rp_model_range_of_wide(model, h + e, e, 4);
    gather(model, list, "masked rows", RP_COUNT_ROWS, input(model, a->at.rows, model->batch_tokens * 4ull),
           rows);
    rp_op *transform = product(list, "masked LM", rows, &w->lm_dense, w->lm_dense_bias, dense);
    transform->activation = activation(&model->config);
    layernorm(model, list, "masked LM norm", dense, w->lm_norm, normed);
    product(list, "decoder", normed, w->lm_decoder.chunk_count ? &w->lm_decoder : &w->word, w->lm_bias,
            whole(&a->output));
    for (uint32_t i = 0; i < list->count; i++) list->ops[i].rows = RP_COUNT_ROWS;
}

/* First tokens -> pooler -> one of the heads that stand on it. */
static void describe_pooled(const rp_model *model, rp_output output, rp_op_list *list) {
    const rp_device_weights *w = &model->on_device;
    uint32_t h = rp_padded(model->config.hidden_size);
    rp_range rows = rp_model_range_of_wide(model, 0, h, 4), pooled = rp_model_range_of_wide(model, h, h, 4),
             out = whole(&model->activations.output);
    bool order = output == RP_OUTPUT_ORDER;
    bool head = output == RP_OUTPUT_CLASSES || output == RP_OUTPUT_CHOICE || order;
    gather(model, list, "first tokens", RP_COUNT_SEQUENCES, starts(model),
           output == RP_OUTPUT_CLS ? out : rows);
    if (output == RP_OUTPUT_CLS) return;
    rp_op *pooler = product(list, "pooler", rows, &w->pooler, w->pooler_bias, head ? pooled : out);
    pooler->activation = model->config.no_pooler ? RP_OP_RELU : RP_OP_TANH;
    if (head)
        product(list, "head", pooled, order ? &w->order : &w->classifier,
                order ? w->order_bias : w->classifier_bias, out);
    for (uint32_t i = 0; i < list->count; i++) list->ops[i].rows = RP_COUNT_SEQUENCES;
}

void rp_describe_exits(const rp_model *model, rp_op_list *list) {
    const rp_device_weights *w = &model->on_device;
    const rp_activations *a = &model->activations;
    uint32_t h = rp_padded(model->config.hidden_size);
    rp_range pooled = rp_model_range_of_wide(model, h, h, 4);
    list->count = 0;
    describe_pooled(model, RP_OUTPUT_CLASSES, list);
    list->count--; /* another head than that */
    rp_op *head = product(list, "internal classifiers", pooled, &w->exits, w->exits_bias, whole(&a->output));
    head->rows = RP_COUNT_SEQUENCES;
    rp_op *decision = next(list, &rp_class_patience, "patience");
    decision->rows = RP_COUNT_SEQUENCES;
    decision->width = model->config.layers * model->config.label_count;
    decision->fixed = model->config.label_count;
    decision->x = whole(&a->output);
    decision->list = input(model, a->at.exits, model->batch_tokens * 16ull);
    decision->state = whole(&a->exits);
}

void rp_describe_output(const rp_model *model, rp_output output, rp_op_list *list) {
    const rp_device_weights *w = &model->on_device;
    const rp_activations *a = &model->activations;
    rp_op *op;
    list->count = 0;
    switch (output) {
    case RP_OUTPUT_HIDDEN:
        gather(model, list, "hidden", RP_COUNT_TOKENS, (rp_range){0}, whole(&a->output));
        break;
    case RP_OUTPUT_MEAN:
    case RP_OUTPUT_MAX:
        op = next(list, &rp_class_pool, "pool");
        op->width = model->config.hidden_size;
        op->largest = output == RP_OUTPUT_MAX;
        op->x = whole(&a->hidden);
        op->list = starts(model);
        op->out = whole(&a->output);
        op->halves = halves(model, RP_HALF_X);
        break;
    case RP_OUTPUT_TOKENS:
    case RP_OUTPUT_SPANS:
        op = product(list, "head", whole(&a->hidden), &w->classifier, w->classifier_bias, whole(&a->output));
        op->halves = halves(model, RP_HALF_X);
        break;
    case RP_OUTPUT_MASKED_LM:
        describe_masked_lm(model, list);
        break;
    default:
        describe_pooled(model, output, list);
    }
}
