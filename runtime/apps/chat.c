/* Replying to texts. */
#include "apps/chat.h"

#include <math.h>

#include "loader/json.h"
#include "loader/unicode.h"

static const float INTENT_THRESHOLD = 0.9f, EXAMPLE_THRESHOLD = 0.55f, FAQ_THRESHOLD = 0.5f;

/* ---- as JSON ---- */

typedef struct chat_entry {
    rp_reply reply;
    rp_place place; // of reply.marked
    bool reads, tags;
} chat_entry;

static void put_string(rp_answer_writer *w, const char *key, const char *text) {
    if (text)
        rp_json_write_string(&w->json, key, text);
    else
        rp_json_write_null(&w->json, key);
}

static void put_source(rp_answer_writer *w, const rp_reply *reply) {
    if (!reply->answer) {
        rp_json_write_null(&w->json, "source");
        return;
    }
    rp_json_write_open(&w->json, "source", '{');
    rp_json_write_integer(&w->json, "row", (int64_t)reply->row);
    rp_json_write_string(&w->json, "question", reply->question);
    rp_answer_float(w, "score", reply->found);
    rp_json_write_close(&w->json, '}');
}

static void put_mark(rp_answer_writer *w, const chat_entry *e) {
    const rp_span span = e->reply.marked;
    if (span.end <= span.start) {
        rp_json_write_null(&w->json, "marked");
        return;
    }
    rp_json_write_open(&w->json, "marked", '{');
    rp_answer_span(w, span, &e->place);
    rp_json_write_text(&w->json, "text", e->reply.answer + span.start, span.end - span.start);
    rp_answer_float(w, "score", e->reply.marked_score);
    rp_json_write_close(&w->json, '}');
}

static void write_reply(rp_answer_writer *w, const rp_entry *entry) {
    const chat_entry *e = entry->app;
    const rp_reply *reply = &e->reply;
    rp_json_write_open(&w->json, NULL, '{');
    put_string(w, "intent", reply->intent);
    rp_answer_float(w, "score", reply->score);
    put_string(w, "answer", reply->answer);
    put_source(w, reply);
    if (e->reads) put_mark(w, e);
    if (e->tags) {
        rp_json_write_open(&w->json, "slots", '{');
        for (size_t i = 0; i < reply->slot_count; i++)
            rp_json_write_string(&w->json, reply->slots[i].name, reply->slots[i].value);
        rp_json_write_close(&w->json, '}');
    }
    rp_json_write_close(&w->json, '}');
}

const rp_reply *rp_result_reply(const rp_result *result, size_t i) {
    const chat_entry *e = rp_result_app(result, i, write_reply, NULL);
    return e ? &e->reply : NULL;
}

/* ---- opening ---- */

/* A model with one of these was taught something else than vectors. */
enum { TASKS = RP_HEAD_CLASSIFIER | RP_HEAD_TOKENS | RP_HEAD_SPANS | RP_HEAD_CHOICE };

static unsigned heads_of(const rp_model *model) {
    return model ? rp_model_get_info(model)->heads : 0;
}

static rp_status choose_models(rp_chat *c, const rp_chat_params *p, rp_error *err) {
    const unsigned heads = heads_of(p->model);
    c->model = p->model;
    c->embedder = p->embedder ? p->embedder : heads & TASKS ? NULL : p->model;
    c->reader = p->reader ? p->reader : heads & RP_HEAD_SPANS ? p->model : NULL;
    c->tagger = p->tagger;
    c->classifies = !p->examples && heads & RP_HEAD_CLASSIFIER;
    if (p->reader && !(heads_of(p->reader) & RP_HEAD_SPANS))
        return rp_fail(err, RP_ERROR_HEAD, "%s: has no question answering head, which marks answers",
                       rp_path_shown(rp_model_get_info(p->reader)->dir));
    if (p->tagger && !(heads_of(p->tagger) & RP_HEAD_TOKENS))
        return rp_fail(err, RP_ERROR_HEAD, "%s: has no token classification head, which finds slots",
                       rp_path_shown(rp_model_get_info(p->tagger)->dir));
    if (p->examples && !c->embedder)
        return rp_fail(err, RP_ERROR_HEAD,
                       "%s: examples need a model that makes vectors: name one with embedder (--embed-model)",
                       rp_path_shown(rp_model_get_info(p->model)->dir));
    if (!c->classifies && !p->examples && !p->faq)
        return rp_fail(err, RP_ERROR_HEAD,
                       "%s: has no classifier to tell intents; give examples of intents (--examples) or "
                       "questions with answers (--faq)",
                       rp_path_shown(rp_model_get_info(p->model)->dir));
    return RP_OK;
}

