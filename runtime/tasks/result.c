/* Results: made before a task starts, read by the accessors of tasks.h. */
#include "task.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "loader/json.h"
#include "loader/tokenizer.h"

typedef struct served {
    unsigned head; // 0: every folder can
    const char *command;
} served;

static const served commands[] = {
    {RP_HEAD_CLASSIFIER, "classify"},
    {RP_HEAD_MASKED_LM, "fill-mask"},
    {RP_HEAD_TOKENS, "tag"},
    {RP_HEAD_SPANS, "answer"},
    {RP_HEAD_ORDER, "coherence"},
    {RP_HEAD_CHOICE, "choose"},
    {0, "embed"},
};

static void append(char *list, size_t size, const char *word) {
    size_t used = strlen(list);
    snprintf(list + used, size - used, "%s%s", used ? ", " : "", word);
}

/* Why `model` has no `head`, and which commands it can serve. */
static rp_status missing_head(const rp_model *model, unsigned head, const char *command, rp_error *err) {
    const rp_model_info *info = rp_model_get_info(model);
    const rp_error *why = rp_weights_left_out(&model->weights, head);
    char can[120] = "";
    for (size_t i = 0; i < RP_COUNT(commands); i++) {
        if ((info->heads & commands[i].head) != commands[i].head) continue;
        append(can, sizeof can, commands[i].command);
    }
    if (why)
        return rp_fail(err, RP_ERROR_HEAD, "this model cannot do %s: %s; it can do %s", command, why->message,
                       can);
    return rp_fail(err, RP_ERROR_HEAD, "%s: this model cannot do %s (no such head); it can do %s (%s)",
                   rp_path_shown(info->dir), command, can,
                   info->architecture && *info->architecture ? info->architecture
                                                             : "it names no architecture");
}

/* Where id2label has numbers in place of strings, keep which, and the names by which entities are known. */
static bool keep_bare_labels(rp_result *result, const rp_model_info *info) {
    bool any = false;
    for (uint32_t i = 0; i < info->label_count; i++) any = any || info->label_bare[i];
    if (!any) return true;
    result->label_count = info->label_count;
    result->bare = rp_result_array(result, info->label_bare, info->label_count, sizeof *result->bare, NULL);
    result->label_names = rp_result_array(result, NULL, info->label_count, sizeof *result->label_names, NULL);
    if (!result->bare || !result->label_names) return false;
    for (uint32_t i = 0; i < info->label_count; i++) {
        result->label_names[i] = rp_result_text(result, info->labels[i], strlen(info->labels[i]), NULL);
        if (!result->label_names[i]) return false;
    }
    return true;
}

rp_status rp_result_make(size_t count, rp_answer_write *write, rp_result **out, rp_error *err) {
    rp_result *result = rp_new(rp_result);
    rp_entry *entries = rp_new_array(rp_entry, count);
    if (!result || !entries) {
        free(result);
        free(entries);
        return rp_fail_memory(err, "the results", (unsigned long long)count * sizeof *entries);
    }
    for (size_t i = 0; i < count; i++) entries[i].message = "";
    *result = (rp_result){.entries = entries, .count = count, .write = write};
    *out = result;
    return RP_OK;
}

static rp_status make_result(const rp_task *task, rp_error *err) {
    const rp_model_info *info = rp_model_get_info(task->model);
    rp_result *result = NULL;
    rp_status status = rp_result_make(task->count, task->write, &result, err);
    if (status) return status;
    result->head = task->head;
    if (task->head & (RP_HEAD_CLASSIFIER | RP_HEAD_TOKENS) && !keep_bare_labels(result, info)) {
        rp_result_free(&result);
        return rp_fail_memory(err, "the results", (unsigned long long)info->label_count * sizeof(char *));
    }
    *task->out = result;
    return RP_OK;
}

