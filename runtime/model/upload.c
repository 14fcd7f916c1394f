/* Opening a model packs the weights of its files and sends them to the device. */
#include "model/exits.h"

#include <string.h>

static rp_host_matrix host(const rp_tensor *tensor) {
    static const rp_format formats[] = {
        [RP_F32] = RP_FORMAT_F32, [RP_F16] = RP_FORMAT_F16, [RP_BF16] = RP_FORMAT_BF16};
    return (rp_host_matrix){tensor->data, formats[tensor->dtype], tensor->rows, tensor->columns};
}

/* How the matrices of the encoder, where nearly all the work is, are stored. */
static rp_storage storage_of_layers(const rp_model *model) {
    static const rp_storage storages[] = {[RP_PRECISION_DEFAULT] = RP_STORAGE_AS_IS,
                                          [RP_PRECISION_F32] = RP_STORAGE_F32,
                                          [RP_PRECISION_F16] = RP_STORAGE_F16,
                                          [RP_PRECISION_INT8] = RP_STORAGE_INT8,
                                          [RP_PRECISION_INT4] = RP_STORAGE_INT4};
    return storages[model->precision];
}

/* How the embeddings, the pooler and the decoder are stored: float16 at least, for an answer depends most on
 * them and integers would save little time there. */
static rp_storage storage_of_tables(const rp_model *model) {
    rp_storage storage = storage_of_layers(model);
    return storage > RP_STORAGE_F16 ? RP_STORAGE_F16 : storage;
}

/* A matrix and its biases, or the gamma and beta of a LayerNorm: which tensors of the files they are, and
 * where on the device they go. `send` leaves out what the files lack. */
typedef struct item {
    const char *name;
    const rp_tensor *weights[3]; /* put on top of each other as one matrix; NULL: no more */
    rp_storage storage;
    rp_matrix *matrix;
    const rp_tensor *vectors[3];      /* put behind each other; NULL: no more */
    rp_range *to;                     /* where the vectors go */
    uint32_t head_rows, head_columns; /* the rows (columns) are heads of so many, and send pads each;
                                         0: it pads none */
} item;

/* Write to `*out` the tensor with zeros behind every `head_dim` of its rows (or columns), up to
 * rp_head_width, so that a head is a whole number of vec4s. Where that takes a copy, the caller frees it:
 * `*owned`. head_dim 0: the tensor stays as it is. */
static rp_status pad_heads(const rp_tensor *tensor, uint32_t head_dim, bool rows, rp_host_matrix *out,
                           void **owned, rp_error *err) {
    const rp_host_matrix in = host(tensor);
    uint32_t padded = rp_head_width(head_dim);
    *out = in;
    if (padded == head_dim || !in.data) return RP_OK;
    uint32_t *length = rows ? &out->rows : &out->columns;
    *length = *length / head_dim * padded;
    size_t bytes = in.format == RP_FORMAT_F32 ? 4 : 2;
    uint64_t count = (uint64_t)out->rows * out->columns;
    char *copy = rp_new_zeroed(count, bytes);
    if (!copy) return rp_fail_memory(err, "the weights of the attention heads", count * bytes);
    size_t run = rows ? (size_t)head_dim * in.columns : head_dim; /* elements that are copied as one */
    size_t step = rows ? (size_t)padded * in.columns : padded;
    for (size_t i = 0; i < (size_t)in.rows * in.columns / run; i++)
        memcpy(copy + i * step * bytes, (const char *)in.data + i * run * bytes, run * bytes);
    out->data = *owned = copy;
    return RP_OK;
}

static rp_status send(rp_store *store, const item *one, rp_error *err) {
    rp_host_matrix parts[3];
    void *owned[6] = {0};
    uint32_t count = 0, head_dim = one->head_rows ? one->head_rows : one->head_columns;
    rp_status status = RP_OK;
    for (; count < 3 && one->weights[count] && one->weights[count]->data; count++)
        RP_TRY(pad_heads(one->weights[count], head_dim, one->head_rows, &parts[count], &owned[count], err));
    if (count) RP_TRY(rp_matrix_create(store, parts, count, one->storage, one->name, one->matrix, err));
    for (count = 0; count < 3 && one->vectors[count] && one->vectors[count]->columns; count++)
        RP_TRY(pad_heads(one->vectors[count], one->head_rows, false, &parts[count], &owned[3 + count], err));
    if (count) RP_TRY(rp_vectors_create(store, parts, count, one->name, one->to, err));
done:
    for (size_t i = 0; i < RP_COUNT(owned); i++) free(owned[i]);
    return status;
}