/* What the folder of the classifier keeps (rp_eval_params.calibrate). */
static rp_status read_threshold(rp_chat *c, rp_error *err) {
    const char *dir = rp_model_get_info(c->model)->dir;
    char *path = rp_path_join(dir, "thresholds.json");
    if (!path) return rp_fail_memory(err, "the threshold", strlen(dir));
    rp_json_document document = {0};
    double threshold = (double)c->threshold;
    rp_status status = rp_path_exists(path) ? rp_json_load(path, &document, err) : RP_OK;
    if (!status) status = rp_chat_threshold(&document.root, path, &threshold, err);
    c->threshold = (float)threshold;
    rp_json_finish(&document);
    free(path);
    return status;
}

rp_status rp_chat_open(const rp_chat_params *params, rp_chat **out, rp_error *err) {
    if (out) *out = NULL;
    if (!params || !out || !params->model)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_chat_open: params, its model and out must not be NULL");
    rp_status status = rp_check_reserved(params->reserved, RP_COUNT(params->reserved), "rp_chat_open", err);
    if (status) return status;
    if ((params->has_threshold && !isfinite(params->threshold)) ||
        (params->has_faq_threshold && !isfinite(params->faq_threshold)))
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_chat_open: threshold and faq_threshold must be finite");
    rp_chat *c = rp_new(rp_chat);
    if (!c) return rp_fail_memory(err, "the dialogue", sizeof *c);
    c->threshold = params->examples ? EXAMPLE_THRESHOLD : INTENT_THRESHOLD;
    c->faq_threshold = params->has_faq_threshold ? params->faq_threshold : FAQ_THRESHOLD;
    status = choose_models(c, params, err);
    if (!status && c->classifies) status = read_threshold(c, err);
    if (params->has_threshold) c->threshold = params->threshold;
    if (!status) status = rp_chat_read(c, params, err);
    if (status) rp_chat_close(&c);
    *out = c;
    return status;
}

static void forget_slots(rp_chat *c) {
    for (size_t i = 0; i < c->slot_count; i++) {
        free((void *)c->slots[i].name);
        free((void *)c->slots[i].value);
    }
    c->slot_count = 0;
}

void rp_chat_forget(rp_chat *chat) {
    if (!chat) return;
    free(chat->intent);
    chat->intent = NULL;
    forget_slots(chat);
}

const char *rp_chat_intent(const rp_chat *chat) {
    return chat ? chat->intent : NULL;
}

void rp_chat_close(rp_chat **chat) {
    if (!chat || !*chat) return;
    rp_chat *c = *chat;
    rp_chat_forget(c);
    rp_arena_finish(&c->strings);
    rp_labels_finish(&c->intents);
    free(c->example_intents);
    free(c->vectors);
    free(c->rows);
    free(c->image);
    free(c->slots);
    free(c);
    *chat = NULL;
}

/* ---- replying ---- */

/* What a call works with. */
typedef struct talk {
    rp_chat *chat;
    const rp_text *texts;
    size_t count;
    rp_result *result;
    const rp_call *call;
    chat_entry *entries; // [count] of the result
    float *vectors;      // [count, width]; NULL: not needed
} talk;

