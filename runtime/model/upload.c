/* The weights of the files, packed and sent to the device. */
#include "model/model.h"

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

/* And those on which an answer depends most: integers would save little of the time there. */
static rp_storage storage_of_tables(const rp_model *model) {
    rp_storage storage = storage_of_layers(model);
    return storage > RP_STORAGE_F16 ? RP_STORAGE_F16 : storage;
}

/* One matrix and its bias; nothing when the tensor is absent. */
static rp_status send_linear(rp_model *model, const rp_tensor *weight, const rp_tensor *bias,
                             rp_storage storage, const char *name, rp_matrix *matrix, rp_range *vector,
                             rp_error *err) {
    if (!weight->data) return RP_OK;
    rp_host_matrix w = host(weight), b = bias ? host(bias) : (rp_host_matrix){0};
    rp_status status = rp_matrix_create(&model->on_device.store, &w, 1, storage, name, matrix, err);
    if (!status && vector) status = rp_vectors_create(&model->on_device.store, &b, 1, name, vector, err);
    return status;
}

/* gamma and beta, one after the other. */
static rp_status send_norm(rp_model *model, const rp_tensor *gamma, const rp_tensor *beta, const char *name,
                           rp_range *out, rp_error *err) {
    if (!gamma->data) return RP_OK;
    rp_host_matrix parts[2] = {host(gamma), host(beta)};
    return rp_vectors_create(&model->on_device.store, parts, 2, name, out, err);
}

/* A copy of `in` with every `head_dim` of its rows (or columns) followed by zeros up to rp_head_width, so
 * that a head is a whole number of vec4s. Where it is that already, `in` itself. `*owned` is freed by the
 * caller. */
static rp_status pad_heads(const rp_host_matrix *in, uint32_t head_dim, bool rows, rp_host_matrix *out,
                           void **owned, rp_error *err) {
    uint32_t padded = rp_head_width(head_dim);
    *out = *in;
    if (padded == head_dim || !in->data) return RP_OK;
    uint32_t *length = rows ? &out->rows : &out->columns;
    *length = *length / head_dim * padded;
    size_t bytes = in->format == RP_FORMAT_F32 ? 4 : 2;
    uint64_t count = (uint64_t)out->rows * out->columns;
    char *copy = rp_new_zeroed(count, bytes);
    if (!copy) return rp_fail_memory(err, "the weights of the attention heads", count * bytes);
    size_t run = rows ? (size_t)head_dim * in->columns : head_dim; /* elements that stay together */
    size_t step = rows ? (size_t)padded * in->columns : padded;
    for (size_t i = 0; i < (size_t)in->rows * in->columns / run; i++)
        memcpy(copy + i * step * bytes, (const char *)in->data + i * run * bytes, run * bytes);
    out->data = *owned = copy;
    return RP_OK;
}

/* Query, key and value as one matrix, and the matrix behind the attention. */
static rp_status send_attention(rp_model *model, const rp_layer_weights *from, rp_device_layer *to,
                                rp_error *err) {
    const rp_tensor *weights[] = {&from->query, &from->key, &from->value, &from->dense};
    const rp_tensor *biases[] = {&from->query_bias, &from->key_bias, &from->value_bias};
    uint32_t head_dim = model->config.hidden_size / model->config.attention_heads;
    rp_store *store = &model->on_device.store;
    rp_storage storage = storage_of_layers(model);
    rp_host_matrix w[4], b[3];
    void *owned[7] = {0};
    rp_status status;
    for (uint32_t i = 0; i < 4; i++) {
        rp_host_matrix weight = host(weights[i]);
        RP_TRY(pad_heads(&weight, head_dim, i < 3, &w[i], &owned[i], err));
    }
    for (uint32_t i = 0; i < 3; i++) {
        rp_host_matrix bias = host(biases[i]);
        RP_TRY(pad_heads(&bias, head_dim, false, &b[i], &owned[4 + i], err));
    }
    RP_TRY(rp_matrix_create(store, w, 3, storage, "query, key and value", &to->qkv, err));
    RP_TRY(rp_vectors_create(store, b, 3, "query, key and value", &to->qkv_bias, err));
    RP_TRY(rp_matrix_create(store, &w[3], 1, storage, "attention output", &to->dense, err));
    rp_host_matrix bias = host(&from->dense_bias);
    RP_TRY(rp_vectors_create(store, &bias, 1, "attention output", &to->dense_bias, err));
done:
    for (size_t i = 0; i < RP_COUNT(owned); i++) free(owned[i]);
    return status;
}

