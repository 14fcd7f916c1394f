/* Files of weights: model.safetensors, and others like it. */
#include <stdio.h>

#include "base/half.h"
#include "loader/convert.h"
#include "loader/json.h"
#include "loader/json_write.h"
#include "loader/weights_files.h"

enum { CHUNK = 1 << 16 }; /* elements that are converted at once */

typedef struct item {
    char name[RP_NAME_SIZE + 16];
    const rp_tensor *tensor;
    uint32_t rank;
} item;

typedef struct list {
    const rp_conversion *c;
    bool bare; /* the class is the encoder itself: its tensors have no prefix */
    item *items;
    size_t count, capacity;
    uint64_t done, all; /* bytes that are written, and of all tensors */
} list;

rp_dtype rp_convert_target(const rp_conversion *c, rp_dtype dtype) {
    if (c->dtype == RP_CONVERT_F32) return RP_F32;
    return c->dtype == RP_CONVERT_F16 ? RP_F16 : dtype;
}

static size_t width_of(rp_dtype dtype) {
    return dtype == RP_F32 ? 4 : 2;
}

static size_t count_of(const rp_tensor *tensor) {
    return (size_t)tensor->rows * tensor->columns;
}

/* ---- which tensors ---- */

static rp_status add(list *l, const char *prefix, const char *name, const rp_tensor *tensor, uint32_t rank) {
    if (!rp_grow((void **)&l->items, &l->capacity, l->count + 1, sizeof *l->items))
        return rp_fail_memory(l->c->err, "a list of tensors", (l->count + 1) * sizeof *l->items);
    item *it = &l->items[l->count++];
    *it = (item){.tensor = tensor, .rank = rank};
    snprintf(it->name, sizeof it->name, "%s%s%s", prefix, *prefix ? "." : "", name);
    return RP_OK;
}

static rp_status add_slot(const rp_slot *slot, void *context) {
    list *l = context;
    const char *prefix = slot->prefixed && !l->bare ? rp_names_of(l->c->config.family)->prefix : "";
    if (!slot->tensor->data) return RP_OK;
    return add(l, prefix, slot->name, slot->tensor, slot->kind == RP_SLOT_MATRIX ? 2 : 1);
}

/* The bias of the masked language model has two names for one tensor. transformers 4 reads an ALBERT's by the
 * one and transformers 5 by the other, so that one has both. */
static rp_status add_lm(list *l) {
    const rp_weights *w = &l->c->weights;
    const rp_family_names *names = rp_names_of(l->c->config.family);
    bool albert = l->c->config.family == RP_FAMILY_ALBERT;
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < RP_COUNT(names->lm_biases) && (albert || i == 0); i++)
        if (names->lm_biases[i] && w->lm_bias.data) status = add(l, "", names->lm_biases[i], &w->lm_bias, 1);
    if (!status && w->lm_decoder.data) status = add(l, "", names->decoder, &w->lm_decoder, 2);
    return status;
}

/* The internal classifiers, where there are any. */
static rp_status add_exits(list *l) {
    const rp_exit_weights *exits = l->c->weights.exits;
    rp_status status = RP_OK;
    char name[64];
    for (uint32_t i = 0; !status && exits && i < l->c->config.layers; i++) {
        snprintf(name, sizeof name, "classifiers.%u.weight", i);
        status = add(l, "", name, &exits[i].weight, 2);
        snprintf(name, sizeof name, "classifiers.%u.bias", i);
        if (!status) status = add(l, "", name, &exits[i].bias, 1);
    }
    return status;
}

static rp_status collect(list *l, rp_conversion *c) {
    rp_status status =
        rp_slots_each(&c->config, &c->weights, RP_PART_ENCODER | c->weights.heads, add_slot, l);
    if (!status) status = add_exits(l);
    return status || !(c->weights.heads & RP_HEAD_MASKED_LM) ? status : add_lm(l);
}

/* ---- writing ---- */

