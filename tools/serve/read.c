/* The bodies of text-embeddings-inference, OpenAI and Cohere. */
#include "tools/serve/read.h"

#include <stdlib.h>
#include <string.h>

#include "tools/serve/fields.h"

bool rp_read_room(rp_ask *ask, size_t count, rp_trouble *problem) {
    ask->inputs = calloc(count ? count : 1, sizeof *ask->inputs);
    ask->ids = calloc(count ? count : 1, sizeof *ask->ids);
    ask->count = ask->weight = count;
    return (ask->inputs && ask->ids) || rp_trouble_memory(problem);
}

static bool is_ids(const rp_json *value) {
    if (value->type != RP_JSON_ARRAY || !value->count) return false;
    for (uint32_t i = 0; i < value->count; i++) {
        const rp_json *id = &value->items[i];
        if (id->type != RP_JSON_INTEGER || id->integer < 0 || id->integer > INT32_MAX) return false;
    }
    return true;
}

/* A string, ids, or a list of either. */
static bool read_inputs(rp_ask *ask, const char *name, rp_trouble *problem) {
    const rp_json *value = rp_body_value(&ask->body.root, name);
    if (!value) return rp_trouble_say(problem, 422, "Validation", "`%s` is missing", name);
    ask->list = value->type == RP_JSON_ARRAY && !is_ids(value);
    const rp_json *items = ask->list ? value->items : value;
    if (!rp_read_room(ask, ask->list ? value->count : 1, problem)) return false;
    for (size_t i = 0; i < ask->count; i++) {
        const rp_json *item = &items[i];
        if (item->type == RP_JSON_STRING)
            ask->inputs[i].text = (rp_text){item->text, item->count};
        else if (is_ids(item))
            ask->ids[i] = item;
        else
            return rp_trouble_say(problem, 422, "Validation",
                                  "`%s` must be a string, a list of token ids, or a list of these; input %zu "
                                  "is %s",
                                  name, i, rp_json_kind(item));
    }
    return true;
}

bool rp_read_embed(rp_ask *ask, rp_trouble *problem) {
    const rp_json *root = &ask->body.root;
    ask->normalize = true;
    return read_inputs(ask, "inputs", problem) && rp_body_truncation(root, ask, problem) &&
           rp_body_bool(root, "normalize", &ask->normalize, problem) &&
           rp_body_string(root, "prompt_name", &ask->prompt_name, problem) &&
           rp_body_count(root, "dimensions", 1, &ask->dimensions, problem);
}

bool rp_read_openai(rp_ask *ask, rp_trouble *problem) {
    const rp_json *root = &ask->body.root;
    const char *format = "float";
    ask->normalize = true;
    if (!read_inputs(ask, "input", problem) || !rp_body_string(root, "model", &ask->model, problem) ||
        !rp_body_string(root, "encoding_format", &format, problem) ||
        !rp_body_count(root, "dimensions", 1, &ask->dimensions, problem))
        return false;
    ask->base64 = !strcmp(format, "base64");
    return ask->base64 || !strcmp(format, "float") ||
           rp_trouble_say(problem, 422, "Validation", "`encoding_format` must be float or base64");
}

/* "a", ["a"] or ["a", "b"]. */
static bool read_sequence(const rp_json *value, rp_input *out, rp_trouble *problem) {
    const rp_json *items = value->type == RP_JSON_STRING ? value : value->items;
    uint32_t count = value->type == RP_JSON_STRING ? 1 : rp_json_count(value, RP_JSON_ARRAY);
    bool good = count == 1 || count == 2;
    for (uint32_t i = 0; good && i < count; i++) good = items[i].type == RP_JSON_STRING;
    if (!good)
        return rp_trouble_say(problem, 422, "Validation",
                              "`inputs` must be a text, a pair of texts, or a list of lists of one or two "
                              "texts");
    out->text = (rp_text){items[0].text, items[0].count};
    if (count == 2) out->pair = (rp_text){items[1].text, items[1].count};
    return true;
}

bool rp_read_predict(rp_ask *ask, rp_trouble *problem) {
    const rp_json *root = &ask->body.root, *value = rp_body_value(root, "inputs");
    if (!value) return rp_trouble_say(problem, 422, "Validation", "`inputs` is missing");
    ask->list = value->type == RP_JSON_ARRAY && (!value->count || value->items[0].type == RP_JSON_ARRAY);
    const rp_json *items = ask->list ? value->items : value;
    if (!rp_read_room(ask, ask->list ? value->count : 1, problem)) return false;
    for (size_t i = 0; i < ask->count; i++)
        if (!read_sequence(&items[i], &ask->inputs[i], problem)) return false;
    return rp_body_truncation(root, ask, problem) && rp_body_bool(root, "raw_scores", &ask->raw, problem) &&
           rp_body_count(root, "patience", 1, &ask->patience, problem);
}

