#include "tools/serve/answer.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/serve/fields.h"
#include "tools/serve/loading.h"
#include "tools/serve/write.h"

static void answer_problem(rp_serve_request *r, const rp_trouble *problem) {
    rp_dialect dialect = r->route ? r->route->dialect : RP_DIALECT_TEI;
    r->answer.size = 0;
    r->answer.cut = false;
    r->status = problem->status;
    r->error_type = problem->type;
    r->type = NULL;
    if (*problem->message) rp_write_problem(problem, dialect, &r->answer);
}

enum { MOST_UNREAD = 1 << 30 }; /* bytes */

/* The answer lies in memory until its client has read it, or --request-timeout ends the connection. Of
 * answers that nobody reads there are not to be more than a bound; a single one may be as long as it is. */
static bool keep(rp_serve_request *r, rp_trouble *problem) {
    rp_server *s = r->server;
    size_t before = atomic_fetch_add(&s->unread, r->answer.capacity);
    if (!before || before + r->answer.capacity <= MOST_UNREAD) {
        r->unread = r->answer.capacity;
        return true;
    }
    atomic_fetch_sub(&s->unread, r->answer.capacity);
    free(r->answer.data);
    r->answer = (rp_cli_buffer){0};
    return rp_trouble_say(problem, 429, "Overloaded",
                          "clients have %zu bytes of answers still to read; try again later", before);
}

/* Write what the route writes; out of memory, less. */
static void answer_by(rp_serve_request *r, const rp_result *result) {
    rp_trouble problem = {0};
    r->status = 200;
    r->type = r->route->type;
    bool good = r->route->write(r, result, &r->answer, &problem);
    if (good && r->answer.cut) good = rp_trouble_memory(&problem);
    good = good && keep(r, &problem);
    if (!good) answer_problem(r, &problem);
}

/* The model that serves a request: the path may name it, and the body. */
static bool choose_model(rp_serve_request *r, rp_trouble *problem) {
    rp_server *s = r->server;
    if (r->ask.model && !r->model) {
        r->model = rp_serve_named(s, r->ask.model);
        if (!r->model)
            return rp_trouble_say(problem, 404, "NotFound",
                                  "there is no model '%.200s'; /v1/models lists those that there are",
                                  r->ask.model);
    }
    if (r->route->task == RP_SERVE_SEARCH && !rp_serve_choose_index(r, problem)) return false;
    r->model = rp_serve_choose(s, r->route->task, r->model, problem);
    return r->model;
}

/* Token ids become the text that they stand for. */
static bool decode_ids(rp_serve_request *r, rp_trouble *problem) {
    rp_ask *ask = &r->ask;
    bool any = false;
    for (size_t i = 0; ask->ids && i < ask->count; i++) any = any || ask->ids[i];
    if (!any || !r->route->run) return true;
    ask->owned = calloc(ask->count, sizeof *ask->owned);
    if (!ask->owned) return rp_trouble_memory(problem);
    for (size_t i = 0; i < ask->count; i++) {
        const rp_json *value = ask->ids[i];
        int32_t *ids = value ? calloc(value->count, sizeof *ids) : NULL;
        rp_error err = {RP_ERROR_HOST_MEMORY, "out of memory; try again later"};
        if (!value) continue;
        for (uint32_t k = 0; ids && k < value->count; k++) ids[k] = (int32_t)value->items[k].integer;
        if (ids && !rp_ids_known(r->model->tokenizer, value, problem)) {
            free(ids);
            return false;
        }
        rp_status status =
            ids ? rp_tokenizer_decode(r->model->tokenizer, ids, value->count, true, &ask->owned[i], &err)
                : err.status;
        free(ids);
        if (status)
            return rp_trouble_say(problem, status == RP_ERROR_HOST_MEMORY ? 503 : 422, "Tokenizer",
                                  "input %zu: %s", i, err.message);
        ask->inputs[i].text = (rp_text){ask->owned[i], strlen(ask->owned[i])};
    }
    return true;
}

static bool take_permits(rp_serve_request *r, rp_trouble *problem) {
    rp_server *s = r->server;
    size_t most = s->options->max_concurrent;
    size_t before = atomic_load(&s->permits);
    while (before + r->ask.weight <= most) {
        if (!atomic_compare_exchange_weak(&s->permits, &before, before + r->ask.weight)) continue;
        r->permits = r->ask.weight;
        return true;
    }
    return rp_trouble_say(problem, 429, "Overloaded",
                          "the server has %zu inputs inside, and takes %zu; try again later", before, most);
}