/* Write an item to `*next` and move `*next` behind it. */
static item *add(item **next, const char *name, const rp_tensor *weight, rp_storage storage,
                 rp_matrix *matrix, const rp_tensor *vector, rp_range *to) {
    item *one = (*next)++;
    *one = (item){name, {weight}, storage, matrix, {vector}, to, 0, 0};
    return one;
}

static void add_norm(item **next, const char *name, const rp_tensor *gamma, const rp_tensor *beta,
                     rp_range *to) {
    add(next, name, NULL, RP_STORAGE_F32, NULL, gamma, to)->vectors[1] = beta;
}

/* List what a model has once, whatever its number of layers; `type`: its type embeddings. Returns the number
 * of items. */
enum { MODEL_ITEMS = 11, LAYER_ITEMS = 6 };
static uint32_t list_model(const rp_model *model, const rp_tensor *type, rp_device_weights *d,
                           item out[MODEL_ITEMS]) {
    const rp_weights *w = &model->weights;
    rp_storage layers = storage_of_layers(model), tables = storage_of_tables(model),
               small = tables == RP_STORAGE_F32 ? RP_STORAGE_F32 : RP_STORAGE_AS_IS;
    item *next = out;
    add(&next, "word embeddings", &w->word, tables, &d->word, NULL, NULL);
    add(&next, "position embeddings", &w->position, tables, &d->position, NULL, NULL);
    add(&next, "type embeddings", type, tables, &d->type, NULL, NULL);
    add_norm(&next, "embedding norm", &w->embedding_norm, &w->embedding_norm_bias, &d->embedding_norm);
    add(&next, "mapping in", &w->mapping, layers, &d->mapping, &w->mapping_bias, &d->mapping_bias);
    add(&next, "pooler", &w->pooler, tables, &d->pooler, &w->pooler_bias, &d->pooler_bias);
    add(&next, "classifier", &w->classifier, small, &d->classifier, &w->classifier_bias, &d->classifier_bias);
    add(&next, "sentence order", &w->order, small, &d->order, &w->order_bias, &d->order_bias);
    if (w->heads & RP_HEAD_MASKED_LM) {
        add(&next, "masked LM", &w->lm_dense, layers, &d->lm_dense, &w->lm_dense_bias, &d->lm_dense_bias);
        add_norm(&next, "masked LM norm", &w->lm_norm, &w->lm_norm_bias, &d->lm_norm);
        add(&next, "decoder", &w->lm_decoder, tables, &d->lm_decoder, &w->lm_bias, &d->lm_bias);
    }
    return (uint32_t)(next - out);
}

/* List what layer number `i` has. */
static void list_layer(const rp_model *model, uint32_t i, rp_device_layer *d, item out[LAYER_ITEMS]) {
    const rp_layer_weights *w = &model->weights.layers[i];
    rp_storage as = storage_of_layers(model);
    uint32_t head_dim = model->config.hidden_size / model->config.attention_heads;
    item *qkv = add(&out, "query, key and value", &w->query, as, &d->qkv, &w->query_bias, &d->qkv_bias);
    qkv->weights[1] = &w->key;
    qkv->weights[2] = &w->value;
    qkv->vectors[1] = &w->key_bias;
    qkv->vectors[2] = &w->value_bias;
    qkv->head_rows = head_dim;
    add(&out, "attention output", &w->dense, as, &d->dense, &w->dense_bias, &d->dense_bias)->head_columns =
        head_dim;
    add(&out, "ffn", &w->ffn, as, &d->ffn, &w->ffn_bias, &d->ffn_bias);
    add(&out, "ffn output", &w->ffn_output, as, &d->ffn_output, &w->ffn_output_bias, &d->ffn_output_bias);
    add_norm(&out, "attention norm", &w->attention_norm, &w->attention_norm_bias, &d->attention_norm);
    add_norm(&out, "output norm", &w->output_norm, &w->output_norm_bias, &d->output_norm);
}