/* The nearest of `count` vectors of length 1; of equal ones the first. */
static size_t nearest(const float *vectors, size_t count, const float *to, size_t width, float *score) {
    size_t best = 0;
    *score = -1;
    for (size_t i = 0; i < count; i++) {
        double sum = 0;
        for (size_t k = 0; k < width; k++) sum += (double)vectors[i * width + k] * to[k];
        if ((float)sum > *score) {
            *score = (float)sum;
            best = i;
        }
    }
    return best;
}

static bool has_failed(const talk *t, size_t i) {
    return t->result->entries[i].status != RP_OK;
}

static rp_status copy_failure(talk *t, size_t i, const rp_result *from, size_t k, rp_error *err) {
    const char *message;
    rp_error why = {.status = rp_result_status(from, k, &message)};
    if (!why.status) return RP_OK;
    rp_fail(&why, why.status, "%s", message);
    return rp_result_blame(t->result, i, why.status, &why, err);
}

static rp_status set_intent(talk *t, size_t i, const char *intent, float score, rp_error *err) {
    rp_reply *reply = &t->entries[i].reply;
    reply->score = score;
    if (score < t->chat->threshold) return RP_OK;
    reply->intent = rp_result_text(t->result, intent, strlen(intent), err);
    return reply->intent ? RP_OK : RP_ERROR_HOST_MEMORY;
}

static float certainty(const rp_label *labels, size_t count) {
    double logs = 0;
    for (size_t i = 0; i < count; i++) logs += log((double)labels[i].score + RP_CERTAINTY_LEAST);
    return rp_certainty(logs, count);
}

static rp_status classify(talk *t, rp_error *err) {
    const rp_classify_params params = {.call = t->call};
    const bool one = rp_model_get_info(t->chat->model)->problem == RP_PROBLEM_SINGLE_LABEL;
    rp_result *labels = NULL;
    rp_input *inputs = rp_new_array(rp_input, t->count);
    if (!inputs) return rp_fail_memory(err, "the texts", t->count * sizeof *inputs);
    for (size_t i = 0; i < t->count; i++) inputs[i].text = t->texts[i];
    rp_status status = rp_classify(t->chat->model, inputs, t->count, &params, &labels, err);
    for (size_t i = 0; !status && i < t->count; i++) {
        size_t count;
        const rp_label *label = rp_result_labels(labels, i, &count);
        t->result->entries[i].truncated = rp_result_truncated(labels, i);
        t->result->entries[i].tokens = rp_result_tokens(labels, i, &t->result->entries[i].taken);
        const float score = label && one && count > 1 ? certainty(label, count) : label ? label->score : 0;
        status = label ? set_intent(t, i, label->label, score, err) : copy_failure(t, i, labels, i, err);
    }
    rp_result_free(&labels);
    free(inputs);
    return status;
}

static rp_status find_examples(talk *t, rp_error *err) {
    const rp_chat *c = t->chat;
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < t->count; i++) {
        float score;
        if (has_failed(t, i)) continue;
        size_t at = nearest(c->examples, c->example_count, t->vectors + i * c->width, c->width, &score);
        status = set_intent(t, i, c->intents.names[c->example_intents[at]], score, err);
    }
    return status;
}

static rp_status set_answer(talk *t, size_t i, size_t row, float score, rp_error *err) {
    const rp_chat *c = t->chat;
    rp_reply *reply = &t->entries[i].reply;
    if (!c->classifies && !c->example_count) reply->score = score;
    if (score < c->faq_threshold) return RP_OK;
    reply->answer = rp_result_text(t->result, c->rows[row].answer, strlen(c->rows[row].answer), err);
    reply->question = rp_result_text(t->result, c->rows[row].question, strlen(c->rows[row].question), err);
    reply->row = row + 1;
    reply->found = score;
    return reply->answer && reply->question ? RP_OK : RP_ERROR_HOST_MEMORY;
}