static rp_status send_layer(rp_model *model, const rp_layer_weights *from, rp_device_layer *to,
                            rp_error *err) {
    rp_storage storage = storage_of_layers(model);
    rp_status status;
    RP_TRY(send_attention(model, from, to, err));
    RP_TRY(send_linear(model, &from->ffn, &from->ffn_bias, storage, "ffn", &to->ffn, &to->ffn_bias, err));
    RP_TRY(send_linear(model, &from->ffn_output, &from->ffn_output_bias, storage, "ffn output",
                       &to->ffn_output, &to->ffn_output_bias, err));
    RP_TRY(send_norm(model, &from->attention_norm, &from->attention_norm_bias, "attention norm",
                     &to->attention_norm, err));
    RP_TRY(
        send_norm(model, &from->output_norm, &from->output_norm_bias, "output norm", &to->output_norm, err));
done:
    return status;
}

/* A model without types adds nothing for the one that every token has then: a row of zeros. */
static rp_status send_types(rp_model *model, rp_error *err) {
    const rp_weights *from = &model->weights;
    rp_storage table = storage_of_tables(model);
    rp_tensor types = from->type;
    void *zeros = NULL;
    if (!types.data) {
        types = (rp_tensor){.dtype = from->word.dtype, .rows = 1, .columns = from->word.columns};
        types.data = zeros = calloc(types.columns, sizeof(float));
        if (!zeros) return rp_fail_memory(err, "type embeddings", types.columns * sizeof(float));
    }
    rp_status status =
        send_linear(model, &types, NULL, table, "type embeddings", &model->on_device.type, NULL, err);
    free(zeros);
    return status;
}

static rp_status send_embeddings(rp_model *model, rp_error *err) {
    const rp_weights *from = &model->weights;
    rp_device_weights *to = &model->on_device;
    rp_storage table = storage_of_tables(model);
    rp_status status;
    RP_TRY(send_linear(model, &from->word, NULL, table, "word embeddings", &to->word, NULL, err));
    RP_TRY(send_linear(model, &from->position, NULL, table, "position embeddings", &to->position, NULL, err));
    RP_TRY(send_types(model, err));
    RP_TRY(send_norm(model, &from->embedding_norm, &from->embedding_norm_bias, "embedding norm",
                     &to->embedding_norm, err));
    RP_TRY(send_linear(model, &from->mapping, &from->mapping_bias, storage_of_layers(model), "mapping in",
                       &to->mapping, &to->mapping_bias, err));
done:
    return status;
}

static rp_status send_heads(rp_model *model, rp_error *err) {
    const rp_weights *from = &model->weights;
    rp_device_weights *to = &model->on_device;
    rp_storage table = storage_of_tables(model), small = RP_STORAGE_AS_IS;
    rp_status status;
    RP_TRY(send_linear(model, &from->pooler, &from->pooler_bias, table, "pooler", &to->pooler,
                       &to->pooler_bias, err));
    RP_TRY(send_linear(model, &from->classifier, &from->classifier_bias, small, "classifier", &to->classifier,
                       &to->classifier_bias, err));
    RP_TRY(send_linear(model, &from->order, &from->order_bias, small, "sentence order", &to->order,
                       &to->order_bias, err));
    if (!(from->heads & RP_HEAD_MASKED_LM)) goto done;
    RP_TRY(send_linear(model, &from->lm_dense, &from->lm_dense_bias, storage_of_layers(model), "masked LM",
                       &to->lm_dense, &to->lm_dense_bias, err));
    RP_TRY(send_norm(model, &from->lm_norm, &from->lm_norm_bias, "masked LM norm", &to->lm_norm, err));
    RP_TRY(send_linear(model, &from->lm_decoder, NULL, table, "decoder", &to->lm_decoder, NULL, err));
    rp_host_matrix bias = host(&from->lm_bias);
    RP_TRY(rp_vectors_create(&to->store, &bias, 1, "decoder bias", &to->lm_bias, err));
done:
    return status;
}

