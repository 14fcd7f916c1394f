/* Vectors of texts, as sentence-transformers makes them. */
#include "task.h"

#include <stdio.h>

#include "loader/unicode.h"
#include "pool.h"

/* ---- what to compute ---- */

typedef struct settings {
    rp_output output; /* of the runs */
    unsigned
        modes; /* hidden states are pooled here in these ways; 0: the output is pooled, or is not to be */
    const rp_module *modules; /* [module_count] that work on the pooled vector */
    size_t module_count;
    size_t width;   /* of the hidden states */
    size_t columns; /* of the vectors that are given back */
    bool normalize; /* last of all */
    rp_text prompt; /* put before every text; data NULL: none */
    size_t skip;    /* tokens of the prompt that are not pooled */
} settings;

/* Which way of pooling a run has as an output; the others are computed here from the hidden states. */
static bool pooled_on_device(unsigned modes, rp_output *output) {
    *output = modes == RP_POOL_MEAN  ? RP_OUTPUT_MEAN
              : modes == RP_POOL_CLS ? RP_OUTPUT_CLS
              : modes == RP_POOL_MAX ? RP_OUTPUT_MAX
                                     : RP_OUTPUT_HIDDEN;
    return *output != RP_OUTPUT_HIDDEN;
}

static unsigned count_bits(unsigned bits) {
    unsigned count = 0;
    for (; bits; bits &= bits - 1) count++;
    return count;
}

/* The folder's pooling with its modules, or the caller's alone: a folder's Dense is made for its own pooling.
 */
static void set_vectors(const rp_model *model, const rp_embed_params *params, settings *out) {
    static const unsigned chosen[] = {
        [RP_POOLING_MEAN] = RP_POOL_MEAN, [RP_POOLING_CLS] = RP_POOL_CLS, [RP_POOLING_MAX] = RP_POOL_MAX};
    const rp_pooling_config *folder = &model->pooling;
    size_t count = folder->module_count;
    bool normalizes = count && folder->modules[count - 1].kind == RP_MODULE_NORMALIZE;
    while (count && folder->modules[count - 1].kind == RP_MODULE_NORMALIZE) count--;
    out->width = out->columns = rp_model_get_info(model)->hidden_size;
    out->output = RP_OUTPUT_HIDDEN;
    out->normalize = params->normalize ? params->normalize == RP_NORMALIZE_YES
                                       : normalizes && params->pooling != RP_POOLING_NONE;
    if (params->pooling == RP_POOLING_NONE) return;
    unsigned modes = params->pooling ? chosen[params->pooling] : folder->modes ? folder->modes : RP_POOL_MEAN;
    if (!pooled_on_device(modes, &out->output) || out->skip) {
        out->output = RP_OUTPUT_HIDDEN;
        out->modes = modes;
    }
    out->columns *= count_bits(modes);
    if (params->pooling) return;
    out->modules = folder->modules;
    out->module_count = count;
    if (count) out->columns = folder->modules[count - 1].out;
}

/* ---- prompts ---- */

static rp_status fail_prompt(const rp_model *model, const char *name, rp_error *err) {
    const rp_pooling_config *folder = &model->pooling;
    char names[200] = "";
    for (size_t i = 0, used = 0; i < folder->prompt_count && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%.60s", i ? ", " : "",
                                 folder->prompts[i].name);
    if (!*names)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "there is no prompt \"%.80s\": %.200s names none in its "
                       "config_sentence_transformers.json; give the prompt's text instead",
                       name, model->dir);
    return rp_fail(err, RP_ERROR_ARGUMENT, "there is no prompt \"%.80s\"; %.120s has: %s", name, model->dir,
                   names);
}

static rp_status choose_prompt(const rp_model *model, const rp_embed_params *params, settings *out,
                               rp_error *err) {
    const rp_pooling_config *folder = &model->pooling;
    const char *text = params->prompt ? params->prompt : params->prompt_name ? NULL : folder->default_prompt;
    for (size_t i = 0; !text && params->prompt_name && i < folder->prompt_count; i++)
        if (!strcmp(folder->prompts[i].name, params->prompt_name)) text = folder->prompts[i].text;
    if (!text && params->prompt_name) return fail_prompt(model, params->prompt_name, err);
    if (text) out->prompt = (rp_text){text, strlen(text)};
    return RP_OK;
}

/* ---- texts ---- */

/* Without the white space at both ends, as Python's str.strip(). */
static rp_text strip(rp_text text) {
    size_t start = text.size, end = 0;
    for (size_t at = 0; at < text.size;) {
        size_t from = at;
        if (rp_char_is_space(rp_utf8_next(text.data, &at))) continue;
        if (from < start) start = from;
        end = at;
    }
    return end ? (rp_text){text.data + start, end - start} : (rp_text){text.data, 0};
}