/* During the visit of the call. */
static rp_status check_model(const rp_task *task, rp_error *err) {
    const rp_model_info *info = rp_model_get_info(task->model);
    if ((info->heads & task->head) != task->head)
        return missing_head(task->model, task->head, task->command, err);
    if (rp_model_get_tokenizer(task->model)) return RP_OK;
    return rp_fail(err, RP_ERROR_FILE,
                   "%s: no tokenizer.json, spiece.model or vocab.txt; %s needs the model's tokenizer",
                   info->dir, task->command);
}

rp_status rp_task_begin(rp_task *task, rp_error *err) {
    if (task->out) *task->out = NULL;
    if (!task->model || !task->out || (task->count && !task->inputs))
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: model, inputs and out must not be NULL", task->command);
    rp_status status = rp_check_reserved(task->reserved, task->reserved_count, task->command, err);
    if (!status) status = rp_model_enter(task->model, &task->visit, task->call, task->command, err);
    if (status) return status;
    task->visit.total = task->count;
    status = check_model(task, err);
    if (!status) status = make_result(task, err);
    if (status) rp_visit_leave(&task->visit);
    return status;
}

rp_status rp_task_end(rp_task *task, rp_status status) {
    if (!status) rp_call_progress(task->count);
    rp_visit_leave(&task->visit);
    if (status) rp_result_free(task->out);
    return status;
}

void rp_result_fail(rp_result *result, size_t i, const rp_error *why) {
    const char *copy = rp_arena_copy(&result->arena, why->message, strlen(why->message));
    result->entries[i].status = why->status;
    result->entries[i].message = copy ? copy : "out of host memory";
}

void rp_result_count_tokens(rp_result *result, size_t i, const rp_encoding *encoding) {
    rp_entry *entry = &result->entries[i];
    uint32_t tokens = (uint32_t)encoding->count + encoding->left_out;
    entry->truncated |= encoding->truncated;
    if (tokens <= entry->tokens) return;
    entry->tokens = tokens;
    entry->taken = (uint32_t)encoding->count;
}

rp_status rp_result_blame(rp_result *result, size_t i, rp_status status, const rp_error *why, rp_error *err) {
    if (status == RP_ERROR_HOST_MEMORY || status == RP_ERROR_CANCELLED || status == RP_ERROR_DEADLINE)
        return rp_fail(err, status, "%s", why->message);
    if (status) rp_result_fail(result, i, why);
    return RP_OK;
}

void rp_result_check(rp_result *result, size_t i, float *values, size_t count) {
    static const rp_error why = {RP_ERROR_FORMAT,
                                 "the model computed a number that is not finite; its weights "
                                 "are damaged or too large"};
    size_t k = 0;
    while (k < count && isfinite(values[k])) k++;
    if (k == count) return;
    rp_result_fail(result, i, &why);
    memset(values, 0, count * sizeof *values);
}

char *rp_result_text(rp_result *result, const char *data, size_t size, rp_error *err) {
    char *copy = rp_arena_copy(&result->arena, data, size);
    if (!copy) rp_fail_memory(err, "the results", size);
    return copy;
}

void *rp_result_array(rp_result *result, const void *items, size_t count, size_t size, rp_error *err) {
    void *copy = rp_arena_alloc(&result->arena, count, size);
    if (!copy)
        rp_fail_memory(err, "the results", (unsigned long long)count * size);
    else if (count && items)
        memcpy(copy, items, count * size);
    return copy;
}

rp_status rp_task_check_pairs(const rp_model *model, rp_error *err) {
    const rp_tokenizer *tokenizer = rp_model_get_tokenizer(model);
    uint32_t types = model->config.type_vocab_size; /* of a DistilBERT 0: it looks at none */
    if (!types || tokenizer->without_types) return RP_OK;
    for (size_t i = 0; i < tokenizer->pair.count; i++)
        if ((uint32_t)tokenizer->pair.pieces[i].type >= types)
            return rp_fail(err, RP_ERROR_UNSUPPORTED,
                           "%s: type_vocab_size is %u, but the tokenizer gives two texts type %d too: this "
                           "model takes one text at a time",
                           model->config.path, types, (int)tokenizer->pair.pieces[i].type);
    return RP_OK;
}

