/* The table of routes, and which one a path means. */
#include <string.h>

#include "tools/serve/info.h"
#include "tools/serve/page.h"
#include "tools/serve/read.h"
#include "tools/serve/run.h"
#include "tools/serve/tasks.h"
#include "tools/serve/write.h"

#define MODEL .post = true
#define OPENAI .dialect = RP_DIALECT_OPENAI
#define TASK .dialect = RP_DIALECT_HF

const rp_route rp_routes[] = {
    {.path = "/",
     .page = rp_page_answer,
     .open = true,
     .type = "text/html; charset=utf-8",
     .does = "a page on which to try what the models do"},
    {.path = "/health",
     .write = rp_write_health,
     .open = true,
     .does = "200 while the device works, else 503"},
    {.path = "/ping", .write = rp_write_health, .open = true, .does = "the same as /health"},
    {.path = "/ready",
     .write = rp_write_ready,
     .open = true,
     .does = "200 while requests are taken; 503 when the server is ending or the device fails"},
    {.path = "/metrics",
     .write = rp_write_metrics,
     .open = true,
     .type = "text/plain; version=0.0.4; charset=utf-8",
     .does = "counters in Prometheus' text"},
    {.path = "/openapi.json", .write = rp_write_openapi, .open = true, .does = "this document"},
    {.path = "/info", .write = rp_write_info, .does = "the server, its limits and its models"},
    {.path = "/v1/models", .write = rp_write_models, OPENAI, .does = "the models and their tasks"},
    {.path = "/v1/embeddings",
     MODEL,
     OPENAI,
     .task = RP_SERVE_EMBED,
     .read = rp_read_openai,
     .run = rp_run_embed,
     .write = rp_write_openai,
     .does = "vectors, as OpenAI gives them"},
    {.path = "/embeddings",
     MODEL,
     OPENAI,
     .task = RP_SERVE_EMBED,
     .read = rp_read_openai,
     .run = rp_run_embed,
     .write = rp_write_openai,
     .does = "the same as /v1/embeddings"},
    {.path = "/v1/rerank",
     MODEL,
     OPENAI,
     .task = RP_SERVE_RANK,
     .read = rp_read_cohere,
     .run = rp_run_cohere,
     .write = rp_write_cohere,
     .does = "texts by how well they answer, as Cohere has it"},
    {.path = "/embed",
     MODEL,
     .task = RP_SERVE_EMBED,
     .read = rp_read_embed,
     .run = rp_run_embed,
     .write = rp_write_list,
     .does = "a vector of each input"},
    {.path = "/embed_all",
     MODEL,
     .task = RP_SERVE_EMBED,
     .read = rp_read_embed,
     .run = rp_run_embed_all,
     .write = rp_write_list,
     .does = "a vector of each token of each input"},
    {.path = "/predict",
     MODEL,
     .task = RP_SERVE_CLASSIFY,
     .read = rp_read_predict,
     .run = rp_run_predict,
     .write = rp_write_predict,
     .does = "labels of texts or pairs"},
    {.path = "/rerank",
     MODEL,
     .task = RP_SERVE_RANK,
     .read = rp_read_rerank,
     .run = rp_run_rank,
     .write = rp_write_rank,
     .does = "texts by how well they answer a query"},
    {.path = "/similarity",
     MODEL,
     .task = RP_SERVE_EMBED,
     .read = rp_read_similarity,
     .run = rp_run_embed,
     .write = rp_write_similarity,
     .does = "cosines of a sentence and others"},
    {.path = "/tokenize",
     MODEL,
     .task = RP_SERVE_TOKENIZE,
     .read = rp_read_tokenize,
     .write = rp_write_tokens,
     .does = "the tokens of texts"},
    {.path = "/decode",
     MODEL,
     .task = RP_SERVE_TOKENIZE,
     .read = rp_read_decode,
     .write = rp_write_decoded,
     .does = "the texts of token ids"},
    {.path = "/coherence",
     MODEL,
     .task = RP_SERVE_COHERENCE,
     .read = rp_read_coherence,
     .takes = "text text_pair",
     .run = rp_run_coherence,
     .write = rp_write_entries,
     .does = "are two texts in order?"},
    {.path = "/choose",
     MODEL,
     .task = RP_SERVE_CHOOSE,
     .read = rp_read_choose,
     .takes = "text choices",
     .run = rp_run_choose,
     .write = rp_write_entries,
     .does = "how probable each choice is"},
    {.path = "/moderate",
     MODEL,
     .task = RP_SERVE_MODERATE,
     .read = rp_read_moderate,
     .takes = "inputs text normalize",
     .run = rp_run_moderate,
     .write = rp_write_entries,
     .does = "which labels count, and what is to be done"},
    {.path = "/score",
     MODEL,
     .task = RP_SERVE_SCORE,
     .read = rp_read_score,
     .takes = "inputs text",
     .run = rp_run_score,
     .write = rp_write_entries,
     .does = "how likely a masked language model finds texts"},
    {.path = "/search",
     MODEL,
     .task = RP_SERVE_SEARCH,
     .read = rp_read_search,
     .takes = "inputs query text index prompt_name top_k threshold",
     .run = rp_run_search,
     .write = rp_write_entries,
     .does = "the nearest texts of an index"},
    {.path = "/summarize",
     MODEL,
     .task = RP_SERVE_SUMMARIZE,
     .read = rp_read_summarize,
     .takes = "inputs text sentences coherence",
     .run = rp_run_summarize,
     .write = rp_write_entries,
     .does = "the sentences that stand for a text"},
    {.path = "/",
     MODEL,
     TASK,
     .task = RP_SERVE_EMBED,
     .read = rp_read_task,
     .prepare = rp_task_prepare,
     .does = "the task of Hugging Face that the body and the models suggest"},
    {.path = NULL},
};

