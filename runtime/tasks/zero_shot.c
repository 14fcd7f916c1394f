/* Labels that the model has not been taught: by natural language inference, or by the vectors of texts. */
#include <math.h>
#include <strings.h>

#include "loader/tokenizer.h"
#include "task.h"

enum { RUN_PAIRS = 2048 }; // of a text and a hypothesis, that are made at once, or those of one text

typedef struct zero_shot {
    rp_model *model;
    const rp_zero_shot_params *params;
    const rp_text *texts;
    rp_result *result;
    rp_text *hypotheses; // [label_count]
    float *scores;       // [label_count]
    /* By inference. */
    uint32_t entailment, contradiction; // rows of the classifier
    rp_encoding *asked;                 // [label_count] the hypotheses
    float *logits;                      // [label_count] of entailment, of the text that is read
    float *contrary;                    // [label_count] of contradiction
    size_t at;                          // the label that comes next
} zero_shot;

/* ---- what is asked ---- */

static rp_status check_params(const rp_zero_shot_params *p, rp_error *err) {
    const char *hypothesis = p && p->hypothesis ? p->hypothesis : "{}";
    if (!p || !p->labels || !p->label_count)
        return rp_fail(err, RP_ERROR_ARGUMENT, "zero-shot: give at least one label");
    if (p->label_count > UINT32_MAX / 4)
        return rp_fail(err, RP_ERROR_ARGUMENT, "zero-shot: there are too many labels");
    const char *place = strstr(hypothesis, "{}");
    if (!place || strstr(place + 2, "{}"))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "zero-shot: the template \"%.*s\" must have {} once, where the label goes",
                       rp_text_fit(hypothesis, 100), hypothesis);
    for (size_t i = 0; i < p->label_count; i++)
        if (!p->labels[i] || !*p->labels[i])
            return rp_fail(err, RP_ERROR_ARGUMENT, "zero-shot: label %zu is empty; name it", i + 1);
    return RP_OK;
}

static rp_status make_hypotheses(zero_shot *z, rp_error *err) {
    const rp_zero_shot_params *p = z->params;
    const char *hypothesis = p->hypothesis ? p->hypothesis : "This example is {}.";
    const char *place = strstr(hypothesis, "{}");
    size_t before = (size_t)(place - hypothesis), after = strlen(place + 2);
    z->hypotheses = rp_new_array(rp_text, p->label_count);
    z->scores = rp_new_array(float, p->label_count);
    if (!z->hypotheses || !z->scores)
        return rp_fail_memory(err, "the labels", p->label_count * sizeof *z->hypotheses);
    for (size_t i = 0; i < p->label_count; i++) {
        size_t size = strlen(p->labels[i]);
        char *text = rp_arena_alloc(&z->result->arena, (uint64_t)before + size + after + 1, 1);
        if (!text) return rp_fail_memory(err, "the labels", before + size + after);
        memcpy(text, hypothesis, before);
        memcpy(text + before, p->labels[i], size);
        memcpy(text + before + size, place + 2, after);
        z->hypotheses[i] = (rp_text){text, before + size + after};
    }
    return RP_OK;
}

static rp_status take_scores(zero_shot *z, size_t i, rp_error *err) {
    const rp_zero_shot_params *p = z->params;
    return rp_rank_labels(p->labels, (uint32_t)p->label_count, z->scores, NULL, p->top_k, z->result, i, err);
}

/* ---- by inference ---- */

/* The first label that begins with "entail", as Hugging Face's pipeline looks for it. */
static bool find_entailment(const rp_model_info *info, uint32_t *out) {
    if (!(info->heads & RP_HEAD_CLASSIFIER) || info->problem == RP_PROBLEM_REGRESSION) return false;
    for (uint32_t i = 0; info->label_count > 1 && i < info->label_count; i++) {
        *out = i;
        if (!strncasecmp(info->labels[i], "entail", 6)) return true;
    }
    return false;
}