/* In lower case; the memory is the caller's. */
static rp_status lower(rp_text text, char **out, size_t *size, rp_error *err) {
    rp_chars chars = {0}, lowered = {0};
    bool ok = true;
    for (size_t at = 0; ok && at < text.size;) ok = rp_chars_push(&chars, rp_utf8_next(text.data, &at), 0, 0);
    ok = ok && rp_chars_lower(&chars, &lowered);
    *size = 0;
    *out = ok ? malloc(lowered.count * 4 + 1) : NULL;
    for (size_t i = 0; *out && i < lowered.count; i++)
        *size += rp_utf8_put(*out + *size, lowered.items[i].code);
    free(chars.items);
    free(lowered.items);
    return *out ? RP_OK : rp_fail_memory(err, "a text in lower case", text.size);
}

/* sentence-transformers puts the prompt before the text, strips both together, and lower-cases them where the
 * folder says so. `*owned`, freed by the caller, is the memory of a rewritten text. Texts that are not UTF-8
 * or too long are left to the tokenizer, which says so. */
static rp_status prepare_text(const rp_model *model, rp_text prompt, rp_text *text, char **owned,
                              rp_error *err) {
    char *joined = NULL;
    *owned = NULL;
    if (!text->data) *text = (rp_text){"", 0};
    if (text->size > RP_TEXT_BYTES_MAX || rp_utf8_check(text->data, text->size) < text->size) return RP_OK;
    if (prompt.size) {
        *owned = joined = malloc(prompt.size + text->size);
        if (!joined) return rp_fail_memory(err, "a text with its prompt", prompt.size + text->size);
        memcpy(joined, prompt.data, prompt.size);
        memcpy(joined + prompt.size, text->data, text->size);
        *text = (rp_text){joined, prompt.size + text->size};
    }
    *text = strip(*text);
    if (!model->pooling.do_lower_case) return RP_OK;
    rp_status status = lower(*text, owned, &text->size, err);
    text->data = *owned;
    free(joined);
    return status;
}

/* sentence_bert_config.json goes before the tokenizer's own limit. */
static uint32_t longest(const rp_model *model) {
    uint32_t asked = model->pooling.max_seq_length, takes = rp_model_get_info(model)->max_tokens;
    return !asked ? rp_task_max_tokens(model) : asked < takes ? asked : takes;
}

rp_status rp_embed_tokenize(const rp_model *model, rp_text text, uint32_t max_tokens, rp_encoding *out,
                            rp_error *err) {
    uint32_t most = longest(model);
    const rp_tokenize_params params = {.max_tokens = max_tokens && max_tokens < most ? max_tokens : most};
    char *owned = NULL;
    rp_status status = prepare_text(model, (rp_text){0}, &text, &owned, err);
    if (!status) status = rp_task_tokenize(model, text, (rp_text){0}, &params, out, err);
    free(owned);
    return status;
}

/* The tokens of the prompt alone, with what the tokenizer puts before it but not what it puts behind. */
static rp_status count_prompt(const rp_model *model, settings *p, rp_error *err) {
    const rp_tokenize_params params = {.max_tokens = longest(model)};
    rp_encoding encoding = {0};
    rp_text text = p->prompt;
    char *owned = NULL;
    size_t bad = rp_utf8_check(text.data, text.size);
    if (bad < text.size)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "the prompt is not valid UTF-8 at byte %zu; convert it to UTF-8", bad);
    if (!model->pooling.leave_out_prompt) return RP_OK;
    rp_status status = prepare_text(model, (rp_text){0}, &text, &owned, err);
    if (!status)
        status = rp_tokenize(rp_model_get_tokenizer(model), text, (rp_text){0}, &params, &encoding, err);
    if (!status && encoding.count) p->skip = encoding.count - 1;
    rp_encoding_free(&encoding);
    free(owned);
    return status;
}

/* ---- the settings ---- */

static rp_status cut_columns(const rp_embed_params *params, settings *out, rp_error *err) {
    if (!params->dimensions) return RP_OK;
    if (params->pooling == RP_POOLING_NONE)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "dimensions: only vectors of whole texts can be cut; choose a pooling");
    if (params->dimensions > out->columns)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "dimensions is %u, but this model's vectors have %zu; ask for fewer",
                       params->dimensions, out->columns);
    out->columns = params->dimensions;
    return RP_OK;
}

/* What the caller chose, and for the rest what the folder says. */
static rp_status make_settings(const rp_model *model, const rp_embed_params *params, settings *out,
                               rp_error *err) {
    const rp_error *trouble = &model->pooling_error;
    bool chosen = params->pooling == RP_POOLING_NONE || (params->pooling && params->normalize);
    if ((unsigned)params->pooling > RP_POOLING_NONE || (unsigned)params->normalize > RP_NORMALIZE_NO)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_embed: no such pooling or normalization");
    if (trouble->status && (trouble->status != RP_ERROR_UNSUPPORTED || !chosen))
        return rp_fail(err, trouble->status, "%s%s", trouble->message,
                       trouble->status == RP_ERROR_UNSUPPORTED
                           ? "; embed works with a pooling and a normalization of your choice"
                           : "");
    rp_status status = choose_prompt(model, params, out, err);
    if (!status && out->prompt.data) status = count_prompt(model, out, err);
    if (status) return status;
    set_vectors(model, params, out);
    return cut_columns(params, out, err);
}