static rp_status send_all(rp_model *model, const rp_tensor *type, rp_error *err) {
    rp_device_weights *to = &model->on_device;
    item items[MODEL_ITEMS];
    rp_status status = RP_OK;
    for (uint32_t i = 0, count = list_model(model, type, to, items); !status && i < count; i++)
        status = send(&to->store, &items[i], err);
    if (!status) status = rp_exits_upload(model, err);
    for (uint32_t i = 0; !status && i < to->layer_count * LAYER_ITEMS; i++) {
        list_layer(model, i / LAYER_ITEMS, &to->layers[i / LAYER_ITEMS], items);
        status = send(&to->store, &items[i % LAYER_ITEMS], err);
    }
    return status ? status : rp_store_flush(&to->store, err);
}

/* About how many bytes of device memory an item takes. The 2048 are for alignment and for padded biases. */
static uint64_t stored_bytes(const item *one) {
    uint64_t bytes = 2048;
    for (int i = 0; i < 3; i++) {
        rp_host_matrix part = one->weights[i] ? host(one->weights[i]) : (rp_host_matrix){0};
        bytes += rp_matrix_bytes(&part, 1, one->storage);
        if (one->vectors[i]) bytes += 4ull * one->vectors[i]->columns;
    }
    return bytes;
}

uint64_t rp_model_weight_bytes(const rp_model *model) {
    uint64_t bytes = rp_exits_width(model) * (model->config.hidden_size + 64ull) * 4;
    rp_device_weights nowhere;
    rp_device_layer no_layer;
    item items[MODEL_ITEMS];
    for (uint32_t i = 0, count = list_model(model, &model->weights.type, &nowhere, items); i < count; i++)
        bytes += stored_bytes(&items[i]);
    for (uint32_t i = 0; i < model->config.groups * model->config.inner_layers; i++) {
        list_layer(model, i, &no_layer, items);
        for (uint32_t n = 0; n < LAYER_ITEMS; n++) bytes += stored_bytes(&items[n]);
    }
    return bytes;
}

rp_status rp_model_upload(rp_model *model, rp_error *err) {
    rp_device_weights *to = &model->on_device;
    rp_tensor type = model->weights.type;
    void *zeros = NULL;
    to->layer_count = model->config.groups * model->config.inner_layers;
    rp_store_init(&to->store, model->device, rp_model_weight_bytes(model), "weights");
    to->layers = rp_new_array(rp_device_layer, to->layer_count);
    if (!to->layers) return rp_fail_memory(err, "layers", to->layer_count * sizeof *to->layers);
    if (!type.data) { /* the model has no types: the shader adds a row of zeros in their place */
        type = (rp_tensor){.rows = 1, .columns = model->weights.word.columns};
        type.data = zeros = calloc(type.columns, sizeof(float));
        if (!zeros) return rp_fail_memory(err, "type embeddings", type.columns * sizeof(float));
    }
    rp_status status = send_all(model, &type, err);
    free(zeros);
    return status;
}

void rp_device_weights_finish(rp_device_weights *weights) {
    for (uint32_t i = 0; weights->layers && i < weights->layer_count; i++) {
        rp_matrix_finish(&weights->layers[i].qkv);
        rp_matrix_finish(&weights->layers[i].dense);
        rp_matrix_finish(&weights->layers[i].ffn);
        rp_matrix_finish(&weights->layers[i].ffn_output);
    }
    free(weights->layers);
    rp_matrix *matrices[] = {&weights->word,       &weights->position,   &weights->type,  &weights->mapping,
                             &weights->pooler,     &weights->classifier, &weights->order, &weights->lm_dense,
                             &weights->lm_decoder, &weights->exits};
    for (size_t i = 0; i < RP_COUNT(matrices); i++) rp_matrix_finish(matrices[i]);
    rp_store_finish(&weights->store);
    *weights = (rp_device_weights){0};
}
