#include "tools/serve/info.h"

#include <string.h>

static void put_string(rp_cli_buffer *out, const char *key, const char *value) {
    rp_cli_printf(out, "\"%s\": ", key);
    if (value)
        rp_cli_json_string(out, value, strlen(value));
    else
        rp_cli_puts(out, "null");
}

/* {"0": "no", "1": "yes"}, or the other way round. */
static void put_labels(const rp_served *m, bool back, rp_cli_buffer *out) {
    rp_cli_puts(out, "{");
    for (uint32_t i = 0; i < m->label_count; i++) {
        if (i) rp_cli_puts(out, ", ");
        if (!back) rp_cli_printf(out, "\"%u\": ", i);
        rp_cli_json_string(out, m->labels[i], strlen(m->labels[i]));
        if (back) rp_cli_printf(out, ": %u", i);
    }
    rp_cli_puts(out, "}");
}

/* TEI knows three kinds. The folder may say more of the pooling than a word. */
static void put_kind(const rp_served *m, rp_cli_buffer *out) {
    bool classifier = m->serves[RP_SERVE_CLASSIFY] || m->native == RP_SERVE_TAG;
    if (!classifier) {
        rp_cli_puts(out, "{\"embedding\": {\"pooling\": \"mean\"}}");
        return;
    }
    rp_cli_printf(out, "{\"%s\": {\"id2label\": ", m->label_count == 1 ? "reranker" : "classifier");
    put_labels(m, false, out);
    rp_cli_puts(out, ", \"label2id\": ");
    put_labels(m, true, out);
    rp_cli_puts(out, "}}");
}

/* The tasks as the page and clients know them; sentence-similarity is another use of the vectors. */
static void put_tasks(const rp_served *m, rp_cli_buffer *out) {
    rp_cli_puts(out, "[");
    const char *between = "";
    for (int task = 1; task < RP_SERVE_TASKS; task++) {
        if (!m->serves[task] || task == RP_SERVE_SEARCH) continue;
        rp_cli_printf(out, "%s\"%s\"", between, rp_serve_task_names[task]);
        if (task == RP_SERVE_EMBED) rp_cli_puts(out, ", \"sentence-similarity\"");
        between = ", ";
    }
    rp_cli_puts(out, "]");
}

static const char *precision_name(const rp_server *s) {
    static const char *const names[] = {"float32", "float32", "float16", "int8", "int4"};
    return names[s->precision];
}

static void put_model(const rp_server *s, rp_served *m, rp_cli_buffer *out) {
    rp_cli_puts(out, "{");
    put_string(out, "id", m->name);
    rp_cli_puts(out, ", ");
    put_string(out, "architecture", m->architecture);
    rp_cli_printf(out, ", \"model_dtype\": \"%s\", \"model_type\": ", precision_name(s));
    put_kind(m, out);
    pthread_mutex_lock(&m->lock);
    bool loaded = m->queue;
    pthread_mutex_unlock(&m->lock);
    rp_cli_printf(
        out,
        ", \"max_input_length\": %u, \"max_batch_tokens\": %u, \"layers\": %u, \"hidden_size\": %u, "
        "\"loaded\": %s, \"early_exit\": %s, \"task\": \"%s\", \"tasks\": ",
        m->max_tokens, m->max_batch_tokens, m->layers, m->hidden_size, loaded ? "true" : "false",
        m->exits ? "true" : "false", rp_serve_task_names[m->native]);
    put_tasks(m, out);
    rp_cli_puts(out, "}");
}

bool rp_write_info(rp_serve_request *r, const rp_result *none, rp_cli_buffer *out, rp_trouble *problem) {
    rp_server *s = r->server;
    rp_served *m = r->model ? r->model : &s->models[0];
    (void)none;
    (void)problem;
    rp_cli_puts(out, "{");
    put_string(out, "model_id", m->name);
    rp_cli_printf(out, ", \"model_sha\": null, \"model_dtype\": \"%s\", ", precision_name(s));
    put_string(out, "served_model_name", m->name);
    rp_cli_puts(out, ", \"model_type\": ");
    put_kind(m, out);
    rp_cli_printf(out,
                  ", \"max_concurrent_requests\": %u, \"max_input_length\": %u, \"max_batch_tokens\": %u, "
                  "\"max_batch_requests\": null, \"max_client_batch_size\": %u, \"auto_truncate\": %s, "
                  "\"tokenization_workers\": %u, \"payload_limit\": %u, \"version\": \"%s\", \"sha\": null, "
                  "\"docker_label\": null, ",
                  s->options->max_concurrent, m->max_tokens, m->max_batch_tokens,
                  s->options->max_client_batch, s->options->truncate ? "true" : "false",
                  s->options->max_concurrent, s->options->payload_limit, rp_version());
    put_string(out, "device", s->device_name);
    rp_cli_puts(out, ", \"models\": [");
    for (size_t i = 0; i < s->model_count; i++) {
        if (i) rp_cli_puts(out, ", ");
        put_model(s, &s->models[i], out);
    }
    rp_cli_puts(out, "], \"indexes\": [");
    for (size_t i = 0; i < s->index_count; i++) {
        if (i) rp_cli_puts(out, ", ");
        rp_cli_json_string(out, s->indexes[i].name, strlen(s->indexes[i].name));
    }
    rp_cli_puts(out, "]}");
    return true;
}

bool rp_write_models(rp_serve_request *r, const rp_result *none, rp_cli_buffer *out, rp_trouble *problem) {
    rp_server *s = r->server;
    (void)none;
    (void)problem;
    rp_cli_puts(out, "{\"object\": \"list\", \"data\": [");
    for (size_t i = 0; i < s->model_count; i++) {
        rp_served *m = &s->models[i];
        rp_cli_puts(out, i ? ", {" : "{");
        put_string(out, "id", m->name);
        rp_cli_printf(
            out,
            ", \"object\": \"model\", \"created\": %lld, \"owned_by\": \"reprise\", \"tasks\": ", s->started);
        put_tasks(m, out);
        rp_cli_puts(out, "}");
    }
    rp_cli_puts(out, "]}");
    return true;
}

static bool is_sick(rp_served *m) {
    pthread_mutex_lock(&m->lock);
    bool sick = m->sick;
    pthread_mutex_unlock(&m->lock);
    return sick;
}

bool rp_write_health(rp_serve_request *r, const rp_result *none, rp_cli_buffer *out, rp_trouble *problem) {
    (void)none;
    (void)out;
    for (size_t i = 0; i < r->server->model_count; i++)
        if (is_sick(&r->server->models[i]))
            return rp_trouble_say(problem, 503, "Unhealthy", "the device failed, and is being opened again");
    return true;
}

bool rp_write_ready(rp_serve_request *r, const rp_result *none, rp_cli_buffer *out, rp_trouble *problem) {
    if (r->server->draining)
        return rp_trouble_say(problem, 503, "Unhealthy", "the server is ending; ask another one");
    return rp_write_health(r, none, out, problem);
}

bool rp_write_metrics(rp_serve_request *r, const rp_result *none, rp_cli_buffer *out, rp_trouble *problem) {
    (void)none;
    (void)problem;
    rp_metrics_write(r->server, out);
    return true;
}