static uint64_t stored_bytes(const rp_tensor *tensor, rp_storage storage) {
    rp_host_matrix part = host(tensor);
    return rp_matrix_bytes(&part, 1, storage) + 1024; /* and room for its vector and alignment */
}

/* About what the weights take, so that they land in one allocation where the device allows it. */
uint64_t rp_model_weight_bytes(const rp_model *model) {
    uint32_t layers = model->config.groups * model->config.inner_layers;
    const rp_weights *weights = &model->weights;
    rp_storage storage = storage_of_layers(model), table = storage_of_tables(model);
    uint64_t bytes = stored_bytes(&weights->word, table) + stored_bytes(&weights->position, table) +
                     stored_bytes(&weights->type, table) + stored_bytes(&weights->mapping, storage) +
                     stored_bytes(&weights->pooler, table) +
                     stored_bytes(&weights->classifier, RP_STORAGE_AS_IS) +
                     stored_bytes(&weights->order, RP_STORAGE_AS_IS) +
                     stored_bytes(&weights->lm_dense, storage) + stored_bytes(&weights->lm_decoder, table);
    bytes += 4 * (uint64_t)(weights->lm_bias.columns + 8 * weights->mapping.rows);
    for (uint32_t i = 0; i < layers; i++) {
        const rp_layer_weights *layer = &weights->layers[i];
        bytes += 4 * stored_bytes(&layer->query, storage) + stored_bytes(&layer->ffn, storage) +
                 stored_bytes(&layer->ffn_output, storage) +
                 4 * (10 * (uint64_t)layer->query.rows + layer->ffn.rows) + 8192;
    }
    return bytes;
}

rp_status rp_model_upload(rp_model *model, rp_error *err) {
    rp_device_weights *to = &model->on_device;
    to->layer_count = model->config.groups * model->config.inner_layers;
    rp_store_init(&to->store, model->device, rp_model_weight_bytes(model), "weights");
    to->layers = rp_new_array(rp_device_layer, to->layer_count);
    if (!to->layers) return rp_fail_memory(err, "layers", to->layer_count * sizeof *to->layers);
    rp_status status = send_embeddings(model, err);
    for (uint32_t i = 0; !status && i < to->layer_count; i++)
        status = send_layer(model, &model->weights.layers[i], &to->layers[i], err);
    if (!status) status = send_heads(model, err);
    return status ? status : rp_store_flush(&to->store, err);
}

void rp_device_weights_finish(rp_device_weights *weights) {
    for (uint32_t i = 0; weights->layers && i < weights->layer_count; i++) {
        rp_matrix_finish(&weights->layers[i].qkv);
        rp_matrix_finish(&weights->layers[i].dense);
        rp_matrix_finish(&weights->layers[i].ffn);
        rp_matrix_finish(&weights->layers[i].ffn_output);
    }
    free(weights->layers);
    rp_matrix *matrices[] = {&weights->word,    &weights->position, &weights->type,
                             &weights->mapping, &weights->pooler,   &weights->classifier,
                             &weights->order,   &weights->lm_dense, &weights->lm_decoder};
    for (size_t i = 0; i < RP_COUNT(matrices); i++) rp_matrix_finish(matrices[i]);
    rp_store_finish(&weights->store);
    *weights = (rp_device_weights){0};
}
