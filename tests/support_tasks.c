#include "support_tasks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- folders ---- */

static bool complain(const char *what, const char *problem) {
    fprintf(stderr, "%s: %s\n", what, problem);
    return false;
}

static bool make_dir(const char *dir, const char *name) {
    char path[2 * FIXTURE_PATH_SIZE];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return !stat(path, &info) || mkdir(path, 0700) == 0;
}

/* config.json and weights from the generator, in the folder `dir`. */
static bool write_model(const char *dir, const json_t *settings, const json_t *list, uint64_t *checksum) {
    size_t count = json_array_size(list);
    fixture_tensor *tensors = calloc(count + 1, sizeof *tensors);
    char *config = json_dumps(settings, 0);
    for (size_t i = 0; tensors && i < count; i++) {
        const json_t *t = json_array_get(list, i), *shape = json_array_get(t, 1);
        tensors[i] = (fixture_tensor){.name = json_string_value(json_array_get(t, 0)),
                                      .rows = (uint32_t)json_integer_value(json_array_get(shape, 0)),
                                      .columns = (uint32_t)json_integer_value(json_array_get(shape, 1)),
                                      .scale = json_number_value(json_array_get(t, 2)),
                                      .offset = json_number_value(json_array_get(t, 3))};
    }
    bool ok = tensors && config &&
              fixture_write_folder(dir, config, tensors, count, &(fixture_layout){0}, checksum);
    free(tensors);
    free(config);
    return ok;
}

static bool write_weights(const task_case *c, bool check) {
    const char *inside = json_string_value(json_object_get(c->root, "transformer"));
    char dir[2 * FIXTURE_PATH_SIZE], text[32];
    uint64_t checksum = 0;
    snprintf(dir, sizeof dir, "%s/%s", c->dir, inside ? inside : "");
    if (!write_model(dir, json_object_get(c->root, "config"), json_object_get(c->root, "tensors"), &checksum))
        return false;
    snprintf(text, sizeof text, "%016llx", (unsigned long long)checksum);
    if (check && strcmp(text, json_string_value(json_object_get(c->root, "checksum"))))
        return complain(c->dir, "the weights differ from those of make_task_goldens.py");
    return true;
}

/* Folders of sentence-transformers' modules that have weights. */
static bool write_modules(const task_case *c) {
    const char *name;
    json_t *module;
    bool ok = true;
    json_object_foreach(json_object_get(c->root, "modules"), name, module) {
        char dir[2 * FIXTURE_PATH_SIZE];
        snprintf(dir, sizeof dir, "%s/%s", c->dir, name);
        ok = ok && make_dir(c->dir, name) &&
             write_model(dir, json_array_get(module, 0), json_array_get(module, 1), NULL);
    }
    return ok;
}

/* A file of the case, in its folder. */
static bool write_file(const task_case *c, const char *name, const char *text) {
    char folder[FIXTURE_PATH_SIZE / 2];
    const char *slash = strchr(name, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - name) : 0, name);
    return make_dir(c->dir, folder) && fixture_write_text(c->dir, name, text);
}

bool task_case_write(const task_case *c) {
    return write_weights(c, false);
}

static bool copy_vocabulary(const char *dir) {
    char command[4 * FIXTURE_PATH_SIZE];
    snprintf(command, sizeof command, "cp '%s/tools/models/sentiment/spiece.model' '%s/'", SOURCE_DIR, dir);
    return system(command) == 0;
}

static bool build_folder(task_case *c) {
    const char *name, *inside = json_string_value(json_object_get(c->root, "transformer"));
    char dir[2 * FIXTURE_PATH_SIZE];
    json_t *text;
    if (!fixture_make_dir(c->dir)) return false;
    c->temporary = true;
    snprintf(dir, sizeof dir, "%s/%s", c->dir, inside ? inside : "");
    bool ok = make_dir(c->dir, inside ? inside : "") && write_weights(c, true) && write_modules(c);
    if (ok && json_is_true(json_object_get(c->root, "spiece"))) ok = copy_vocabulary(dir);
    json_object_foreach(json_object_get(c->root, "files"), name, text) ok =
        ok && write_file(c, name, json_string_value(text));
    return ok;
}