bool rp_read_rerank(rp_ask *ask, rp_trouble *problem) {
    const rp_json *root = &ask->body.root;
    if (!rp_read_room(ask, 1, problem) || !rp_body_text(root, "query", &ask->inputs[0].text, problem) ||
        !rp_body_texts(root, "texts", &ask->texts, &ask->text_count, problem) ||
        !rp_body_truncation(root, ask, problem) || !rp_body_bool(root, "raw_scores", &ask->raw, problem) ||
        !rp_body_bool(root, "return_text", &ask->return_text, problem))
        return false;
    ask->weight = ask->text_count;
    return true;
}

/* Documents are strings, or objects with a text. */
static bool read_documents(rp_ask *ask, rp_trouble *problem) {
    const rp_json *value = rp_body_value(&ask->body.root, "documents");
    if (!value) return rp_trouble_say(problem, 422, "Validation", "`documents` is missing");
    ask->text_count = rp_json_count(value, RP_JSON_ARRAY);
    ask->texts = calloc(ask->text_count + 1, sizeof *ask->texts);
    if (!ask->texts) return rp_trouble_memory(problem);
    for (size_t i = 0; i < ask->text_count; i++) {
        const rp_json *item = &value->items[i];
        const rp_json *text = item->type == RP_JSON_OBJECT ? rp_body_value(item, "text") : item;
        if (!rp_json_is(text, RP_JSON_STRING))
            return rp_trouble_say(problem, 422, "Validation",
                                  "`documents` must be strings or objects with a `text`; number %zu is not",
                                  i);
        ask->texts[i] = (rp_text){text->text, text->count};
    }
    return value->type == RP_JSON_ARRAY ||
           rp_trouble_say(problem, 422, "Validation", "`documents` must be a list");
}

bool rp_read_cohere(rp_ask *ask, rp_trouble *problem) {
    const rp_json *root = &ask->body.root;
    if (!rp_read_room(ask, 1, problem) || !rp_body_text(root, "query", &ask->inputs[0].text, problem) ||
        !read_documents(ask, problem) || !rp_body_string(root, "model", &ask->model, problem) ||
        !rp_body_count(root, "top_n", 1, &ask->top_k, problem) ||
        !rp_body_bool(root, "return_documents", &ask->return_text, problem))
        return false;
    ask->weight = ask->text_count;
    return true;
}

bool rp_read_similarity(rp_ask *ask, rp_trouble *problem) {
    const rp_json *root = &ask->body.root, *inputs = NULL, *parameters;
    rp_text *sentences = NULL;
    size_t count = 0;
    bool bare = rp_body_value(
        root, "source_sentence"); /* older clients of huggingface_hub have no inputs around it */
    bool good = (bare || rp_body_object(root, "inputs", true, &inputs, problem)) &&
                rp_body_object(root, "parameters", false, &parameters, problem) &&
                rp_body_texts(bare ? root : inputs, "sentences", &sentences, &count, problem) &&
                rp_read_room(ask, count + 1, problem) &&
                rp_body_text(bare ? root : inputs, "source_sentence", &ask->inputs[0].text, problem) &&
                rp_body_truncation(parameters, ask, problem) &&
                rp_body_string(parameters, "prompt_name", &ask->prompt_name, problem);
    for (size_t i = 0; good && i < count; i++) ask->inputs[1 + i].text = sentences[i];
    if (good && !count) ask->weight = 0;
    ask->normalize = true;
    free(sentences);
    return good;
}

bool rp_read_tokenize(rp_ask *ask, rp_trouble *problem) {
    const rp_json *root = &ask->body.root;
    bool special = true;
    const rp_json *value = rp_body_value(root, "inputs");
    if (value && is_ids(value))
        return rp_trouble_say(problem, 422, "Validation", "`inputs` must be a string or a list of strings");
    if (!read_inputs(ask, "inputs", problem) ||
        !rp_body_bool(root, "add_special_tokens", &special, problem) ||
        !rp_body_string(root, "prompt_name", &ask->prompt_name, problem))
        return false;
    for (size_t i = 0; i < ask->count; i++)
        if (ask->ids[i])
            return rp_trouble_say(problem, 422, "Validation",
                                  "`inputs` must be a string or a list of strings");
    if (ask->prompt_name)
        return rp_trouble_say(problem, 422, "Validation",
                              "`prompt_name` is not served by /tokenize; put the prompt before the text");
    ask->no_special = !special;
    return true;
}

bool rp_read_decode(rp_ask *ask, rp_trouble *problem) {
    const rp_json *root = &ask->body.root, *value = rp_body_value(root, "ids");
    bool skip = true;
    if (!rp_body_bool(root, "skip_special_tokens", &skip, problem)) return false;
    ask->keep_special = !skip;
    if (!value) return rp_trouble_say(problem, 422, "Validation", "`ids` is missing");
    ask->list = value->type == RP_JSON_ARRAY && !is_ids(value);
    if (!rp_read_room(ask, ask->list ? value->count : 1, problem)) return false;
    for (size_t i = 0; i < ask->count; i++) {
        ask->ids[i] = ask->list ? &value->items[i] : value;
        if (!is_ids(ask->ids[i]))
            return rp_trouble_say(problem, 422, "Validation",
                                  "`ids` must be a list of token ids from 0 on, or a list of such lists");
    }
    return true;
}