/* The header, its length in front, padded so that the data is aligned. */
static rp_status write_header(list *l, rp_conversion *c) {
    static const char *const dtypes[] = {[RP_F32] = "F32", [RP_F16] = "F16", [RP_BF16] = "BF16"};
    rp_json_writer w = {.compact = true};
    unsigned char length[8];
    uint64_t at = 0;
    size_t size = 0;
    rp_json_write_open(&w, NULL, '{');
    rp_json_write_open(&w, "__metadata__", '{');
    rp_json_write_string(&w, "format", "pt");
    rp_json_write_close(&w, '}');
    for (size_t i = 0; i < l->count; i++) {
        const rp_tensor *t = l->items[i].tensor;
        rp_dtype dtype = rp_convert_target(c, t->dtype);
        rp_json_write_open(&w, l->items[i].name, '{');
        rp_json_write_string(&w, "dtype", dtypes[dtype]);
        rp_json_write_open(&w, "shape", '[');
        if (l->items[i].rank == 2) rp_json_write_integer(&w, NULL, t->rows);
        rp_json_write_integer(&w, NULL, t->columns);
        rp_json_write_close(&w, ']');
        rp_json_write_open(&w, "data_offsets", '[');
        rp_json_write_integer(&w, NULL, (int64_t)at);
        rp_json_write_integer(&w, NULL, (int64_t)(at += count_of(t) * width_of(dtype)));
        rp_json_write_close(&w, ']');
        rp_json_write_close(&w, '}');
    }
    rp_json_write_close(&w, '}');
    l->all = at;
    char *text = rp_json_writer_finish(&w, &size);
    if (!text) return rp_fail_memory(c->err, "a header", w.size);
    text[--size] = ' '; // in place of the line end
    size_t padded = rp_round_up(++size, sizeof length);
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)padded >> 8 * i);
    rp_status status = rp_staging_write(&c->staging, length, sizeof length, c->err);
    if (!status) status = rp_staging_write(&c->staging, text, size, c->err);
    if (!status) status = rp_staging_write(&c->staging, "        ", padded - size, c->err);
    free(text);
    return status;
}

static rp_status fail_large(const rp_conversion *c, const item *it, float value) {
    return rp_fail(c->err, RP_ERROR_FORMAT,
                   "%s: %s: a weight of %g is beyond what F16 can hold; convert to f32",
                   rp_path_shown(c->weights.files->path), it->name, (double)value);
}

/* `count` floats as 16-bit ones, in place. False: `*large` is one that is too large. */
static bool narrow(float *values, size_t count, float *large) {
    uint16_t *to = (uint16_t *)values;
    for (size_t i = 0; i < count; i++) {
        float value = values[i];
        uint16_t bits = rp_float_to_half(value);
        if ((bits & 0x7fff) == 0x7c00) {
            *large = value;
            return false;
        }
        memcpy(to + i, &bits, sizeof bits);
    }
    return true;
}

/* Tell how far it is; the answer may be to stop. */
static rp_status tell(list *l, rp_conversion *c, size_t bytes) {
    const rp_convert_handler *handler = c->handler;
    l->done += bytes;
    if (!handler || !handler->progress || handler->progress(handler->user, l->done, l->all)) return RP_OK;
    return rp_fail(c->err, RP_ERROR_STOPPED, "%s: stopped before it was written; nothing of it is left",
                   rp_path_shown(c->staging.out));
}

static rp_status write_tensor(list *l, rp_conversion *c, const item *it, float *buffer) {
    const rp_tensor *t = it->tensor;
    rp_dtype dtype = rp_convert_target(c, t->dtype);
    size_t count = count_of(t), width = width_of(t->dtype);
    float large = 0;
    for (size_t at = 0; at < count; at += CHUNK) {
        size_t some = count - at < CHUNK ? count - at : CHUNK;
        const void *bytes = (const char *)t->data + at * width;
        if (dtype != t->dtype) {
            rp_tensor_read(t, at, some, buffer);
            if (dtype == RP_F16 && !narrow(buffer, some, &large)) return fail_large(c, it, large);
            bytes = buffer;
        }
        rp_status status = rp_staging_write(&c->staging, bytes, some * width_of(dtype), c->err);
        if (!status) status = tell(l, c, some * width_of(dtype));
        if (status) return status;
    }
    return RP_OK;
}

rp_status rp_convert_weights(rp_conversion *c, const char *file) {
    const char *class = rp_names_of(c->config.family)->class;
    list l = {.c = c, .bare = !strcmp(c->architecture + strlen(class), "Model")};
    float *buffer = malloc(CHUNK * sizeof *buffer);
    char name[RP_NAME_SIZE];
    snprintf(name, sizeof name, "%s%s", c->sub, file);
    rp_status status = buffer ? collect(&l, c) : rp_fail_memory(c->err, "weights", CHUNK * sizeof *buffer);
    if (!status) status = rp_staging_begin(&c->staging, name, c->err);
    if (!status) status = write_header(&l, c);
    for (size_t i = 0; !status && i < l.count; i++) status = write_tensor(&l, c, &l.items[i], buffer);
    if (!status) status = rp_staging_end(&c->staging, c->err);
    free(l.items);
    free(buffer);
    return status;
}
