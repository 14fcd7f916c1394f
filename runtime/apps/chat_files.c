/* The files of a dialogue: examples of intents, and questions with their answers. */
#include "apps/chat.h"

#include <math.h>

#include "apps/index.h"

#include "base/call.h"
#include "loader/data.h"
#include "loader/json.h"

enum { SOME = 256 };

/* Whose vectors are needed: examples, then questions. They point into rp_chat.strings. */
typedef struct chat_texts {
    rp_text *items; /* owned */
    size_t count, capacity;
} chat_texts;

/* Room for `count` more, which are zeros. */
static bool add_room(chat_texts *texts, size_t count) {
    if (!rp_grow((void **)&texts->items, &texts->capacity, texts->count + count, sizeof *texts->items))
        return false;
    memset(texts->items + texts->count, 0, count * sizeof *texts->items);
    texts->count += count;
    return true;
}

/* ---- vectors ---- */

static void normalize(float *vector, size_t width) {
    double squares = 0;
    for (size_t i = 0; i < width; i++) squares += (double)vector[i] * vector[i];
    const double scale = squares > 0 ? 1 / sqrt(squares) : 0;
    for (size_t i = 0; i < width; i++) vector[i] = (float)(vector[i] * scale);
}

/* Vectors of one piece of the texts to `out`, which has grown by then. */
static rp_status embed_some(rp_chat *chat, const rp_text *texts, size_t count, const rp_call *call,
                            rp_result *failed, size_t first, float **out, size_t *capacity, rp_error *err) {
    rp_result *result = NULL;
    rp_status status = rp_embed_part(chat->embedder, texts, count, call, &result, err);
    for (size_t i = 0; !status && i < count; i++) {
        const char *message;
        size_t columns = 0;
        const float *vector = rp_result_vectors(result, i, NULL, &columns);
        rp_error why = {.status = rp_result_status(result, i, &message)};
        if (why.status && !failed) {
            status = rp_fail(err, why.status, "example or question %zu: %s", first + i + 1, message);
            break;
        }
        if (vector && chat->width && columns != chat->width) {
            status = rp_fail(err, RP_ERROR_FORMAT,
                             "the index has vectors of %zu numbers, and the model makes %zu: remove it",
                             chat->width, columns);
            break;
        }
        if (vector) chat->width = columns;
        size_t needed = (first + i + 1) * chat->width;
        if (!rp_grow((void **)out, capacity, needed, sizeof **out)) {
            status = rp_fail_memory(err, "the vectors of texts", needed * sizeof **out);
            break;
        }
        float *to = *out + (first + i) * chat->width;
        memset(to, 0, chat->width * sizeof *to);
        if (vector) {
            memcpy(to, vector, columns * sizeof *to);
            normalize(to, columns);
        } else {
            rp_fail(&why, why.status, "%s", message);
            rp_result_fail(failed, first + i, &why);
        }
    }
    rp_result_free(&result);
    return status;
}

rp_status rp_chat_vectors(rp_chat *chat, const rp_text *texts, size_t count, const rp_call *call,
                          rp_result *result, float **out, rp_error *err) {
    size_t capacity = 0, before = 0;
    rp_visit *visit = rp_visit_current();
    rp_status status = RP_OK;
    *out = NULL;
    if (!result) { /* the dialogue is being opened: these are inputs of that */
        before = visit->total;
        visit->total += count;
    }
    for (size_t i = 0, next; !status && i < count; i = next) {
        next = count - i < SOME ? count : i + SOME;
        status = embed_some(chat, texts + i, next - i, call, result, i, out, &capacity, err);
        if (!status && !result) rp_call_progress(before + next);
    }
    if (!status) return RP_OK;
    free(*out);
    *out = NULL;
    return status;
}

/* ---- the threshold ---- */

rp_status rp_chat_threshold(const rp_json *root, const char *path, double *out, rp_error *err) {
    const rp_json *intent = rp_json_get(root, "intent");
    double found;
    if (!intent) return RP_OK;
    if (!rp_json_number(rp_json_get(intent, "threshold"), &found) || !(found >= 0 && found <= 1))
        return rp_fail(
            err, RP_ERROR_FORMAT,
            "%s: intent: must be an object with a \"threshold\" from 0 to 1; write it with reprise "
            "eval --calibrate",
            rp_path_shown(path));
    *out = found;
    return RP_OK;
}