void rp_result_free(rp_result **result) {
    if (!result || !*result) return;
    rp_arena_finish(&(*result)->arena);
    free((*result)->entries);
    free((*result)->floats);
    free(*result);
    *result = NULL;
}

/* Entry i, or NULL when there is none or it failed. */
static const rp_entry *entry_of(const rp_result *result, size_t i) {
    return result && i < result->count && !result->entries[i].status ? &result->entries[i] : NULL;
}

static const void *items_of(const void *items, size_t count, size_t *out) {
    if (out) *out = items ? count : 0;
    return count ? items : NULL;
}

const void *rp_result_app(const rp_result *result, size_t i, rp_answer_write *write, size_t *count) {
    const rp_entry *entry = result && result->write == write ? entry_of(result, i) : NULL;
    return items_of(entry ? entry->app : NULL, entry ? entry->count : 0, count);
}

size_t rp_result_count(const rp_result *result) {
    return result ? result->count : 0;
}

rp_status rp_result_status(const rp_result *result, size_t i, const char **message) {
    bool there = result && i < result->count;
    if (message) *message = there ? result->entries[i].message : "no such entry";
    return there ? result->entries[i].status : RP_ERROR_ARGUMENT;
}

bool rp_result_truncated(const rp_result *result, size_t i) {
    const rp_entry *entry = entry_of(result, i);
    return entry && entry->truncated;
}

uint32_t rp_result_tokens(const rp_result *result, size_t i, uint32_t *taken) {
    const rp_entry *entry = entry_of(result, i);
    if (taken) *taken = entry ? entry->taken : 0;
    return entry ? entry->tokens : 0;
}

const rp_label *rp_result_labels(const rp_result *result, size_t i, size_t *count) {
    const rp_entry *entry = entry_of(result, i);
    return items_of(entry ? entry->labels : NULL, entry ? entry->count : 0, count);
}

const rp_word *rp_result_words(const rp_result *result, size_t i, size_t *count) {
    const rp_entry *entry = entry_of(result, i);
    return items_of(entry ? entry->words : NULL, entry ? entry->word_count : 0, count);
}

size_t rp_result_mask_count(const rp_result *result, size_t i) {
    const rp_entry *entry = entry_of(result, i);
    return entry && entry->masks ? entry->count : 0;
}

const rp_fill *rp_result_fills(const rp_result *result, size_t i, size_t mask, size_t *count) {
    const rp_entry *entry = entry_of(result, i);
    bool there = entry && entry->masks && mask < entry->count;
    return items_of(there ? entry->masks[mask].items : NULL, there ? entry->masks[mask].count : 0, count);
}

const rp_entity *rp_result_entities(const rp_result *result, size_t i, size_t *count) {
    const rp_entry *entry = entry_of(result, i);
    return items_of(entry ? entry->entities : NULL, entry ? entry->count : 0, count);
}

const rp_answer *rp_result_answers(const rp_result *result, size_t i, size_t *count) {
    const rp_entry *entry = entry_of(result, i);
    return items_of(entry ? entry->answers : NULL, entry ? entry->count : 0, count);
}

const float *rp_result_vectors(const rp_result *result, size_t i, size_t *rows, size_t *columns) {
    const rp_entry *entry = entry_of(result, i);
    bool there = entry && entry->vectors;
    if (rows) *rows = there ? entry->rows : 0;
    if (columns) *columns = there ? entry->columns : 0;
    return there ? entry->vectors : NULL;
}

uint32_t rp_result_layers(const rp_result *result, size_t i) {
    const rp_entry *entry = entry_of(result, i);
    return entry ? entry->layers : 0;
}

float rp_result_in_order(const rp_result *result, size_t i) {
    const rp_entry *entry = entry_of(result, i);
    return entry ? entry->in_order : -1;
}