static rp_status find_answers(talk *t, rp_error *err) {
    const rp_chat *c = t->chat;
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < t->count; i++) {
        float score = 0, most = 0;
        if (has_failed(t, i)) continue;
        if (c->questions) {
            size_t row = nearest(c->questions, c->row_count, t->vectors + i * c->width, c->width, &score);
            status = set_answer(t, i, row, score, err);
            continue;
        }
        rp_found found = {0};
        size_t count = 0;
        status = rp_passages_find(&c->passages, t->texts[i], &found, 1, &count, &most, err);
        if (count && most > 0) score = found.score < most ? found.score / most : 1;
        if (!status && count)
            status = set_answer(t, i, c->passages.parts[found.passage].document, score, err);
    }
    return status;
}

/* Have the reader mark what says it in the answers. */
static rp_status mark(talk *t, rp_error *err) {
    const rp_answer_params params = {.call = t->call};
    rp_question *questions = rp_new_array(rp_question, t->count);
    size_t *places = rp_new_array(size_t, t->count), count = 0;
    rp_result *answers = NULL;
    rp_status status = RP_OK;
    if (!questions || !places) status = rp_fail_memory(err, "the texts", t->count * sizeof *questions);
    for (size_t i = 0; !status && i < t->count; i++) {
        const rp_reply *reply = &t->entries[i].reply;
        if (!reply->answer || !t->texts[i].size) continue;
        places[count] = i;
        questions[count++] = (rp_question){t->texts[i], {reply->answer, strlen(reply->answer)}};
    }
    if (!status) status = rp_answer_questions(t->chat->reader, questions, count, &params, &answers, err);
    for (size_t k = 0; !status && k < count; k++) {
        size_t found;
        chat_entry *e = &t->entries[places[k]];
        const rp_answer *answer = rp_result_answers(answers, k, &found);
        if (!answer) continue; /* it stays unmarked */
        e->reply.marked = answer->span;
        e->reply.marked_score = answer->score;
        const rp_place *place = rp_result_places(t->result, &answer->span, 1, questions[k].context, err);
        if (place)
            e->place = *place;
        else
            status = RP_ERROR_HOST_MEMORY;
    }
    rp_result_free(&answers);
    free(questions);
    free(places);
    return status;
}

/* ---- the dialogue: what was named so far. It changes once the whole call is answered. ---- */

typedef struct memory {
    const char *intent;
    rp_chat_slot *slots; // [count] views
    size_t count, capacity;
} memory;

static bool remember(memory *m, const char *name, const char *value) {
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(m->slots[i].name, name)) continue;
        m->slots[i].value = value;
        return true;
    }
    if (!rp_grow((void **)&m->slots, &m->capacity, m->count + 1, sizeof *m->slots)) return false;
    m->slots[m->count++] = (rp_chat_slot){name, value};
    return true;
}

static rp_status follow(talk *t, size_t i, const rp_result *tags, memory *m, rp_error *err) {
    rp_reply *reply = &t->entries[i].reply;
    size_t count = 0;
    const rp_entity *found = tags ? rp_result_entities(tags, i, &count) : NULL;
    if (reply->intent) {
        if (m->intent && strcmp(m->intent, reply->intent)) m->count = 0;
        m->intent = reply->intent;
    }
    for (size_t k = 0; k < count; k++) {
        const rp_span span = found[k].span;
        const char *name = rp_result_text(t->result, found[k].label, strlen(found[k].label), err);
        const char *value =
            rp_result_text(t->result, t->texts[i].data + span.start, span.end - span.start, err);
        if (!name || !value) return RP_ERROR_HOST_MEMORY;
        if (!remember(m, name, value)) return rp_fail_memory(err, "the slots", m->count * sizeof *m->slots);
    }
    reply->slots = rp_result_array(t->result, m->slots, m->count, sizeof *m->slots, err);
    reply->slot_count = m->count;
    return reply->slots ? RP_OK : RP_ERROR_HOST_MEMORY;
}