static bool check_weight(const rp_serve_request *r, rp_trouble *problem) {
    size_t most = r->server->options->max_client_batch;
    if (!r->ask.weight) return rp_trouble_say(problem, 400, "Empty", "the request has no inputs");
    if (r->ask.weight <= most) return true;
    return rp_trouble_say(problem, 422, "Validation",
                          "the request has %zu inputs, and at most %zu are taken (--max-client-batch-size)",
                          r->ask.weight, most);
}

static void count_characters(rp_serve_request *r) {
    const rp_ask *ask = &r->ask;
    for (size_t i = 0; i < ask->count; i++)
        r->characters += ask->inputs[i].text.size + ask->inputs[i].pair.size;
    for (size_t i = 0; i < ask->text_count; i++) r->characters += ask->texts[i].size;
}

/* What became of a request for a model. */
typedef enum outcome { FAILED, READY, WAITS } outcome;

/* The answer is written. The request may be gone when this returns. */
static void go_on(rp_serve_request *r) {
    rp_server *s = r->server;
    rp_serve_phase(s, r->connection, RP_ANSWERING, r);
    MHD_resume_connection(r->handle);
    atomic_fetch_sub(&s->suspended, 1);
}

/* After WAITS the request belongs to the thread that answers it, and may be gone. */
static outcome hand_in(rp_serve_request *r, rp_trouble *problem) {
    rp_server *s = r->server;
    atomic_fetch_add(&s->suspended, 1); /* first: whoever sets `closing` sees it, or it is seen here */
    if (s->closing) {
        atomic_fetch_sub(&s->suspended, 1);
        atomic_fetch_sub(&s->permits, r->permits);
        rp_trouble_of(problem, RP_ERROR_STOPPED, "");
        return FAILED;
    }
    r->call.deadline = rp_clock() + s->options->timeout;
    rp_serve_phase(s, r->connection, RP_WAITING, r);
    MHD_suspend_connection(r->handle);
    if (rp_serve_hand_in(r, problem)) return WAITS;
    atomic_fetch_sub(&s->permits, r->permits);
    answer_problem(r, problem);
    go_on(r);
    return WAITS;
}

static outcome ask_model(rp_serve_request *r, rp_trouble *problem) {
    rp_ask *ask = &r->ask;
    if (r->route->prepare && !r->route->prepare(r, problem)) return FAILED;
    if (!check_weight(r, problem) || !choose_model(r, problem) || !decode_ids(r, problem)) return FAILED;
    if (!ask->given_truncate) ask->truncate = r->server->options->truncate;
    ask->nested = r->hub && r->route->task == RP_SERVE_CLASSIFY && r->route->dialect == RP_DIALECT_HF;
    if (r->route->task == RP_SERVE_CLASSIFY && !ask->patience && r->model->exits)
        ask->patience = r->server->patience;
    count_characters(r);
    r->layers = r->model->layers;
    if (!r->route->run) return READY;
    return take_permits(r, problem) ? hand_in(r, problem) : FAILED;
}

bool rp_serve_answer(rp_serve_request *r) {
    rp_trouble problem = r->problem;
    const rp_route *route = r->route;
    if (!problem.status && route->read) rp_ask_read(&r->ask, route, r->body.data, r->body.size, &problem);
    free(r->body.data);
    r->body = (rp_cli_buffer){0};
    if (!problem.status && route->task && ask_model(r, &problem) == WAITS) return false;
    if (problem.status)
        answer_problem(r, &problem);
    else
        answer_by(r, NULL);
    return true;
}

/* The library's messages name the model's folder, which is nothing for clients: they know its name. */
static void hide_folder(const rp_served *m, const char *message, char *out, size_t size) {
    const char *dir = strstr(message, m->dir);
    if (dir)
        snprintf(out, size, "%.*s%.100s%s", (int)(dir - message), message, m->name, dir + strlen(m->dir));
    else
        snprintf(out, size, "%s", message);
}

void rp_serve_done(void *request, rp_status status, rp_result *result, const rp_error *err) {
    rp_serve_request *r = request;
    rp_trouble problem = {0};
    r->ended = rp_clock();
    if (status == RP_ERROR_CANCELLED && r->ended >= r->call.deadline) status = RP_ERROR_DEADLINE;
    if (!status) {
        answer_by(r, result);
    } else {
        char message[sizeof err->message + 128];
        hide_folder(r->model, err->message, message, sizeof message);
        rp_trouble_of(&problem, status, message);
        answer_problem(r, &problem);
    }
    rp_result_free(&result);
    rp_serve_left(r->model, status);
    atomic_fetch_sub(&r->server->permits, r->permits);
    go_on(r);
}
