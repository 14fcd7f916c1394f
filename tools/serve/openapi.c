/* /openapi.json: the routes that this server has, made from their table; and what each body is. */
#include <string.h>

#include "tools/serve/info.h"

#define TEXT "{\"type\": \"string\"}"
#define SOME "{\"type\": \"string\", \"minLength\": 1}"
#define FLAG "{\"type\": \"boolean\", \"nullable\": true}"
#define COUNT "{\"type\": \"integer\", \"minimum\": 1, \"maximum\": 1073741824, \"nullable\": true}"
#define CUT                                                                                         \
    "\"truncate\": " FLAG ", \"truncation_direction\": {\"type\": \"string\", \"nullable\": true, " \
    "\"enum\": [\"right\", \"Right\", null]}"
#define MANY(item) "{\"type\": \"array\", \"minItems\": 1, \"maxItems\": @BATCH, \"items\": " item "}"
#define IDS                                                                                      \
    "{\"type\": \"array\", \"minItems\": 1, \"items\": {\"type\": \"integer\", \"minimum\": 0, " \
    "\"maximum\": @IDS}}"
#define TEXTS "{\"anyOf\": [" TEXT ", " MANY(TEXT) "]}"
#define INPUTS "{\"anyOf\": [" TEXT ", " IDS ", " MANY("{\"anyOf\": [" TEXT ", " IDS "]}") "]}"
#define OBJECT(needed, properties) \
    "{\"type\": \"object\", \"required\": [" needed "], \"properties\": {" properties "}}"
#define ONLY(needed, properties)                                                     \
    "{\"type\": \"object\", \"additionalProperties\": false, \"required\": [" needed \
    "], \"properties\": {" properties "}}"
#define VECTORS "{\"type\": \"array\", \"items\": {\"type\": \"array\", \"items\": {\"type\": \"number\"}}}"
#define SCORED OBJECT("\"label\", \"score\"", "\"label\": {}, \"score\": {\"type\": \"number\"}")
#define NUMBERS "{\"type\": \"array\", \"items\": {\"type\": \"number\"}}"
#define PAIR "{\"type\": \"array\", \"minItems\": 1, \"maxItems\": 2, \"items\": " TEXT "}"
#define MODEL "\"model\": {\"type\": \"string\", \"nullable\": true, \"enum\": [@MODELS]}"
#define LABELLED \
    OBJECT("\"candidate_labels\"", "\"candidate_labels\": " MANY(SOME) ", \"multi_label\": " FLAG)

