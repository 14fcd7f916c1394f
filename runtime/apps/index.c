#include "apps/index.h"

#include <stdio.h>

#include "base/os.h"
#include "loader/json.h"
#include "loader/unicode.h"

/* ---- which model ---- */

/* The first bytes of a tensor. */
static uint64_t sample(const rp_tensor *tensor, uint64_t hash) {
    size_t bytes = (size_t)tensor->rows * tensor->columns * (tensor->dtype == RP_F32 ? 4 : 2);
    if (!tensor->data) return hash;
    return rp_index_hash(tensor->data, bytes < 4096 ? bytes : 4096, hash);
}

uint64_t rp_index_identify(const rp_model *model) {
    const rp_config *c = &model->config;
    const rp_pooling_config *p = &model->pooling;
    const uint32_t shape[] = {c->family,          c->vocab_size, c->embedding_size,    c->hidden_size,
                              c->layers,          c->groups,     c->intermediate_size, c->attention_heads,
                              c->activation,      p->modes,      p->max_seq_length,    p->do_lower_case,
                              p->leave_out_prompt};
    uint64_t hash = rp_index_hash(shape, sizeof shape, 0);
    for (size_t i = 0; i < p->module_count; i++) {
        const rp_module *m = &p->modules[i];
        const uint32_t module[] = {m->kind, m->in, m->out};
        hash = rp_index_hash(module, sizeof module, hash);
        if (m->weight) hash = rp_index_hash(m->weight, m->out * sizeof *m->weight, hash);
    }
    hash = sample(&model->weights.word, hash);
    for (size_t i = 0; model->weights.layers && i < (size_t)c->groups * c->inner_layers; i++)
        hash = sample(&model->weights.layers[i].query, hash); /* training may leave the first ones alone */
    return hash ? hash : 1;
}

void rp_index_name(const rp_model *model, char out[RP_INDEX_NAME]) {
    const char *dir = rp_model_get_info(model)->dir;
    size_t size = strlen(dir);
    while (size > 1 && dir[size - 1] == '/') size--;
    size_t from = size;
    while (from && dir[from - 1] != '/') from--;
    const char *name = dir + from;
    int fit = rp_text_fit(name, RP_INDEX_NAME - 1);
    if ((size_t)fit > size - from) fit = (int)(size - from);
    snprintf(out, RP_INDEX_NAME, "%.*s", fit, name);
    for (size_t bad; (bad = rp_utf8_check(out, (size_t)fit)) < (size_t)fit;) out[bad] = '?';
}

const char *rp_index_prompt(const rp_model *model, const rp_embed_params *params) {
    const rp_pooling_config *p = &model->pooling;
    if (params->prompt) return params->prompt;
    for (size_t i = 0; params->prompt_name && i < p->prompt_count; i++)
        if (!strcmp(p->prompts[i].name, params->prompt_name)) return p->prompts[i].text;
    return p->default_prompt && !params->prompt_name ? p->default_prompt : "";
}

/* ---- opening and closing ---- */

static void destroy(rp_index *index) {
    rp_scan_close(index->scan);
    rp_index_file_close(&index->file);
    rp_turns_finish(&index->turns);
    rp_gate_finish(&index->gate);
    free(index);
}

static rp_status open_index(rp_device *device, const char *path, rp_index **out, rp_error *err) {
    rp_index *index = rp_new(rp_index);
    if (!index) return rp_fail_memory(err, "an index", sizeof *index);
    index->owner = rp_os_process();
    rp_turns_init(&index->turns);
    rp_gate_init(&index->gate);
    rp_status status = rp_index_file_open(path, &index->file, err);
    const rp_index_head *h = &index->file.head;
    index->info = (rp_index_info){.path = index->file.path,
                                  .count = h->count,
                                  .width = h->width,
                                  .model = h->model,
                                  .pooling = (rp_pooling)h->pooling,
                                  .prompt = h->prompt,
                                  .vectors_at = RP_INDEX_HEAD};
    if (!status && device) status = rp_scan_open(device, &index->file, &index->scan, err);
    if (!status && device) index->info.device_bytes = rp_scan_bytes(index->scan);
    if (status)
        destroy(index);
    else
        *out = index;
    return status;
}

rp_status rp_index_open(rp_device *device, const char *path, const rp_index_open_params *params,
                        rp_index **out, rp_error *err) {
    rp_visit visit;
    if (out) *out = NULL;
    if (!path || !out) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_index_open: path and out must not be NULL");
    rp_status status =
        rp_check_reserved(params ? params->reserved : NULL, RP_COUNT(params->reserved), "rp_index_open", err);
    if (!status && device) status = rp_device_check_owner(device, err);
    if (!status)
        status = rp_visit_enter(&visit, device ? &device->gate : NULL, params ? params->call : NULL,
                                "rp_index_open", err);
    if (status) return status;
    status = open_index(device, path, out, err);
    rp_visit_leave(&visit);
    return status;
}

rp_status rp_index_close(rp_index **pointer) {
    if (!pointer || !*pointer) return RP_OK;
    rp_index *index = *pointer;
    bool forked = index->owner != rp_os_process();
    if (!forked && !rp_gate_close(&index->gate)) return RP_ERROR_ARGUMENT;
    *pointer = NULL;
    if (!forked) destroy(index);
    return RP_OK;
}

/* ---- reading ---- */

const rp_index_info *rp_index_get_info(const rp_index *index) {
    return index ? &index->info : NULL;
}

static rp_status check_number(const rp_index *index, uint64_t number, const void *out, const char *function,
                              rp_error *err) {
    if (!index || !out)
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: index and out must not be NULL", function);
    if (number < index->info.count) return RP_OK;
    return rp_fail(err, RP_ERROR_ARGUMENT, "%s: there is no document %llu; the index has %llu, from 0 on",
                   function, (unsigned long long)number, (unsigned long long)index->info.count);
}

rp_status rp_index_document(const rp_index *index, uint64_t number, rp_document *out, rp_error *err) {
    rp_status status = check_number(index, number, out, "rp_index_document", err);
    return status ? status : rp_index_read(&index->file, number, out, err);
}

rp_status rp_index_vector(const rp_index *index, uint64_t number, float *out, rp_error *err) {
    rp_status status = check_number(index, number, out, "rp_index_vector", err);
    if (!status) status = rp_index_check_rows(&index->file, number / RP_INDEX_BLOCK * RP_INDEX_BLOCK, 1, err);
    if (!status) rp_index_row(&index->file, number, out);
    return status;
}
