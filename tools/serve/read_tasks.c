/* The bodies of Hugging Face's tasks, {"inputs", "parameters"}, and of the applications. */
#include <stdlib.h>
#include <string.h>

#include "tools/serve/fields.h"
#include "tools/serve/read.h"

/* `name`, else "text": a string or a list of strings. */
static bool read_texts(rp_ask *ask, const char *name, rp_trouble *problem) {
    const rp_json *value = rp_body_value(&ask->body.root, name);
    if (!value) value = rp_body_value(&ask->body.root, name = "text");
    if (!value) return rp_trouble_say(problem, 422, "Validation", "`inputs` is missing");
    ask->list = value->type == RP_JSON_ARRAY;
    const rp_json *items = ask->list ? value->items : value;
    if (!rp_read_room(ask, ask->list ? value->count : 1, problem)) return false;
    for (size_t i = 0; i < ask->count; i++) {
        if (items[i].type != RP_JSON_STRING)
            return rp_trouble_say(problem, 422, "Validation", "`%s` must be a string or a list of strings",
                                  name);
        ask->inputs[i].text = (rp_text){items[i].text, items[i].count};
    }
    return true;
}

/* ---- applications ---- */

bool rp_read_coherence(rp_ask *ask, rp_trouble *problem) {
    const rp_json *root = &ask->body.root;
    return rp_read_room(ask, 1, problem) && rp_body_text(root, "text", &ask->inputs[0].text, problem) &&
           rp_body_text(root, "text_pair", &ask->inputs[0].pair, problem);
}

bool rp_read_choose(rp_ask *ask, rp_trouble *problem) {
    const rp_json *root = &ask->body.root;
    if (!rp_read_room(ask, 1, problem) || !rp_body_text(root, "text", &ask->inputs[0].text, problem) ||
        !rp_body_texts(root, "choices", &ask->texts, &ask->text_count, problem))
        return false;
    ask->weight = ask->text_count;
    return true;
}

bool rp_read_moderate(rp_ask *ask, rp_trouble *problem) {
    return read_texts(ask, "inputs", problem) &&
           rp_body_bool(&ask->body.root, "normalize", &ask->flag, problem);
}

bool rp_read_score(rp_ask *ask, rp_trouble *problem) {
    return read_texts(ask, "inputs", problem);
}

bool rp_read_search(rp_ask *ask, rp_trouble *problem) {
    const rp_json *root = &ask->body.root;
    return read_texts(ask, rp_body_value(root, "query") ? "query" : "inputs", problem) &&
           rp_body_string(root, "index", &ask->index, problem) &&
           rp_body_string(root, "prompt_name", &ask->prompt_name, problem) &&
           rp_body_count(root, "top_k", 1, &ask->top_k, problem) &&
           rp_body_real(root, "threshold", &ask->has_threshold, &ask->threshold, problem);
}

bool rp_read_summarize(rp_ask *ask, rp_trouble *problem) {
    const rp_json *root = &ask->body.root;
    bool given;
    return read_texts(ask, "inputs", problem) && rp_body_count(root, "sentences", 1, &ask->number, problem) &&
           rp_body_real(root, "coherence", &given, &ask->threshold, problem);
}

/* ---- Hugging Face ---- */

static bool read_parameters(rp_ask *ask, const rp_json **out, rp_trouble *problem) {
    return rp_body_object(&ask->body.root, "parameters", false, out, problem);
}

bool rp_read_task(rp_ask *ask, rp_trouble *problem) {
    const rp_json *parameters;
    if (!rp_body_value(&ask->body.root, "inputs") && !rp_body_value(&ask->body.root, "source_sentence"))
        return rp_trouble_say(problem, 422, "Validation", "`inputs` is missing");
    return read_parameters(ask, &parameters, problem);
}

/* The place of a word in a list; 0 where it is missing, and counted from 1. */
static bool read_word(const rp_json *object, const char *name, const char *const *words, uint32_t *out,
                      rp_trouble *problem) {
    const char *word = NULL;
    if (!rp_body_string(object, name, &word, problem)) return false;
    if (!word) return true;
    for (uint32_t i = 0; words[i]; i++) {
        if (strcmp(words[i], word)) continue;
        *out = i + 1;
        return true;
    }
    return rp_trouble_say(problem, 422, "Validation", "`%s` must not be '%.80s'", name, word);
}

/* Strings that the library takes with a NUL behind them. */
static bool read_words(rp_ask *ask, const rp_json *object, const char *name, rp_trouble *problem) {
    rp_text *texts = NULL;
    const rp_json *value = rp_body_value(object, name);
    if (!rp_body_texts(object, name, &texts, &ask->label_count, problem)) {
        free(texts);
        return false;
    }
    free(texts);
    ask->labels = calloc(ask->label_count + 1, sizeof *ask->labels);
    if (!ask->labels) return rp_trouble_memory(problem);
    for (size_t i = 0; i < ask->label_count; i++) {
        ask->labels[i] = value->items[i].text;
        if (strlen(ask->labels[i]) != value->items[i].count || !*ask->labels[i])
            return rp_trouble_say(problem, 422, "Validation", "`%s`: number %zu is empty or holds U+0000",
                                  name, i);
    }
    return true;
}