/* The bodies and answers, by path. @BATCH and so on stand for what this server takes. */
static const struct {
    const char *path, *body, *answer;
} bodies[] = {
    {"/embed",
     OBJECT("\"inputs\"", "\"inputs\": " INPUTS ", \"normalize\": " FLAG ", " CUT
                          ", \"dimensions\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": @WIDTH, "
                          "\"nullable\": true}"),
     VECTORS},
    {"/embed_all", OBJECT("\"inputs\"", "\"inputs\": " INPUTS ", " CUT),
     "{\"type\": \"array\", \"items\": " VECTORS "}"},
    {"/predict",
     OBJECT("\"inputs\"", "\"inputs\": {\"anyOf\": [" TEXT ", " PAIR
                          ", " MANY(PAIR) "]}, \"raw_scores\": " FLAG "@PATIENCE, " CUT),
     "{\"type\": \"array\"}"},
    {"/rerank",
     OBJECT("\"query\", \"texts\"",
            "\"query\": " TEXT ", \"texts\": " MANY(TEXT) ", \"return_text\": " FLAG ", " CUT),
     "{\"type\": \"array\", \"items\": " OBJECT("\"index\", \"score\"",
                                                "\"index\": {\"type\": \"integer\"}, "
                                                "\"score\": {\"type\": \"number\"}, \"text\": " TEXT) "}"},
    {"/similarity",
     OBJECT("\"inputs\"",
            "\"inputs\": " OBJECT("\"source_sentence\", \"sentences\"",
                                  "\"source_sentence\": " TEXT
                                  ", \"sentences\": {\"type\": \"array\", \"minItems\": 1, "
                                  "\"maxItems\": @LESS, \"items\": " TEXT
                                  "}") ", \"parameters\": {\"type\": "
                                       "\"object\", \"nullable\": true, \"properties\": {" CUT "}}"),
     NUMBERS},
    {"/tokenize", OBJECT("\"inputs\"", "\"inputs\": " TEXTS ", \"add_special_tokens\": " FLAG),
     "{\"type\": \"array\", \"items\": {\"type\": \"array\", \"items\": " OBJECT(
         "\"id\", \"text\", \"special\"", "\"id\": {\"type\": \"integer\"}, \"text\": " TEXT
                                          ", \"special\": {\"type\": \"boolean\"}, \"start\": "
                                          "{\"type\": \"integer\", \"nullable\": true}, \"stop\": {\"type\": "
                                          "\"integer\", \"nullable\": true}") "}}"},
    {"/decode",
     OBJECT("\"ids\"", "\"ids\": {\"anyOf\": [" IDS ", " MANY(IDS) "]}, \"skip_special_tokens\": " FLAG),
     "{\"type\": \"array\", \"items\": " TEXT "}"},
    {"/v1/embeddings",
     OBJECT("\"input\"",
            "\"input\": " INPUTS ", " MODEL ", \"encoding_format\": {\"type\": \"string\", \"nullable\": "
            "true, \"enum\": [\"float\", \"base64\", null]}, \"dimensions\": {\"type\": \"integer\", "
            "\"minimum\": 1, \"maximum\": @WIDTH, \"nullable\": true}"),
     OBJECT("\"object\", \"data\", \"model\", \"usage\"",
            "\"object\": " TEXT ", \"data\": {\"type\": \"array\"}, \"model\": " TEXT
            ", \"usage\": {\"type\": "
            "\"object\"}")},
    {"/v1/rerank",
     OBJECT("\"query\", \"documents\"",
            "\"query\": " TEXT ", \"documents\": " MANY("{\"anyOf\": [" TEXT ", " OBJECT(
                "\"text\"", "\"text\": " TEXT) "]}") ", " MODEL ", \"top_n\": " COUNT
                                                     ", \"return_documents\": " FLAG),
     OBJECT("\"results\"", "\"results\": {\"type\": \"array\"}")},
    {"/coherence", ONLY("\"text\", \"text_pair\"", "\"text\": " TEXT ", \"text_pair\": " TEXT), SCORED},
    {"/choose", ONLY("\"text\", \"choices\"", "\"text\": " TEXT ", \"choices\": " MANY(TEXT)), NUMBERS},
    {"/moderate", ONLY("\"inputs\"", "\"inputs\": " TEXTS ", \"normalize\": " FLAG), "{}"},
    {"/score", ONLY("\"inputs\"", "\"inputs\": " TEXTS), "{}"},
    {"/search",
     ONLY("\"inputs\"",
          "\"inputs\": " TEXTS ", \"top_k\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 4096, "
          "\"nullable\": true}, \"threshold\": {\"type\": \"number\", \"nullable\": true}"),
     "{\"type\": \"array\"}"},
    {"/summarize",
     ONLY("\"inputs\"", "\"coherence\": {\"type\": \"number\", \"nullable\": true}, \"inputs\": " TEXTS
                        ", \"sentences\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": "
                        "1000, \"nullable\": true}"),
     "{\"type\": \"array\"}"},
};