/* Copies of what is remembered become the dialogue's. */
static rp_status keep(rp_chat *c, const memory *m, rp_error *err) {
    size_t count = 0;
    char *intent = m->intent ? strdup(m->intent) : NULL;
    rp_chat_slot *slots = rp_new_array(rp_chat_slot, m->count);
    bool good = slots && (intent || !m->intent);
    for (; good && count < m->count; count++) {
        slots[count] = (rp_chat_slot){strdup(m->slots[count].name), strdup(m->slots[count].value)};
        good = slots[count].name && slots[count].value;
    }
    if (good) {
        rp_chat_forget(c);
        free(c->slots);
        c->intent = intent;
        c->slots = slots;
        c->slot_count = m->count;
        return RP_OK;
    }
    for (size_t i = 0; i < count; i++) {
        free((void *)slots[i].name);
        free((void *)slots[i].value);
    }
    free(slots);
    free(intent);
    return rp_fail_memory(err, "the slots", m->count * sizeof *slots);
}

static rp_status remember_all(talk *t, rp_error *err) {
    const rp_tag_params params = {.call = t->call};
    rp_chat *c = t->chat;
    rp_result *tags = NULL;
    memory m = {.intent = c->intent};
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < c->slot_count; i++)
        if (!remember(&m, c->slots[i].name, c->slots[i].value))
            status = rp_fail_memory(err, "the slots", c->slot_count * sizeof *c->slots);
    /* What was remembered before has to live as long as the result. */
    for (size_t i = 0; !status && i < m.count; i++) {
        m.slots[i].name = rp_result_text(t->result, m.slots[i].name, strlen(m.slots[i].name), err);
        m.slots[i].value = rp_result_text(t->result, m.slots[i].value, strlen(m.slots[i].value), err);
        if (!m.slots[i].name || !m.slots[i].value) status = RP_ERROR_HOST_MEMORY;
    }
    if (!status && c->tagger) status = rp_tag(c->tagger, t->texts, t->count, &params, &tags, err);
    for (size_t i = 0; !status && i < t->count; i++)
        if (!has_failed(t, i)) status = follow(t, i, tags, &m, err);
    if (!status) status = keep(c, &m, err);
    rp_result_free(&tags);
    free(m.slots);
    return status;
}

static rp_status reply_all(talk *t, rp_error *err) {
    rp_chat *c = t->chat;
    t->entries = rp_result_array(t->result, NULL, t->count, sizeof *t->entries, err);
    if (!t->entries) return RP_ERROR_HOST_MEMORY;
    for (size_t i = 0; i < t->count; i++) {
        static const rp_error not_utf8 = {RP_ERROR_TEXT, "the text is not UTF-8"};
        static const rp_error empty = {RP_ERROR_TEXT, "the text is empty: say something"};
        t->entries[i].reads = c->reader;
        t->entries[i].tags = c->tagger;
        t->result->entries[i].app = &t->entries[i];
        t->result->entries[i].count = 1;
        if (!t->texts[i].data || !t->texts[i].size)
            rp_result_fail(t->result, i, &empty);
        else if (rp_utf8_check(t->texts[i].data, t->texts[i].size) < t->texts[i].size)
            rp_result_fail(t->result, i, &not_utf8);
    }
    rp_status status = RP_OK;
    if (c->examples || c->questions)
        status = rp_chat_vectors(c, t->texts, t->count, t->call, t->result, &t->vectors, err);
    if (!status && c->classifies) status = classify(t, err);
    if (!status && c->examples) status = find_examples(t, err);
    if (!status && c->row_count) status = find_answers(t, err);
    if (!status && c->reader) status = mark(t, err);
    if (!status) status = remember_all(t, err);
    free(t->vectors);
    return status;
}

rp_status rp_chat_say(rp_chat *chat, const rp_text *texts, size_t count, const rp_call *call, rp_result **out,
                      rp_error *err) {
    if (out) *out = NULL;
    if (!chat) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_chat_say: chat must not be NULL");
    rp_task task = {.model = chat->model,
                    .command = "chat",
                    .write = write_reply,
                    .inputs = texts,
                    .count = count,
                    .out = out,
                    .call = call};
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    task.visit.whole = true;
    talk t = {.chat = chat, .texts = texts, .count = count, .result = *out, .call = call};
    return rp_task_end(&task, reply_all(&t, err));
}
