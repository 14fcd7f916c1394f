#include "tools/serve/tasks.h"

#include <string.h>

#include "tools/serve/fields.h"
#include "tools/serve/read.h"
#include "tools/serve/run.h"
#include "tools/serve/write.h"

enum { CLASSIFY, ENTITIES, QUESTION, MASK, FEATURES, SIMILARITY, ZERO_SHOT, TASKS };

static const rp_route tasks[TASKS] = {
    [CLASSIFY] = {.path = "text-classification",
                  .post = true,
                  .dialect = RP_DIALECT_HF,
                  .task = RP_SERVE_CLASSIFY,
                  .read = rp_read_labels,
                  .run = rp_run_predict,
                  .write = rp_write_predict},
    [ENTITIES] = {.path = "token-classification",
                  .post = true,
                  .dialect = RP_DIALECT_HF,
                  .task = RP_SERVE_TAG,
                  .read = rp_read_entities,
                  .run = rp_run_tag,
                  .write = rp_write_entities},
    [QUESTION] = {.path = "question-answering",
                  .post = true,
                  .dialect = RP_DIALECT_HF,
                  .task = RP_SERVE_ANSWER,
                  .read = rp_read_question,
                  .run = rp_run_answer,
                  .write = rp_write_entries},
    [MASK] = {.path = "fill-mask",
              .post = true,
              .dialect = RP_DIALECT_HF,
              .task = RP_SERVE_FILL,
              .read = rp_read_mask,
              .run = rp_run_fill,
              .write = rp_write_mask},
    [FEATURES] = {.path = "feature-extraction",
                  .post = true,
                  .dialect = RP_DIALECT_HF,
                  .task = RP_SERVE_EMBED,
                  .read = rp_read_embed,
                  .run = rp_run_embed,
                  .write = rp_write_list},
    [SIMILARITY] = {.path = "sentence-similarity",
                    .post = true,
                    .dialect = RP_DIALECT_HF,
                    .task = RP_SERVE_EMBED,
                    .read = rp_read_similarity,
                    .run = rp_run_embed,
                    .write = rp_write_similarity},
    [ZERO_SHOT] = {.path = "zero-shot-classification",
                   .post = true,
                   .dialect = RP_DIALECT_HF,
                   .task = RP_SERVE_ZERO_SHOT,
                   .read = rp_read_zero_shot,
                   .run = rp_run_zero_shot,
                   .write = rp_write_zero_shot},
};

const rp_route *rp_task_route(const char *name) {
    for (int i = 0; i < TASKS; i++)
        if (!strcmp(tasks[i].path, name)) return &tasks[i];
    return NULL;
}

static int of_task(rp_serve_task task) {
    for (int i = 0; i < TASKS; i++)
        if (tasks[i].task == task) return i;
    return -1;
}

/* What the keys of a body say; -1: nothing. */
static int by_keys(const rp_json *root) {
    static const struct {
        const char *key;
        int task;
        enum { INPUTS, PARAMETERS, ROOT } where;
    } keys[] = {
        {"question", QUESTION, INPUTS},
        {"source_sentence", SIMILARITY, INPUTS},
        {"source_sentence", SIMILARITY, ROOT},
        {"candidate_labels", ZERO_SHOT, PARAMETERS},
        {"aggregation_strategy", ENTITIES, PARAMETERS},
        {"ignore_labels", ENTITIES, PARAMETERS},
        {"targets", MASK, PARAMETERS},
        {"function_to_apply", CLASSIFY, PARAMETERS},
        {"text_pair", CLASSIFY, INPUTS},
        {"normalize", FEATURES, ROOT},
        {"truncate", FEATURES, ROOT},
        {"prompt_name", FEATURES, ROOT},
        {"truncation_direction", FEATURES, ROOT},
    };
    const rp_json *places[] = {rp_body_value(root, "inputs"), rp_body_value(root, "parameters"), root};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (rp_body_value(places[keys[i].where], keys[i].key)) return keys[i].task;
    return -1;
}

/* Whether a text has the mask of a model that fills masks. */
static bool has_mask(const rp_served *m, const rp_json *text) {
    if (!m->serves[RP_SERVE_FILL] || !rp_json_is(text, RP_JSON_STRING)) return false;
    const char *mask = rp_tokenizer_piece(m->tokenizer, rp_tokenizer_special_ids(m->tokenizer).mask);
    return mask && strstr(text->text, mask);
}

/* What the models say of a text: the one that the path names, or the first that takes texts. */
static int by_models(rp_serve_request *r, const rp_json *inputs) {
    const rp_json *first = rp_json_is(inputs, RP_JSON_ARRAY) && inputs->count ? &inputs->items[0] : inputs;
    rp_server *s = r->server;
    if (r->model) return has_mask(r->model, first) ? MASK : of_task(r->model->native);
    for (size_t i = 0; i < s->model_count; i++) {
        rp_served *m = &s->models[i];
        /* rather one that was not made for vectors, as rp_serve_choose has it */
        bool better = !r->model || (r->model->native == RP_SERVE_EMBED && m->native != RP_SERVE_EMBED);
        if (better && has_mask(m, first)) r->model = m;
    }
    if (r->model) return MASK;
    for (size_t i = 0; i < s->model_count; i++) {
        int task = of_task(s->models[i].native);
        if (task < 0 || task == QUESTION || task == MASK) continue;
        r->model = &s->models[i];
        return task;
    }
    return FEATURES;
}

bool rp_task_prepare(rp_serve_request *r, rp_trouble *problem) {
    const rp_json *root = &r->ask.body.root;
    int task = by_keys(root);
    /* Of huggingface_hub's tasks this one alone comes without parameters, or (before 1.0) with a list. */
    bool features =
        !rp_json_get(root, "parameters") || rp_json_is(rp_body_value(root, "inputs"), RP_JSON_ARRAY);
    if (task < 0 && r->hub && features) task = FEATURES;
    if (task < 0) task = by_models(r, rp_body_value(root, "inputs"));
    if (task < 0)
        return rp_trouble_say(problem, 424, "Backend",
                              "%s: Hugging Face has no task for this model; see /info", r->model->name);
    r->route = &tasks[task];
    return r->route->read(&r->ask, problem);
}