bool task_case_open(const char *name, task_case *out) {
    char path[2 * FIXTURE_PATH_SIZE];
    json_error_t problem;
    *out = (task_case){0};
    snprintf(path, sizeof path, "%s/goldens/tasks/%s.json", TESTS_DIR, name);
    out->root = json_load_file(path, 0, &problem);
    if (!out->root) return complain(path, problem.text);
    out->calls = json_object_get(out->root, "calls");
    const char *folder = json_string_value(json_object_get(out->root, "folder"));
    if (!folder) return build_folder(out);
    snprintf(out->dir, sizeof out->dir, "%s/%s", SOURCE_DIR, folder);
    return true;
}

void task_case_close(task_case *c) {
    if (c->temporary) fixture_remove_dir(c->dir);
    json_decref(c->root);
    *c = (task_case){0};
}

/* ---- asking ---- */

rp_text task_text(const json_t *string) {
    return (rp_text){json_string_value(string), json_string_length(string)};
}

static rp_text text_of(const json_t *input, const char *key) {
    return task_text(json_is_string(input) ? input : json_object_get(input, key));
}

static uint32_t number_of(const json_t *call, const char *key) {
    return (uint32_t)json_integer_value(json_object_get(json_object_get(call, "params"), key));
}

/* The place of a parameter's word in a list, or `otherwise`. */
static int word_of(const json_t *call, const char *key, const char *const *words, int otherwise) {
    const char *word = json_string_value(json_object_get(json_object_get(call, "params"), key));
    for (int i = 0; word && words[i]; i++)
        if (!strcmp(words[i], word)) return i;
    return otherwise;
}

/* Some tests let allocations fail, the ones here too. */
static rp_status no_memory(rp_error *err) {
    *err = (rp_error){RP_ERROR_HOST_MEMORY, "out of memory in the test itself"};
    return err->status;
}

static rp_status run_answer(rp_model *model, const json_t *call, const rp_input *inputs, size_t count,
                            rp_result **out, rp_error *err) {
    const json_t *none = json_object_get(json_object_get(call, "params"), "allow_no_answer");
    const rp_answer_params params = {.top_k = number_of(call, "top_k"),
                                     .max_tokens = number_of(call, "max_tokens"),
                                     .stride = number_of(call, "stride"),
                                     .max_question_tokens = number_of(call, "max_question_tokens"),
                                     .max_answer_tokens = number_of(call, "max_answer_tokens"),
                                     .allow_no_answer = json_is_true(none)};
    rp_question *questions = calloc(count + 1, sizeof *questions);
    for (size_t i = 0; questions && i < count; i++)
        questions[i] = (rp_question){inputs[i].text, inputs[i].pair};
    rp_status status =
        !questions ? no_memory(err) : rp_answer_questions(model, questions, count, &params, out, err);
    free(questions);
    return status;
}

static rp_status run_choose(rp_model *model, const json_t *call, const size_t *which, size_t count,
                            rp_result **out, rp_error *err) {
    enum { MOST = 8 };
    rp_choice *choices = calloc(count + 1, sizeof *choices);
    rp_text(*texts)[MOST] = calloc(count + 1, sizeof *texts);
    for (size_t i = 0; choices && texts && i < count; i++) {
        const json_t *input = json_array_get(json_object_get(call, "inputs"), which ? which[i] : i);
        const json_t *list = json_object_get(input, "choices");
        choices[i] = (rp_choice){text_of(input, "text"), texts[i], json_array_size(list)};
        for (size_t k = 0; k < choices[i].choice_count && k < MOST; k++)
            texts[i][k] = task_text(json_array_get(list, k));
    }
    rp_status status = !choices || !texts ? no_memory(err) : rp_choose(model, choices, count, NULL, out, err);
    free(choices);
    free(texts);
    return status;
}