/* The route of a path. `named`: of what stands behind `/NAME`, where only those are that ask a model. */
static const rp_route *by_path(const char *path, bool post, bool named, const char **allow) {
    const rp_route *found = NULL;
    bool methods[2] = {false, false};
    for (const rp_route *at = rp_routes; at->path; at++) {
        if (strcmp(at->path, path) || (named && !at->task && strcmp(path, "/info"))) continue;
        methods[at->post] = true;
        if (at->post == post) found = at;
    }
    if (methods[0] || methods[1]) *allow = !methods[1] ? "GET" : methods[0] ? "GET, POST" : "POST";
    return found;
}

/* The rest of `path` behind the name of a model, the longest that fits; NULL: none does. */
static const char *behind_model(rp_server *s, const char *path, rp_served **model) {
    const char *rest = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < s->model_count; i++) {
        size_t size = strlen(s->models[i].name);
        if (size < longest || strncmp(path, s->models[i].name, size) || (path[size] && path[size] != '/'))
            continue;
        longest = size;
        *model = &s->models[i];
        rest = path + size;
    }
    return rest;
}

static const rp_route *by_task(const char *name, bool post, const char **allow) {
    const rp_route *route = rp_task_route(name);
    if (route) *allow = "POST";
    return post ? route : NULL;
}

const rp_route *rp_route_find(rp_server *s, const char *path, const char *method, rp_served **model,
                              const char **allow) {
    static const char models[] = "/models/", pipeline[] = "/pipeline/";
    bool post = !strcmp(method, "POST"), get = !strcmp(method, "GET");
    const char *unused = NULL, **other = &unused;
    const rp_route *route = by_path(path, post, false, other);
    const char *rest = NULL;
    if (!route && !*other && !strncmp(path, pipeline, sizeof pipeline - 1)) {
        route = by_task(path + sizeof pipeline - 1, post, other);
    } else if (!route && !*other && !strncmp(path, models, sizeof models - 1)) {
        rest = behind_model(s, path + sizeof models - 1, model);
        if (rest && (!*rest || !strcmp(rest, "/")))
            route = by_path("/", post, true, other);
        else if (rest && !strncmp(rest, pipeline, sizeof pipeline - 1))
            route = by_task(rest + sizeof pipeline - 1, post, other);
    } else if (!route && !*other && path[0] == '/') {
        rest = behind_model(s, path + 1, model);
        if (rest && *rest) route = by_path(rest, post, true, other);
    }
    if (route && (post || get)) return route;
    *allow = unused;
    return NULL;
}