/* Append a schema with what this server takes in it. */
static void put_schema(rp_server *s, const char *schema, rp_cli_buffer *out) {
    uint32_t width = s->models[0].hidden_size, vocabulary = UINT32_MAX;
    bool exits = false;
    for (size_t i = 0; i < s->model_count; i++) {
        const rp_served *m = &s->models[i];
        uint32_t ids = m->tokenizer ? rp_tokenizer_vocab_size(m->tokenizer) : 1;
        exits = exits || m->exits;
        width = m->hidden_size < width ? m->hidden_size : width;
        vocabulary = ids < vocabulary ? ids : vocabulary;
    }
    for (const char *at = schema; *at;) {
        size_t plain = strcspn(at, "@");
        rp_cli_put(out, at, plain);
        at += plain;
        if (!strncmp(at, "@BATCH", 6)) rp_cli_printf(out, "%u", s->options->max_client_batch);
        if (!strncmp(at, "@LESS", 5))
            rp_cli_printf(out, "%u", s->options->max_client_batch > 1 ? s->options->max_client_batch - 1 : 1);
        if (!strncmp(at, "@PATIENCE", 9) && exits) rp_cli_puts(out, ", \"patience\": " COUNT);
        if (!strncmp(at, "@WIDTH", 6)) rp_cli_printf(out, "%u", width);
        if (!strncmp(at, "@IDS", 4)) rp_cli_printf(out, "%u", vocabulary - 1);
        for (size_t i = 0; !strncmp(at, "@MODELS", 7) && i <= s->model_count; i++) {
            if (i) rp_cli_puts(out, ", ");
            if (i == s->model_count)
                rp_cli_puts(out, "null");
            else
                rp_cli_json_string(out, s->models[i].name, strlen(s->models[i].name));
        }
        if (*at) at += 1 + strspn(at + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    }
}

/* Hugging Face's bodies, of those tasks that a model here has. */
static void put_task_body(rp_server *s, rp_cli_buffer *out) {
    rp_trouble unused;
    rp_served *first = NULL;
    for (size_t i = 0; i < s->model_count && !first; i++) {
        rp_serve_task task = s->models[i].native;
        bool texts = task == RP_SERVE_CLASSIFY || task == RP_SERVE_TAG || task == RP_SERVE_EMBED;
        if (texts) first = &s->models[i];
    }
    rp_cli_puts(out, "{\"anyOf\": [");
    if (rp_serve_choose(s, RP_SERVE_ANSWER, NULL, &unused))
        put_schema(
            s,
            OBJECT("\"inputs\"", "\"inputs\": " OBJECT("\"question\", \"context\"",
                                                       "\"question\": " SOME ", \"context\": " SOME)) ", ",
            out);
    if (rp_serve_choose(s, RP_SERVE_FILL, NULL, &unused))
        put_schema(
            s,
            OBJECT("\"inputs\"", "\"inputs\": {\"type\": \"string\", \"pattern\": \"\\\\[MASK\\\\]\"}") ", ",
            out);
    put_schema(
        s, OBJECT("\"inputs\", \"parameters\"", "\"inputs\": " TEXT ", \"parameters\": " LABELLED) ", ", out);
    put_schema(s,
               first ? OBJECT("\"inputs\"", "\"inputs\": " TEXTS
                                            ", \"parameters\": {\"type\": \"object\", \"nullable\": true}")
                     : OBJECT("\"inputs\"", "\"inputs\": " OBJECT("\"source_sentence\", \"sentences\"",
                                                                  "\"source_sentence\": " TEXT
                                                                  ", \"sentences\": " MANY(TEXT))),
               out);
    rp_cli_puts(out, "]}");
}

static const char *find(const char *path, bool answer) {
    if (!strcmp(path, "/embeddings")) path = "/v1/embeddings";
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        if (!strcmp(bodies[i].path, path)) return answer ? bodies[i].answer : bodies[i].body;
    return NULL;
}

static void put_answers(rp_server *s, const rp_route *route, rp_cli_buffer *out) {
    static const char *const statuses[] = {"400", "404", "413", "415", "422", "424", "429", "503", "504"};
    const char *schema = find(route->path, true), *type = route->type ? route->type : "application/json";
    const char *error = route->dialect == RP_DIALECT_OPENAI ? "OpenAIError" : "Error";
    size_t size = strcspn(type, ";");
    bool empty = route->open && !route->type && strcmp(route->path, "/openapi.json");
    rp_cli_puts(out, "\"responses\": {\"200\": {\"description\": \"the answer\"");
    if (!empty) {
        rp_cli_printf(out, ", \"content\": {\"%.*s\": {\"schema\": ", (int)size, type);
        put_schema(s, schema ? schema : "{}", out);
        rp_cli_puts(out, "}}");
    }
    rp_cli_puts(out, "}");
    if (s->key && !route->open)
        rp_cli_puts(out, ", \"401\": {\"description\": \"the key is missing or wrong\"}");
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        bool ready = !strcmp(statuses[i], "503") && empty;
        bool named = strcmp(statuses[i], "404") || route->dialect == RP_DIALECT_OPENAI;
        if ((!route->post && !ready) || !named) continue;
        rp_cli_printf(
            out,
            ", \"%s\": {\"description\": \"an error\", \"content\": {\"application/json\": {\"schema\": "
            "{\"$ref\": \"#/components/schemas/%s\"}}}}",
            statuses[i], error);
    }
    rp_cli_puts(out, "}");
}