/* The tasks that take one text. */
static rp_status run_texts(rp_model *model, const json_t *call, const rp_text *texts, size_t count,
                           rp_result **out, rp_error *err) {
    static const char *const aggregations[] = {"simple", "none", "first", "average", "max", NULL};
    static const char *const poolings[] = {"default", "mean", "cls", "max", "none", NULL};
    const char *task = json_string_value(json_object_get(call, "task"));
    if (!strcmp(task, "fill-mask"))
        return rp_fill_mask(model, texts, count, &(rp_fill_params){.top_k = number_of(call, "top_k")}, out,
                            err);
    if (!strcmp(task, "score")) return rp_score(model, texts, count, NULL, out, err);
    if (!strcmp(task, "tag")) {
        const rp_tag_params params = {.aggregation =
                                          (rp_aggregation)word_of(call, "aggregation", aggregations, 0),
                                      .stride = number_of(call, "stride")};
        return rp_tag(model, texts, count, &params, out, err);
    }
    const json_t *given = json_object_get(call, "params"), *normalize = json_object_get(given, "normalize");
    const rp_embed_params params = {.prompt_name = json_string_value(json_object_get(given, "prompt_name")),
                                    .prompt = json_string_value(json_object_get(given, "prompt")),
                                    .dimensions = number_of(call, "dimensions"),
                                    .pooling = (rp_pooling)word_of(call, "pooling", poolings, 0),
                                    .normalize = !normalize                ? RP_NORMALIZE_DEFAULT
                                                 : json_is_true(normalize) ? RP_NORMALIZE_YES
                                                                           : RP_NORMALIZE_NO};
    return rp_embed(model, texts, count, &params, out, err);
}

rp_status task_run(rp_model *model, const json_t *call, const size_t *which, size_t count, rp_result **out,
                   rp_error *err) {
    const char *task = json_string_value(json_object_get(call, "task"));
    if (!strcmp(task, "choose")) return run_choose(model, call, which, count, out, err);
    rp_input *inputs = calloc(count + 1, sizeof *inputs);
    rp_text *texts = calloc(count + 1, sizeof *texts);
    for (size_t i = 0; inputs && texts && i < count; i++) {
        const json_t *input = json_array_get(json_object_get(call, "inputs"), which ? which[i] : i);
        bool question = json_object_get(input, "question");
        inputs[i].text = texts[i] = text_of(input, question ? "question" : "text");
        if (json_is_object(input)) inputs[i].pair = text_of(input, question ? "context" : "text_pair");
    }
    rp_status status;
    if (!inputs || !texts)
        status = no_memory(err);
    else if (!strcmp(task, "classify"))
        status = rp_classify(model, inputs, count, &(rp_classify_params){.top_k = number_of(call, "top_k")},
                             out, err);
    else if (!strcmp(task, "coherence"))
        status = rp_coherence(model, inputs, count, NULL, out, err);
    else if (!strcmp(task, "answer"))
        status = run_answer(model, call, inputs, count, out, err);
    else
        status = run_texts(model, call, texts, count, out, err);
    free(inputs);
    free(texts);
    return status;
}

/* ---- answers as JSON ---- */

/* The number of code points in the first `bytes` bytes. */
static json_int_t points(rp_text text, size_t bytes) {
    json_int_t count = 0;
    for (size_t i = 0; i < bytes && i < text.size; i++) count += (text.data[i] & 0xc0) != 0x80;
    return count;
}

static json_t *labels_of(const rp_result *result, size_t i) {
    size_t count = 0;
    const rp_label *labels = rp_result_labels(result, i, &count);
    json_t *list = json_array();
    for (size_t k = 0; k < count; k++)
        json_array_append_new(list,
                              json_pack("{s:s, s:f}", "label", labels[k].label, "score", labels[k].score));
    return list;
}

static json_t *fills_of(const rp_result *result, size_t i) {
    json_t *masks = json_array();
    for (size_t m = 0; m < rp_result_mask_count(result, i); m++) {
        size_t count = 0;
        const rp_fill *fills = rp_result_fills(result, i, m, &count);
        json_t *list = json_array();
        for (size_t k = 0; k < count; k++)
            json_array_append_new(list, json_pack("{s:f, s:i, s:s, s:s}", "score", fills[k].score, "token",
                                                  (int)fills[k].token, "token_str", fills[k].piece,
                                                  "sequence", fills[k].sequence));
        json_array_append_new(masks, list);
    }
    return masks;
}

