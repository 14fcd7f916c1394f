/* The models that are served: opening them, what each can do, and which serves what. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "tools/cli/session.h"
#include "tools/cli/stop.h"
#include "tools/serve/loading.h"
#include "tools/serve/run.h"

const char *const rp_serve_task_names[RP_SERVE_TASKS] = {
    [RP_SERVE_NOTHING] = "",
    [RP_SERVE_EMBED] = "feature-extraction",
    [RP_SERVE_CLASSIFY] = "text-classification",
    [RP_SERVE_ZERO_SHOT] = "zero-shot-classification",
    [RP_SERVE_RANK] = "rerank",
    [RP_SERVE_TAG] = "token-classification",
    [RP_SERVE_ANSWER] = "question-answering",
    [RP_SERVE_FILL] = "fill-mask",
    [RP_SERVE_COHERENCE] = "coherence",
    [RP_SERVE_CHOOSE] = "multiple-choice",
    [RP_SERVE_MODERATE] = "moderate",
    [RP_SERVE_SCORE] = "score",
    [RP_SERVE_SEARCH] = "search",
    [RP_SERVE_SUMMARIZE] = "summarization",
    [RP_SERVE_TOKENIZE] = "tokenize",
};

/* ---- choosing ---- */

rp_served *rp_serve_named(rp_server *s, const char *name) {
    for (size_t i = 0; i < s->model_count; i++)
        if (!strcmp(s->models[i].name, name)) return &s->models[i];
    return NULL;
}

static bool has_entailment(const rp_served *m) {
    for (uint32_t i = 0; i < m->label_count; i++)
        if (!strncasecmp(m->labels[i], "entail", 6)) return true;
    return false;
}

/* How well a model serves a task: 0, not at all. A classifier has vectors too, but they are not what it was
 * made for; nor are the heads that a model for vectors has left from its pre-training. */
static int suits(const rp_served *m, rp_serve_task task) {
    if (!m->serves[task]) return 0;
    bool classifier = m->serves[RP_SERVE_CLASSIFY], vectors = m->native == RP_SERVE_EMBED;
    switch (task) {
    case RP_SERVE_EMBED:
    case RP_SERVE_SUMMARIZE:
        return vectors ? 3 : !classifier ? 2 : 1;
    case RP_SERVE_RANK:
        return classifier && m->label_count == 1 ? 3 : vectors ? 2 : 1;
    case RP_SERVE_ZERO_SHOT:
        return classifier && has_entailment(m) ? 3 : vectors ? 2 : 1;
    default:
        return vectors ? 1 : 2;
    }
}

rp_served *rp_serve_choose(rp_server *s, rp_serve_task task, rp_served *named, rp_trouble *problem) {
    rp_served *best = named;
    for (size_t i = 0; !named && i < s->model_count; i++)
        if (!best || suits(&s->models[i], task) > suits(best, task)) best = &s->models[i];
    if (best && suits(best, task)) return best;
    const char *why = best && best->why[task] ? best->why[task] : "the model does not serve this";
    rp_trouble_say(problem, 424, "Backend", "%s%s%s", best ? best->name : "", best ? ": " : "", why);
    return NULL;
}

bool rp_serve_choose_index(rp_serve_request *r, rp_trouble *problem) {
    rp_server *s = r->server;
    for (size_t i = 0; i < s->index_count && !r->index; i++)
        if (!r->ask.index || !strcmp(r->ask.index, s->indexes[i].name)) r->index = &s->indexes[i];
    if (!r->index && r->ask.index)
        return rp_trouble_say(problem, 404, "NotFound", "there is no index '%.200s'; name one of --index",
                              r->ask.index);
    if (!r->index)
        return rp_trouble_say(problem, 424, "Backend", "this server has no index: start it with --index");
    if (!r->model) r->model = r->index->model;
    return r->model == r->index->model ||
           rp_trouble_say(problem, 424, "Backend", "the index %s is of the model %s", r->index->name,
                          r->index->model->name);
}

/* ---- what a model can do ---- */