static rp_status tokenize_hypotheses(zero_shot *z, rp_error *err) {
    const rp_tokenize_params params = {.no_special_tokens = true};
    size_t count = z->params->label_count;
    rp_status status = rp_task_check_pairs(z->model, err);
    if (status) return status;
    z->asked = rp_new_array(rp_encoding, count);
    z->logits = rp_new_array(float, count);
    z->contrary = rp_new_array(float, count);
    if (!z->asked || !z->logits || !z->contrary)
        return rp_fail_memory(err, "the labels", count * sizeof *z->asked);
    for (size_t i = 0; !status && i < count; i++) {
        rp_error why = {0};
        status = rp_task_tokenize(z->model, z->hypotheses[i], (rp_text){0}, &params, &z->asked[i], &why);
        if (status) rp_fail(err, status, "label %zu: %s", i + 1, why.message);
        if (status == RP_ERROR_TEXT)
            status = rp_fail(err, RP_ERROR_ARGUMENT, "label %zu: %s", i + 1, why.message);
    }
    return status;
}

/* A text and a hypothesis as one window, the text cut to what the hypothesis leaves. `view` is that of the
 * text. */
static rp_status add_pair(zero_shot *z, rp_windows *windows, size_t entry, const rp_encoding *text,
                          const rp_encoding *asked, rp_encoding *view, rp_error *err) {
    const rp_tokenizer *tokenizer = rp_model_get_tokenizer(z->model);
    size_t special = 0, most = rp_task_max_tokens(z->model);
    for (size_t i = 0; i < tokenizer->pair.count; i++) special += tokenizer->pair.pieces[i].sequence < 0;
    size_t taken = special + asked->count, room = most > taken ? most - taken : 0;
    *view = (rp_encoding){.ids = text->ids, .count = text->count};
    if (text->count > room || taken > most) {
        if (!room)
            return rp_fail(
                err, RP_ERROR_TEXT,
                "the hypothesis has %zu tokens, of %zu that the model takes with the text: nothing "
                "is left for the text; shorten the template or the label",
                asked->count, most);
        view->count = room;
        if (tokenizer->truncate_left) view->ids += text->count - room;
        z->result->entries[entry].truncated = true;
    }
    return rp_windows_add(windows, z->model, entry, view, asked, (uint32_t)most, 0, err);
}

/* The scores of a text whose logits are all there. */
static rp_status finish_text(zero_shot *z, size_t entry, rp_error *err) {
    size_t count = z->params->label_count;
    bool each = z->params->multi_label || count == 1;
    memcpy(z->scores, z->logits, count * sizeof *z->scores);
    if (!each) rp_softmax(z->scores, count);
    for (size_t i = 0; each && i < count; i++) {
        float two[] = {z->contrary[i], z->logits[i]};
        rp_softmax(two, 2);
        z->scores[i] = two[1];
    }
    z->at = 0;
    return take_scores(z, entry, err);
}

static rp_status read_pair(void *task, const rp_window *window, const float *row, rp_error *err) {
    zero_shot *z = task;
    z->logits[z->at] = row[z->entailment];
    z->contrary[z->at] = row[z->contradiction];
    return ++z->at == z->params->label_count ? finish_text(z, window->entry, err) : RP_OK;
}

/* Ask for texts[first..end), each with every label. */
static rp_status ask(zero_shot *z, size_t first, size_t end, rp_error *err) {
    const rp_tokenize_params params = {.no_special_tokens = true};
    size_t labels = z->params->label_count, count = end - first;
    rp_encoding *texts = rp_new_array(rp_encoding, count), *views = rp_new_array(rp_encoding, count * labels);
    rp_windows windows = {0};
    rp_status status =
        texts && views ? RP_OK : rp_fail_memory(err, "the pairs of texts", count * labels * sizeof *views);
    for (size_t i = 0; !status && i < count; i++) {
        size_t before = windows.count, entry = first + i;
        rp_error why = {0};
        status = rp_task_tokenize(z->model, z->texts[entry], (rp_text){0}, &params, &texts[i], &why);
        if (!status) rp_result_count_tokens(z->result, entry, &texts[i]);
        for (size_t k = 0; !status && k < labels; k++) {
            status = add_pair(z, &windows, entry, &texts[i], &z->asked[k], &views[i * labels + k], &why);
            if (!status) windows.items[windows.count - 1].last = k + 1 == labels;
        }
        if (status) windows.count = before;
        if (status) status = rp_result_blame(z->result, entry, status, &why, err);
        if (z->result->entries[entry].truncated) z->result->entries[entry].taken = views[i * labels].count;
    }
    if (!status) status = rp_windows_run(&windows, z->model, RP_OUTPUT_CLASSES, z->result, read_pair, z, err);
    for (size_t i = 0; texts && i < count; i++) rp_encoding_free(&texts[i]);
    free(texts);
    free(views);
    free(windows.items);
    return status;
}