static void put_operation(rp_server *s, const rp_route *route, rp_cli_buffer *out) {
    rp_cli_printf(out, "\"%s\": {\"summary\": ", route->post ? "post" : "get");
    rp_cli_json_string(out, route->does, strlen(route->does));
    if (s->key && !route->open) rp_cli_puts(out, ", \"security\": [{\"key\": []}]");
    if (route->post) {
        rp_cli_puts(
            out, ", \"requestBody\": {\"required\": true, \"content\": {\"application/json\": {\"schema\": ");
        const char *schema = find(route->path, false);
        if (schema)
            put_schema(s, schema, out);
        else
            put_task_body(s, out);
        rp_cli_puts(out, "}}}");
    }
    rp_cli_puts(out, ", ");
    put_answers(s, route, out);
    rp_cli_puts(out, "}");
}

/* Only what a model here can do is served. */
static bool is_served(rp_server *s, const rp_route *route) {
    rp_trouble unused;
    if (!route->task || route->prepare) return true;
    if (route->task == RP_SERVE_SEARCH) return s->index_count;
    return rp_serve_choose(s, route->task, NULL, &unused);
}

bool rp_write_openapi(rp_serve_request *r, const rp_result *none, rp_cli_buffer *out, rp_trouble *problem) {
    rp_server *s = r->server;
    const char *between = "";
    (void)none;
    (void)problem;
    rp_cli_printf(
        out,
        "{\"openapi\": \"3.0.3\", \"info\": {\"title\": \"Reprise\", \"version\": \"%s\", \"description\": "
        "\"Each route that asks a model is also served behind its name: /NAME/embed; and Hugging Face's "
        "tasks at /models/NAME and /pipeline/TASK.\"}, \"paths\": {",
        rp_version());
    for (const rp_route *at = rp_routes; at->path; at++) {
        bool again = false, more = false;
        for (const rp_route *before = rp_routes; before < at; before++)
            again |= !strcmp(before->path, at->path);
        if (again || !is_served(s, at)) continue;
        rp_cli_printf(out, "%s\"%s\": {", between, at->path);
        for (const rp_route *same = at; same->path; same++) {
            if (strcmp(same->path, at->path)) continue;
            if (more) rp_cli_puts(out, ", ");
            put_operation(s, same, out);
            more = true;
        }
        rp_cli_puts(out, "}");
        between = ", ";
    }
    rp_cli_puts(
        out,
        "}, \"components\": {\"securitySchemes\": {\"key\": {\"type\": \"http\", \"scheme\": \"bearer\"}}, "
        "\"schemas\": {\"Error\": " OBJECT(
            "\"error\", \"error_type\"",
            "\"error\": " TEXT
            ", \"error_type\": " TEXT) ", \"OpenAIError\": " OBJECT("\"message\", \"code\", \"type\"",
                                                                    "\"message\": " TEXT
                                                                    ", \"code\": {\"type\": \"integer\"}, "
                                                                    "\"type\": " TEXT) "}}}");
    return true;
}