/* ---- examples ---- */

/* The column of the label has one of these names. */
static rp_status open_examples(rp_chat *chat, const char *path, rp_data **out, rp_error *err) {
    static const char *const names[] = {NULL, "intent", "category"};
    rp_status status = RP_OK;
    for (size_t i = 0; i < RP_COUNT(names); i++) {
        const rp_data_params params = {.label_column = names[i],
                                       .kind = RP_DATA_TEXT,
                                       .labelled = true,
                                       .fixed = true,
                                       .labels = &chat->intents};
        rp_error again;
        rp_labels_finish(&chat->intents);
        status = rp_data_open(path, &params, out, i ? &again : err);
        if (status != RP_ERROR_FORMAT) break;
    }
    if (!status) rp_labels_sort(&chat->intents);
    return status;
}

static int by_bytes(const void *left, const void *right) {
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static rp_status read_examples(rp_chat *chat, const char *path, rp_text *texts, rp_data *data,
                               rp_error *err) {
    rp_data_row row;
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < chat->example_count; i++) {
        status = rp_data_read(data, i, &row, err);
        if (status) break;
        if (row.label_count != 1)
            return rp_fail(err, RP_ERROR_FORMAT, "%s: line %llu: has %zu labels, an example has one intent",
                           rp_path_shown(path), (unsigned long long)rp_data_line(data, i), row.label_count);
        char *text = rp_arena_copy(&chat->strings, row.text.data, row.text.size);
        char *label = rp_arena_copy(&chat->strings, row.labels[0].data, row.labels[0].size);
        if (!text || !label) return rp_fail_memory(err, "the examples", row.text.size);
        const char **found =
            bsearch(&label, chat->intents.names, chat->intents.count, sizeof *chat->intents.names, by_bytes);
        for (size_t k = 0; !found && k < chat->intents.count; k++) /* whole numbers are in another order */
            if (!strcmp(chat->intents.names[k], label)) found = &chat->intents.names[k];
        texts[i] = (rp_text){text, row.text.size};
        chat->example_intents[i] = found ? (uint32_t)(found - chat->intents.names) : 0;
    }
    return status;
}

static rp_status take_examples(rp_chat *chat, const char *path, chat_texts *texts, rp_error *err) {
    rp_data *data = NULL;
    rp_status status = open_examples(chat, path, &data, err);
    if (status) return status;
    chat->example_count = (size_t)rp_data_count(data);
    chat->example_intents = rp_new_array(uint32_t, chat->example_count);
    if (chat->example_intents && add_room(texts, chat->example_count))
        status = read_examples(chat, path, texts->items, data, err);
    else
        status = rp_fail_memory(err, "the examples", chat->example_count * sizeof *texts->items);
    rp_data_close(&data);
    return status;
}

/* ---- questions and answers ---- */

static rp_status read_rows(rp_chat *chat, rp_data *data, const char *path, rp_text *texts, rp_error *err) {
    rp_data_row row;
    for (size_t i = 0; i < chat->row_count; i++) {
        rp_status status = rp_data_read(data, i, &row, err);
        if (status) return status;
        if (!row.text.size || !row.pair.size)
            return rp_fail(err, RP_ERROR_FORMAT,
                           "%s: line %llu: has no %s; each row has a question and an answer",
                           rp_path_shown(path), (unsigned long long)rp_data_line(data, i),
                           row.text.size ? "answer" : "question");
        chat->rows[i].question = rp_arena_copy(&chat->strings, row.text.data, row.text.size);
        chat->rows[i].answer = rp_arena_copy(&chat->strings, row.pair.data, row.pair.size);
        if (!chat->rows[i].question || !chat->rows[i].answer)
            return rp_fail_memory(err, "questions and answers", row.text.size + row.pair.size);
        texts[i] = (rp_text){chat->rows[i].question, row.text.size};
    }
    return RP_OK;
}