/* Candidates of one answer. Each has a text of its own, kept until all are written. */
enum { MOST_CANDIDATES = 1000 };

static bool read_top_k(rp_ask *ask, const rp_json *parameters, rp_trouble *problem) {
    if (!rp_body_count(parameters, "top_k", 1, &ask->top_k, problem)) return false;
    return ask->top_k <= MOST_CANDIDATES ||
           rp_trouble_say(problem, 422, "Validation", "`top_k` must be at most %d here", MOST_CANDIDATES);
}

bool rp_read_labels(rp_ask *ask, rp_trouble *problem) {
    static const char *const functions[] = {"softmax", "sigmoid", "none", NULL};
    const rp_json *root = &ask->body.root, *parameters, *inputs = rp_body_value(root, "inputs");
    if (rp_json_is(inputs, RP_JSON_OBJECT)) {
        const rp_json *pair = rp_body_value(inputs, "text_pair");
        if (!rp_read_room(ask, 1, problem) || !rp_body_text(inputs, "text", &ask->inputs[0].text, problem) ||
            (pair && !rp_body_text(inputs, "text_pair", &ask->inputs[0].pair, problem)))
            return false;
    } else if (!read_texts(ask, "inputs", problem)) {
        return false;
    }
    if (!read_parameters(ask, &parameters, problem) ||
        !rp_body_count(parameters, "top_k", 1, &ask->top_k, problem) ||
        !rp_body_count(parameters, "patience", 1, &ask->patience, problem) ||
        !read_word(parameters, "function_to_apply", functions, &ask->number, problem))
        return false;
    ask->raw = ask->number;
    return true;
}

bool rp_read_entities(rp_ask *ask, rp_trouble *problem) {
    static const char *const ways[] = {"simple", "none", "first", "average", "max", NULL};
    const rp_json *parameters;
    uint32_t way = 2; /* as in Hugging Face's pipeline: none */
    if (!read_texts(ask, "inputs", problem) || !read_parameters(ask, &parameters, problem) ||
        !read_word(parameters, "aggregation_strategy", ways, &way, problem) ||
        !rp_body_count(parameters, "stride", 1, &ask->stride, problem))
        return false;
    ask->number = way - 1;
    return !rp_body_value(parameters, "ignore_labels") ||
           read_words(ask, parameters, "ignore_labels", problem);
}

bool rp_read_question(rp_ask *ask, rp_trouble *problem) {
    const rp_json *root = &ask->body.root, *inputs, *parameters;
    bool aligned;
    return rp_body_object(root, "inputs", true, &inputs, problem) && rp_read_room(ask, 1, problem) &&
           rp_body_text(inputs, "question", &ask->inputs[0].text, problem) &&
           rp_body_text(inputs, "context", &ask->inputs[0].pair, problem) &&
           read_parameters(ask, &parameters, problem) && read_top_k(ask, parameters, problem) &&
           rp_body_count(parameters, "doc_stride", 1, &ask->stride, problem) &&
           rp_body_count(parameters, "max_answer_len", 1, &ask->max_answer, problem) &&
           rp_body_count(parameters, "max_seq_len", 1, &ask->max_length, problem) &&
           rp_body_count(parameters, "max_question_len", 1, &ask->max_question, problem) &&
           rp_body_bool(parameters, "align_to_words", &aligned, problem) &&
           rp_body_bool(parameters, "handle_impossible_answer", &ask->flag, problem);
}

bool rp_read_mask(rp_ask *ask, rp_trouble *problem) {
    const rp_json *parameters;
    if (!read_texts(ask, "inputs", problem) || !read_parameters(ask, &parameters, problem) ||
        !read_top_k(ask, parameters, problem))
        return false;
    ask->given_top_k = ask->top_k;
    return !rp_body_value(parameters, "targets") || read_words(ask, parameters, "targets", problem);
}

bool rp_read_zero_shot(rp_ask *ask, rp_trouble *problem) {
    const rp_json *parameters;
    if (!read_texts(ask, "inputs", problem) ||
        !rp_body_object(&ask->body.root, "parameters", true, &parameters, problem) ||
        !read_words(ask, parameters, "candidate_labels", problem) ||
        !rp_body_bool(parameters, "multi_label", &ask->multi_label, problem) ||
        !rp_body_string(parameters, "hypothesis_template", &ask->word, problem))
        return false;
    if (!ask->label_count)
        return rp_trouble_say(problem, 422, "Validation", "`candidate_labels` must name a label");
    ask->weight =
        ask->count > SIZE_MAX / ask->label_count ? SIZE_MAX : ask->count * ask->label_count; /* 32 bits */
    return !ask->word || strstr(ask->word, "{}") ||
           rp_trouble_say(problem, 422, "Validation", "`hypothesis_template` must hold {}");
}
