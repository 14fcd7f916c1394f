/* The options of serve, and the variables of the environment that stand for them. */
#include "values.h"

#include <stdlib.h>
#include <string.h>

static const char *const policies[] = {"least-work", "join", "dynamic", "static", NULL}; /* rp_policy */

static bool read_bool(const char *name, const rp_cli_rule *r, const char *value, bool *out) {
    static const char *const words[] = {"false", "true", "0", "1", NULL};
    int word = 0;
    if (!rp_cli_read_word(name, r, value, words, &word)) return false;
    *out = word & 1;
    return true;
}

bool rp_cli_set_serving(const char *name, int which, const char *value, rp_cli_options *o) {
    const rp_cli_rule *r = &rp_cli_rules[which];
    rp_cli_serving *s = &o->serve;
    int word = 0;
    switch (which) {
    case R_SERVED_MODEL:
        return rp_cli_read_more(name, r, value, &s->models, &s->model_count);
    case R_SERVED_INDEX:
        return rp_cli_read_more(name, r, value, &s->indexes, &s->index_count);
    case R_HOST:
        return rp_cli_read_name(name, r, value, &s->host);
    case R_PORT:
        return rp_cli_read_number(name, r, value, 0, 65535, &s->port);
    case R_POLICY_FILE:
        return rp_cli_read_name(name, r, value, &o->policy);
    case R_QUEUE_POLICY:
        if (!rp_cli_read_word(name, r, value, policies, &word)) return false;
        s->policy = (rp_policy)word;
        return true;
    case R_MAX_BATCH_TOKENS:
        return rp_cli_read_number(name, r, value, 1, 1u << 22, &s->max_batch_tokens);
    case R_MAX_CONCURRENT:
        return rp_cli_read_number(name, r, value, 1, 65536, &s->max_concurrent);
    case R_MAX_CLIENT_BATCH:
        return rp_cli_read_number(name, r, value, 1, 65536, &s->max_client_batch);
    case R_PAYLOAD_LIMIT:
        return rp_cli_read_number(name, r, value, 1, 1u << 30, &s->payload_limit);
    case R_REQUEST_TIMEOUT:
        return rp_cli_read_number(name, r, value, 1, 86400, &s->timeout);
    case R_AUTO_TRUNCATE:
        return read_bool(name, r, value, &s->truncate);
    case R_API_KEY:
        return rp_cli_read_name(name, r, value, &s->key);
    case R_API_KEY_FILE:
        return rp_cli_read_name(name, r, value, &s->key_file);
    case R_CORS:
        return rp_cli_read_name(name, r, value, &s->cors);
    case R_IDLE:
        return rp_cli_read_number(name, r, value, 0, 1u << 30, &s->idle);
    case R_DRAIN:
        return rp_cli_read_number(name, r, value, 0, 86400, &s->drain);
    case R_JSON_OUTPUT: /* of the environment: the option has no value */
        return read_bool(name, r, value, &s->json_log);
    default:
        return false;
    }
}

/* HOSTNAME and PORT are not among them: shells and containers set those for other ends. The device, the model
 * and the cache have variables of their own. */
static const struct {
    int rule;
    const char *variable, *otherwise;
} variables[] = {
    {R_HOST, "REPRISE_HOST", "127.0.0.1"},
    {R_PORT, "REPRISE_PORT", "8080"},
    {R_MAX_BATCH_TOKENS, "MAX_BATCH_TOKENS", NULL},
    {R_MAX_CONCURRENT, "MAX_CONCURRENT_REQUESTS", "512"},
    {R_MAX_CLIENT_BATCH, "MAX_CLIENT_BATCH_SIZE", "32"},
    {R_PAYLOAD_LIMIT, "PAYLOAD_LIMIT", "2000000"},
    {R_REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "60"},
    {R_AUTO_TRUNCATE, "AUTO_TRUNCATE", "true"},
    {R_API_KEY, "API_KEY", NULL},
    {R_API_KEY_FILE, "API_KEY_FILE", NULL},
    {R_CORS, "CORS_ALLOW_ORIGIN", NULL},
    {R_IDLE, "REPRISE_IDLE", "0"},
    {R_DRAIN, "REPRISE_DRAIN", "30"},
    {R_JSON_OUTPUT, "JSON_OUTPUT", NULL},
};

bool rp_cli_complete_serving(const char *name, const bool *given, rp_cli_options *o) {
    if (given[R_API_KEY] && given[R_API_KEY_FILE]) {
        rp_cli_complain("%s: give one of --api-key and --api-key-file; try 'reprise %s --help'", name, name);
        return false;
    }
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        int rule = variables[i].rule;
        const char *said = getenv(variables[i].variable);
        bool from = said && *said, key = rule == R_API_KEY || rule == R_API_KEY_FILE;
        if (given[rule] || (key && (given[R_API_KEY] || given[R_API_KEY_FILE]))) continue;
        const char *value = from ? said : variables[i].otherwise;
        if (!value || rp_cli_set_serving(name, rule, value, o)) continue;
        rp_cli_complain("%s: that value is of the environment variable %s", name, variables[i].variable);
        return false;
    }
    return true;
}