/* The words of questions and answers: a row is a document. */
static rp_status count_words(rp_chat *chat, const char *path, rp_error *err) {
    rp_passages_builder *builder = NULL;
    rp_status status = rp_passages_begin(RP_PASSAGE_WORDS_MAX, &builder, err);
    for (size_t i = 0; !status && i < chat->row_count; i++) {
        const char *question = chat->rows[i].question, *answer = chat->rows[i].answer;
        size_t first = strlen(question), size = first + 1 + strlen(answer);
        char *both = rp_new_array(char, size + 1);
        if (!both) {
            status = rp_fail_memory(err, "questions and answers", size);
            break;
        }
        memcpy(both, question, first);
        both[first] = ' ';
        strcpy(both + first + 1, answer);
        status = rp_passages_add(builder, "", 0, both, size, err);
        free(both);
    }
    if (!status) status = rp_passages_end(builder, 0, path, &chat->image, &chat->image_size, err);
    if (!status) rp_passages_parts(chat->image, &chat->passages);
    rp_passages_drop(&builder);
    return status;
}

static rp_status take_rows(rp_chat *chat, const char *path, chat_texts *texts, rp_error *err) {
    const rp_data_params params = {
        .text_column = "question", .pair_column = "answer", .kind = RP_DATA_TEXT, .fixed = true};
    const size_t first = texts->count;
    rp_data *data = NULL;
    rp_status status = rp_data_open(path, &params, &data, err);
    if (status) return status;
    chat->row_count = (size_t)rp_data_count(data);
    chat->rows = rp_new_array(rp_chat_row, chat->row_count);
    if (chat->rows && add_room(texts, chat->row_count))
        status = read_rows(chat, data, path, texts->items + first, err);
    else
        status = rp_fail_memory(err, "questions and answers", chat->row_count * sizeof *texts->items);
    rp_data_close(&data);
    if (chat->embedder || status) return status;
    texts->count = first; /* they are found by their words */
    return count_words(chat, path, err);
}

/* ---- vectors of both ---- */

static rp_text text_of(const void *of, uint64_t number) {
    return ((const rp_text *)of)[number];
}

/* From the file `index`, which is made where it is not of these texts. */
static rp_status take_kept(rp_chat *chat, const chat_texts *texts, const char *index, const rp_call *call,
                           rp_error *err) {
    rp_kept_texts kept = {.model = chat->embedder,
                          .count = texts->count,
                          .get = text_of,
                          .of = texts->items,
                          .name = "example or question"};
    rp_index *vectors = NULL;
    for (size_t i = 0; i < texts->count; i++)
        kept.hash = rp_index_hash(texts->items[i].data, texts->items[i].size, kept.hash + 1);
    rp_status status = rp_vectors_keep(&kept, index, call, &vectors, err);
    if (status) return status;
    chat->width = vectors->info.width;
    status = rp_index_check_rows(&vectors->file, 0, texts->count, err);
    chat->vectors = rp_new_array(float, texts->count * chat->width);
    if (!status && !chat->vectors)
        status = rp_fail_memory(err, "the vectors of texts", texts->count * chat->width * sizeof(float));
    for (size_t i = 0; !status && i < texts->count; i++) {
        rp_index_row(&vectors->file, i, chat->vectors + i * chat->width);
        normalize(chat->vectors + i * chat->width, chat->width);
    }
    rp_index_close(&vectors);
    return status;
}

static rp_status take_vectors(rp_chat *chat, const chat_texts *texts, const char *index, const rp_call *call,
                              rp_error *err) {
    rp_status status;
    if (!texts->count)
        return index ? rp_fail(err, RP_ERROR_ARGUMENT,
                               "%s: an index keeps vectors, and there are none here: they are of examples "
                               "(--examples), or of questions where an embedder is named (--embed-model)",
                               rp_path_shown(index))
                     : RP_OK;
    status = index ? take_kept(chat, texts, index, call, err)
                   : rp_chat_vectors(chat, texts->items, texts->count, call, NULL, &chat->vectors, err);
    if (status) return status;
    if (chat->example_count) chat->examples = chat->vectors;
    if (chat->example_count < texts->count)
        chat->questions = chat->vectors + chat->example_count * chat->width;
    return RP_OK;
}

rp_status rp_chat_read(rp_chat *chat, const rp_chat_params *params, rp_error *err) {
    rp_visit visit = {0};
    chat_texts texts = {0};
    rp_status status = rp_visit_enter(&visit, NULL, params->call, "rp_chat_open", err);
    if (status) return status;
    if (params->examples) status = take_examples(chat, params->examples, &texts, err);
    if (!status && params->faq) status = take_rows(chat, params->faq, &texts, err);
    if (!status) status = take_vectors(chat, &texts, params->index, params->call, err);
    rp_visit_leave(&visit);
    free(texts.items);
    return status;
}