static rp_status by_inference(zero_shot *z, size_t count, rp_error *err) {
    size_t at_once = RUN_PAIRS / z->params->label_count;
    rp_status status = tokenize_hypotheses(z, err);
    if (!at_once) at_once = 1;
    for (size_t first = 0; !status && first < count; first += at_once)
        status = ask(z, first, count - first < at_once ? count : first + at_once, err);
    return status;
}

/* ---- by vectors ---- */

static float cosine(const float *a, const float *b, size_t count) {
    double both = 0, left = 0, right = 0;
    for (size_t i = 0; i < count; i++) {
        both += (double)a[i] * b[i];
        left += (double)a[i] * a[i];
        right += (double)b[i] * b[i];
    }
    return left > 0 && right > 0 ? (float)(both / sqrt(left * right)) : 0;
}

static rp_status compare(zero_shot *z, const rp_result *labels, const rp_result *texts, rp_error *err) {
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < texts->count; i++) {
        const rp_entry *entry = &texts->entries[i];
        rp_error why = {.status = entry->status};
        if (entry->status) {
            rp_fail(&why, entry->status, "%s", entry->message);
            rp_result_fail(z->result, i, &why);
            continue;
        }
        for (size_t k = 0; k < labels->count; k++)
            z->scores[k] = cosine(entry->vectors, labels->entries[k].vectors, entry->columns);
        status = take_scores(z, i, err);
        z->result->entries[i].truncated = entry->truncated;
        z->result->entries[i].tokens = entry->tokens;
        z->result->entries[i].taken = entry->taken;
    }
    return status;
}

static rp_status by_vectors(zero_shot *z, size_t count, rp_error *err) {
    const rp_embed_params params = {.call = z->params->call};
    rp_result *labels = NULL, *texts = NULL;
    rp_status status = rp_embed(z->model, z->hypotheses, z->params->label_count, &params, &labels, err);
    for (size_t i = 0; !status && i < labels->count; i++)
        if (labels->entries[i].status)
            status = rp_fail(err, RP_ERROR_ARGUMENT, "label %zu: %.300s", i + 1, labels->entries[i].message);
    if (!status) status = rp_embed(z->model, z->texts, count, &params, &texts, err);
    if (!status) status = compare(z, labels, texts, err);
    rp_result_free(&labels);
    rp_result_free(&texts);
    return status;
}

rp_status rp_zero_shot(rp_model *model, const rp_text *texts, size_t count, const rp_zero_shot_params *params,
                       rp_result **out, rp_error *err) {
    rp_task task = {.model = model, .command = "classify", .inputs = texts, .count = count, .out = out};
    zero_shot z = {.model = model, .params = params, .texts = texts};
    RP_TASK_PARAMS(task, params);
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    z.result = *out;
    status = check_params(params, err);
    if (!status) status = make_hypotheses(&z, err);
    const rp_model_info *info = rp_model_get_info(model);
    bool infers = find_entailment(info, &z.entailment);
    z.contradiction = z.entailment ? 0 : info->label_count - 1;
    task.visit.whole = !infers;
    if (!status) status = infers ? by_inference(&z, count, err) : by_vectors(&z, count, err);
    z.result->head = RP_HEAD_CLASSIFIER;
    for (size_t i = 0; z.asked && i < params->label_count; i++) rp_encoding_free(&z.asked[i]);
    free(z.asked);
    free(z.logits);
    free(z.contrary);
    free(z.hypotheses);
    free(z.scores);
    return rp_task_end(&task, status);
}