static rp_serve_task native_task(const rp_served *m) {
    static const struct {
        const char *part;
        rp_serve_task task;
    } natives[] = {
        {"ForSequenceClassification", RP_SERVE_CLASSIFY},
        {"ForTokenClassification", RP_SERVE_TAG},
        {"ForQuestionAnswering", RP_SERVE_ANSWER},
        {"ForMultipleChoice", RP_SERVE_CHOOSE},
        {"ForMaskedLM", RP_SERVE_FILL},
        {"ForPreTraining", RP_SERVE_FILL},
    };
    char modules[4096]; /* of sentence-transformers: it was made for vectors, whatever heads came with it */
    int size = snprintf(modules, sizeof modules, "%s/modules.json", m->dir);
    if (size > 0 && (size_t)size < sizeof modules && !access(modules, R_OK)) return RP_SERVE_EMBED;
    for (size_t i = 0; i < sizeof natives / sizeof *natives; i++)
        if (strstr(m->architecture, natives[i].part) && m->serves[natives[i].task]) return natives[i].task;
    return RP_SERVE_EMBED;
}

static bool copy_info(rp_served *m) {
    const rp_model_info *info = rp_model_get_info(m->model);
    m->labels = calloc(info->label_count + 1, sizeof *m->labels);
    m->architecture = strdup(info->architecture ? info->architecture : "");
    if (!m->labels || !m->architecture) return false;
    for (uint32_t i = 0; info->heads & (RP_HEAD_CLASSIFIER | RP_HEAD_TOKENS) && i < info->label_count; i++) {
        m->labels[i] = strdup(info->labels[i]);
        if (!m->labels[i]) return false;
        m->label_count = i + 1;
    }
    m->layers = info->layers;
    m->hidden_size = info->hidden_size;
    m->max_tokens = info->max_tokens;
    m->max_batch_tokens = info->max_batch_tokens;
    m->heads = info->heads;
    return true;
}

static rp_status try_task(rp_served *m, rp_serve_task task, const char *policy, rp_error *err) {
    const rp_moderation_params params = {.policy = policy};
    if (task == RP_SERVE_TOKENIZE) return RP_OK;
    if (task == RP_SERVE_MODERATE) return rp_moderation_open(m->model, &params, &m->moderation, err);
    return rp_run_nothing(m->model, task, err);
}

/* Whether one token may leave early. */
static bool has_exits(const rp_served *m) {
    const int32_t id = 0;
    const rp_sequence token = {.ids = &id, .count = 1};
    const rp_run_params early = {.output = RP_OUTPUT_CLASSES, .patience = 1};
    float *logits = calloc(m->label_count + 1, sizeof *logits);
    bool has = logits && !rp_model_run(m->model, &token, 1, &early, logits, m->label_count, NULL, NULL);
    free(logits);
    return has;
}

/* The bytes of a message that name the folder, which is nothing for clients. */
static size_t folder_in(const rp_served *m, const char *message) {
    size_t size = strlen(m->dir);
    return !strncmp(message, m->dir, size) && !strncmp(message + size, ": ", 2) ? size + 2 : 0;
}

static rp_status look_at(rp_server *s, rp_served *m, rp_error *err) {
    if (!copy_info(m)) {
        *err = (rp_error){RP_ERROR_HOST_MEMORY, "out of memory; close other programs"};
        return err->status;
    }
    for (int task = 1; task < RP_SERVE_TASKS; task++) {
        if (!m->tokenizer) {
            m->why[task] = strdup("the folder has no tokenizer");
            continue;
        }
        rp_error why = {0};
        rp_status status = try_task(m, (rp_serve_task)task, s->policy, &why);
        m->serves[task] = !status;
        if (status) m->why[task] = strdup(why.message + folder_in(m, why.message));
    }
    m->exits = m->serves[RP_SERVE_CLASSIFY] && has_exits(m);
    m->native = native_task(m);
    return RP_OK;
}

/* ---- opening and closing all ---- */

/* NAME=DIR or DIR, whose last part is the name then. */
static bool name_model(rp_served *m, const char *said, rp_error *err) {
    const char *equals = strchr(said, '='), *slash = strchr(said, '/');
    bool named = equals && equals > said && (!slash || equals < slash);
    const char *dir = named ? equals + 1 : said;
    rp_status status = rp_find_model(dir, &m->dir, err);
    if (status) return false;
    if (named) {
        m->name = strndup(said, (size_t)(equals - said));
    } else {
        size_t end = strcspn(dir, "@");
        while (end > 1 && dir[end - 1] == '/') end--;
        size_t begin = end;
        while (begin && dir[begin - 1] != '/' && dir[begin - 1] != ':') begin--;
        m->name = strndup(dir + begin, end - begin);
    }
    return m->name;
}