static json_t *entities_of(const json_t *call, const rp_result *result, size_t i, rp_text text) {
    const char *how = json_string_value(json_object_get(json_object_get(call, "params"), "aggregation"));
    bool none = how && !strcmp(how, "none");
    size_t count = 0;
    const rp_entity *entities = rp_result_entities(result, i, &count);
    json_t *list = json_array();
    for (size_t k = 0; k < count; k++) {
        const rp_entity *e = &entities[k];
        json_t *value = json_pack("{s:s, s:f, s:s, s:I, s:I}", none ? "entity" : "entity_group", e->label,
                                  "score", e->score, "word", e->word, "start", points(text, e->span.start),
                                  "end", points(text, e->span.end));
        if (none || e->index) json_object_set_new(value, "index", json_integer(e->index));
        json_array_append_new(list, value);
    }
    return list;
}

static json_t *answers_of(const rp_result *result, size_t i, rp_text context) {
    size_t count = 0;
    const rp_answer *answers = rp_result_answers(result, i, &count);
    json_t *list = json_array();
    for (size_t k = 0; k < count; k++) {
        const rp_answer *a = &answers[k];
        json_array_append_new(list, json_pack("{s:f, s:I, s:I, s:s}", "score", a->score, "start",
                                              points(context, a->span.start), "end",
                                              points(context, a->span.end), "answer", a->text));
    }
    return list;
}

/* One row as a list, several as a list of lists. */
static json_t *vectors_of(const json_t *call, const rp_result *result, size_t i) {
    const char *pooling = json_string_value(json_object_get(json_object_get(call, "params"), "pooling"));
    size_t rows = 0, columns = 0;
    const float *values = rp_result_vectors(result, i, &rows, &columns);
    json_t *list = json_array(), *row = NULL;
    for (size_t r = 0; r < rows; r++) {
        row = json_array();
        for (size_t c = 0; c < columns; c++) json_array_append_new(row, json_real(values[r * columns + c]));
        json_array_append_new(list, row);
    }
    if (rows != 1 || (pooling && !strcmp(pooling, "none"))) return list;
    json_incref(row);
    json_decref(list);
    return row;
}

json_t *task_answer(const json_t *call, const json_t *input, const rp_result *result, size_t i) {
    const char *task = json_string_value(json_object_get(call, "task"));
    if (!strcmp(task, "classify")) return labels_of(result, i);
    if (!strcmp(task, "fill-mask")) return fills_of(result, i);
    if (!strcmp(task, "tag")) return entities_of(call, result, i, task_text(input));
    if (!strcmp(task, "answer")) return answers_of(result, i, text_of(input, "context"));
    if (!strcmp(task, "score")) {
        uint32_t tokens = 0;
        double score = rp_result_score(result, i, &tokens);
        return json_pack("{s:f, s:i}", "score", score, "tokens", (int)tokens);
    }
    if (!strcmp(task, "coherence")) return json_real(rp_result_in_order(result, i));
    return vectors_of(call, result, i);
}

/* ---- comparing ---- */

static bool same_number(double got, double want, double *worst) {
    double part = fabs(got - want) / (2e-5 + 2e-4 * fabs(want));
    if (!(part <= *worst)) *worst = part;
    return part <= 1;
}

bool task_same(const json_t *got, const json_t *want, double *worst) {
    if (json_is_real(want))
        return json_is_real(got) && same_number(json_real_value(got), json_real_value(want), worst);
    if (json_is_array(want)) {
        bool same = json_is_array(got) && json_array_size(got) == json_array_size(want);
        for (size_t i = 0; same && i < json_array_size(want); i++)
            same = task_same(json_array_get(got, i), json_array_get(want, i), worst);
        return same;
    }
    if (!json_is_object(want)) return json_equal(got, want);
    const char *key;
    json_t *value;
    bool same = json_object_size(got) == json_object_size(want);
    json_object_foreach((json_t *)want, key, value) same =
        same && task_same(json_object_get(got, key), value, worst);
    return same;
}