/* ---- vectors ---- */

/* The texts of one call on their way. Where hidden states are pooled here, sequences are run as soon as there
 * are enough for a few submissions: those of all texts would take much more memory than their vectors. */
typedef struct embedder {
    rp_model *model;
    rp_result *result;
    settings settings;
    rp_tokenized tokenized;
    size_t tokens;  /* of it */
    float *vectors; /* of the sequences that were run */
    size_t used, capacity;
    float *vector, *scratch; /* room for the widest vector on the way */
} embedder;

/* From what the run gave for sequence `s`, one row or one a token, to the vectors of its entry. */
static rp_status take(embedder *e, size_t s, const float *raw, rp_error *err) {
    const settings *p = &e->settings;
    size_t entry = e->tokenized.entries[s], tokens = e->tokenized.sequences[s].count;
    size_t rows = p->output == RP_OUTPUT_HIDDEN && !p->modes ? tokens : 1;
    if (!rp_grow((void **)&e->vectors, &e->capacity, e->used + rows * p->columns, sizeof *e->vectors))
        return rp_fail_memory(err, "the vectors of texts",
                              (e->used + rows * p->columns) * sizeof *e->vectors);
    float *to = e->vectors + e->used;
    for (size_t row = 0; row < rows; row++, to += p->columns) {
        if (p->modes)
            rp_pool_hidden(raw, tokens, p->width, p->modes, p->skip, e->vector);
        else
            memcpy(e->vector, raw + row * p->width, p->width * sizeof *raw);
        rp_modules_apply(p->modules, p->module_count, e->vector, e->scratch);
        memcpy(to, e->vector, p->columns * sizeof *to);
        if (p->normalize) rp_normalize_vector(to, p->columns);
    }
    rp_result_check(e->result, entry, e->vectors + e->used, rows * p->columns);
    e->result->entries[entry].rows = rows;
    e->result->entries[entry].columns = p->columns;
    e->used += rows * p->columns;
    return RP_OK;
}

static rp_status run_texts(embedder *e, rp_error *err) {
    const rp_run_params params = {.output = e->settings.output};
    float *raw = NULL;
    rp_status status = rp_tokenized_run(&e->tokenized, e->model, e->settings.output, e->result, &raw, err);
    const float *at = raw;
    for (size_t s = 0; !status && s < e->tokenized.count; s++) {
        status = take(e, s, at, err);
        at += rp_model_output_size(e->model, &e->tokenized.sequences[s], 1, &params);
    }
    free(raw);
    rp_tokenized_cut(&e->tokenized, 0);
    e->tokens = 0;
    return status;
}

static rp_status add_text(embedder *e, rp_text text, size_t i, rp_error *err) {
    char *owned = NULL;
    size_t before = e->tokenized.count;
    rp_status status = prepare_text(e->model, e->settings.prompt, &text, &owned, err);
    if (!status) status = rp_tokenized_add(&e->tokenized, e->model, text, (rp_text){0}, i, e->result, err);
    free(owned);
    if (!status && e->tokenized.count > before) e->tokens += e->tokenized.sequences[before].count;
    if (!status && e->settings.modes && e->tokens / 4 >= rp_model_get_info(e->model)->max_batch_tokens)
        status = run_texts(e, err);
    return status;
}

static rp_status embed_all(embedder *e, const rp_text *texts, size_t count, rp_error *err) {
    const settings *p = &e->settings;
    size_t pooled = p->width * (p->modes ? count_bits(p->modes) : 1);
    size_t widest = rp_modules_widest(p->modules, p->module_count, pooled);
    rp_status status = RP_OK;
    e->vector = rp_new_array(float, widest);
    e->scratch = rp_new_array(float, widest);
    if (!e->vector || !e->scratch) status = rp_fail_memory(err, "a vector", widest * sizeof *e->vector);
    e->tokenized.max_tokens = longest(e->model);
    for (size_t i = 0; !status && i < count; i++) status = add_text(e, texts[i], i, err);
    if (!status) status = run_texts(e, err);
    float *vectors = e->result->floats = e->vectors;
    for (size_t i = 0; !status && i < count; i++) {
        rp_entry *entry = &e->result->entries[i];
        if (!entry->rows) continue;
        entry->vectors = vectors;
        vectors += entry->rows * entry->columns;
    }
    return status;
}

rp_status rp_embed(rp_model *model, const rp_text *texts, size_t count, const rp_embed_params *params,
                   rp_result **out, rp_error *err) {
    const rp_embed_params chosen = params ? *params : (rp_embed_params){0};
    rp_task task = {
        .model = model, .head = 0, .command = "embed", .inputs = texts, .count = count, .out = out};
    RP_TASK_PARAMS(task, params);
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    embedder e = {.model = model, .result = *out};
    (*out)->many = chosen.pooling == RP_POOLING_NONE;
    status = make_settings(model, &chosen, &e.settings, err);
    if (!status) status = embed_all(&e, texts, count, err);
    rp_tokenized_finish(&e.tokenized);
    free(e.vector);
    free(e.scratch);
    return rp_task_end(&task, status);
}