/* A name stands in paths, in the log and in the labels of metrics as it is. */
static bool is_plain(const char *name) {
    bool plain = *name && *name != '/';
    for (const char *at = name; *at; at++)
        plain = plain && (unsigned char)*at > ' ' && !strchr("\"\\?#%\x7f", *at);
    return plain;
}

static bool open_named(rp_server *s, const char *said) {
    rp_served *m = &s->models[s->model_count];
    rp_error err = {0};
    pthread_mutex_init(&m->lock, NULL);
    s->model_count++;
    if (!name_model(m, said, &err)) {
        rp_cli_complain("serve: %s", err.message);
        return false;
    }
    if (!is_plain(m->name)) {
        rp_cli_complain("serve: a model cannot be called '%s'; name it without quotes, with -m NAME=DIR",
                        m->name);
        return false;
    }
    if (rp_serve_named(s, m->name) != m) {
        rp_cli_complain("serve: two models are called %s; name them otherwise: -m NAME=DIR", m->name);
        return false;
    }
    rp_tokenizer_open(m->dir, &m->tokenizer, NULL);
    if (!rp_serve_load(s, m, &err) && !look_at(s, m, &err)) return true;
    rp_cli_complain("serve: %s", err.message);
    return false;
}

/* The model that made the vectors of an index: searching for nothing says so. */
static bool open_index(rp_server *s, const char *said) {
    rp_serve_index *index = &s->indexes[s->index_count];
    const char *equals = strchr(said, '=');
    rp_error err = {0};
    if (!equals || equals == said) {
        rp_cli_complain("serve: --index takes NAME=FILE, not '%s'; try 'reprise serve --help'", said);
        return false;
    }
    index->name = strndup(said, (size_t)(equals - said));
    s->index_count++;
    rp_status status = rp_index_open(s->device, equals + 1, NULL, &index->index, &err);
    for (size_t i = 0; !status && !index->model && i < s->model_count; i++) {
        rp_result *nothing = NULL;
        if (!rp_search(index->index, s->models[i].model, NULL, 0, NULL, &nothing, &err))
            index->model = &s->models[i];
        rp_result_free(&nothing);
    }
    if (!status && index->model && index->name) return true;
    rp_cli_complain("serve: %s", err.message);
    return false;
}

static bool check_policy(const rp_server *s) {
    const char *why = NULL;
    if (!s->policy) return true;
    for (size_t i = 0; i < s->model_count; i++) {
        if (s->models[i].serves[RP_SERVE_MODERATE]) return true;
        if (s->models[i].serves[RP_SERVE_CLASSIFY] || !why) why = s->models[i].why[RP_SERVE_MODERATE];
    }
    rp_cli_complain("serve: %s", why ? why : "no model moderates");
    return false;
}

bool rp_serve_open_models(rp_server *s, const rp_cli_options *options) {
    const char *otherwise = options->model ? options->model : "bundled:sentiment";
    const char *const *said = s->options->model_count ? s->options->models : &otherwise;
    size_t count = s->options->model_count ? s->options->model_count : 1;
    s->models = rp_cli_calloc(count, sizeof *s->models);
    s->indexes = rp_cli_calloc(s->options->index_count, sizeof *s->indexes);
    rp_cli_stop_device(s->device);
    bool good = true;
    for (size_t i = 0; good && i < count; i++) good = open_named(s, said[i]);
    for (size_t i = 0; good && i < s->options->index_count; i++) good = open_index(s, s->options->indexes[i]);
    rp_cli_stop_device(NULL);
    return good && check_policy(s);
}

void rp_serve_close_models(rp_server *s) {
    for (size_t i = 0; i < s->index_count; i++) {
        rp_index_close(&s->indexes[i].index);
        free(s->indexes[i].name);
    }
    for (size_t i = 0; i < s->model_count; i++) {
        rp_served *m = &s->models[i];
        rp_serve_unload(m);
        rp_tokenizer_close(&m->tokenizer);
        rp_string_free(&m->dir);
        pthread_mutex_destroy(&m->lock);
        for (int task = 0; task < RP_SERVE_TASKS; task++) free(m->why[task]);
        for (uint32_t k = 0; k < m->label_count; k++) free(m->labels[k]);
        free(m->labels);
        free(m->architecture);
        free(m->name);
    }
    free(s->models);
    free(s->indexes);
}
