#include "loader/config.h"

#include <math.h>
#include <stdio.h>

#include "loader/find_model.h"
#include "loader/folder.h"
#include "loader/json.h"
#include "loader/json_write.h"
#include "loader/missing.h"
#include "loader/names.h"
#include "loader/tf_checkpoint.h"

/* The largest sizes that are taken for a model and not for damage. Products of any three of them and the
 * number of layers fit into 64 bits, so no size computed from a config overflows. */
enum {
    MAX_WIDTH = 1 << 16,
    MAX_INTERMEDIATE = 1 << 20,
    MAX_VOCABULARY = 1 << 24,
    MAX_POSITIONS = 1 << 20,
    MAX_TYPES = 1 << 16,
    MAX_LAYERS = 1 << 12,
    MAX_INNER_LAYERS = 1 << 8,
    MAX_DISTINCT_LAYERS = 1 << 16,
    MAX_LABELS = 1 << 17,
};

typedef struct reader {
    const rp_json *root;
    const char *path; /* short enough for a message */
    rp_config *out;
    bool google; /* the file is one of Google's, not of Hugging Face */
    rp_error *err;
} reader;

/* By rp_family: what the configuration class of transformers takes when a field is missing; 0: no such field.
 */
typedef struct size_field {
    const char *name, *distilbert; /* what the others call it, and what DistilBERT does; NULL: the same */
    size_t offset;                 /* of a uint32_t in rp_config */
    uint32_t fallback[RP_FAMILY_COUNT];
    uint32_t most;
} size_field;

#define AT(member) offsetof(rp_config, member)
static const size_field size_fields[] = {
    {"vocab_size", NULL, AT(vocab_size), {30000, 30522, 30522}, MAX_VOCABULARY},
    {"embedding_size", NULL, AT(embedding_size), {128, 0, 0}, MAX_WIDTH},
    {"hidden_size", "dim", AT(hidden_size), {4096, 768, 768}, MAX_WIDTH},
    {"intermediate_size", "hidden_dim", AT(intermediate_size), {16384, 3072, 3072}, MAX_INTERMEDIATE},
    {"num_hidden_layers", "n_layers", AT(layers), {12, 12, 6}, MAX_LAYERS},
    {"num_hidden_groups", NULL, AT(groups), {1, 0, 0}, MAX_LAYERS},
    {"inner_group_num", NULL, AT(inner_layers), {1, 0, 0}, MAX_INNER_LAYERS},
    {"num_attention_heads", "n_heads", AT(attention_heads), {64, 12, 12}, MAX_WIDTH},
    {"max_position_embeddings", NULL, AT(max_positions), {512, 512, 512}, MAX_POSITIONS},
    {"type_vocab_size", NULL, AT(type_vocab_size), {2, 2, 0}, MAX_TYPES},
};
#undef AT

/* A string field, NULL when it is missing or null. */
static rp_status read_string(const reader *r, const char *field, const char **out) {
    const rp_json *value = rp_json_get(r->root, field);
    *out = rp_json_string(value);
    if (!value || value->type == RP_JSON_NULL || *out) return RP_OK;
    return rp_fail(r->err, RP_ERROR_FORMAT, "%s: %s: is %s, must be a string", r->path, field,
                   rp_json_kind(value));
}

static rp_status read_size(const reader *r, const char *field, uint32_t fallback, uint32_t most,
                           uint32_t *out) {
    const rp_json *value = rp_json_get(r->root, field);
    *out = fallback;
    if (!value) return RP_OK;
    if (value->type != RP_JSON_INTEGER)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: %s: is %s, must be an integer from 1 to %u", r->path,
                       field, rp_json_kind(value), most);
    int64_t n = value->integer;
    if (n < 1 || n > most)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: %s: is %lld, must be from 1 to %u", r->path, field,
                       (long long)n, most);
    *out = (uint32_t)n;
    return RP_OK;
}

/* ---- which model it is ---- */

static rp_status read_architecture(reader *r) {
    const rp_json *list = rp_json_get(r->root, "architectures");
    const char *first = "";
    if (list && list->type != RP_JSON_NULL) {
        if (list->type != RP_JSON_ARRAY)
            return rp_fail(r->err, RP_ERROR_FORMAT, "%s: architectures: is %s, must be a list of strings",
                           r->path, rp_json_kind(list));
        if (list->count > 0) first = rp_json_string(&list->items[0]);
        if (!first)
            return rp_fail(r->err, RP_ERROR_FORMAT, "%s: architectures: holds %s, must hold strings", r->path,
                           rp_json_kind(&list->items[0]));
    }
    r->out->architecture = rp_arena_copy(&r->out->arena, first, strlen(first));
    return r->out->architecture ? RP_OK : rp_fail_memory(r->err, "config.json", strlen(first) + 1);
}

static rp_status fail_family(const reader *r, const char *field, const char *value) {
    return rp_fail(r->err, RP_ERROR_UNSUPPORTED,
                   "%s: %s: \"%.*s\" is not supported; use a model of type \"albert\", \"bert\" or "
                   "\"distilbert\"",
                   r->path, field, rp_text_fit(value, 80), value);
}

/* model_type decides; files from before it existed are told apart by their class and by sizes that only one
 * family has. */
static rp_status read_family(reader *r) {
    const char *type = NULL, *class = r->out->architecture;
    rp_status status = read_string(r, "model_type", &type);
    if (status) return status;
    if (type || *class) {
        for (int i = 0; i < RP_FAMILY_COUNT; i++) {
            const rp_family_names *names = rp_names_of((rp_family)i);
            r->out->family = (rp_family)i;
            if (type ? !strcmp(type, names->prefix) : !strncmp(class, names->class, strlen(names->class)))
                return RP_OK;
        }
        return fail_family(r, type ? "model_type" : "architectures", type ? type : class);
    }
    static const char *const told[RP_FAMILY_COUNT] = {"embedding_size", "hidden_size", "n_layers"};
    for (int i = 0; i < RP_FAMILY_COUNT; i++) {
        r->out->family = (rp_family)i;
        if (rp_json_get(r->root, told[i])) return RP_OK;
    }
    return rp_fail(
        r->err, RP_ERROR_FORMAT,
        "%s: model_type: is missing, and nothing else tells what model it is; set it to \"albert\", "
        "\"bert\" or \"distilbert\"",
        r->path);
}

/* ---- sizes ---- */

/* One size, under the family's name for it. A DistilBERT's may stand under the others' too, as transformers
 * has it, and then that one counts. */
static rp_status read_size_field(reader *r, const size_field *f) {
    const rp_config *c = r->out;
    uint32_t fallback = f->fallback[c->family], *to = (uint32_t *)((char *)r->out + f->offset);
    const char *own = c->family == RP_FAMILY_DISTILBERT ? f->distilbert : NULL;
    if (!fallback) return RP_OK;
    rp_status status = own ? read_size(r, own, fallback, f->most, to) : RP_OK;
    if (status || (own && f->offset == offsetof(rp_config, intermediate_size))) return status;
    return read_size(r, f->name, own ? *to : fallback, f->most, to);
}

/* torch.nn.Embedding counts a negative number from the end. */
static void read_padding(reader *r) {
    const rp_json *value = rp_json_get(r->root, "pad_token_id");
    int64_t n = value && value->type == RP_JSON_INTEGER ? value->integer : 0, all = r->out->vocab_size;
    bool none = value && (value->type != RP_JSON_INTEGER || n >= all || n < -all);
    r->out->pad_id = none ? UINT32_MAX : (uint32_t)(n < 0 ? n + all : n);
}

static rp_status read_sizes(reader *r) {
    rp_config *c = r->out;
    for (size_t i = 0; i < RP_COUNT(size_fields); i++) {
        rp_status status = read_size_field(r, &size_fields[i]);
        if (status) return status;
    }
    if (c->family != RP_FAMILY_ALBERT) {
        c->embedding_size = c->hidden_size;
        c->groups = c->layers;
        c->inner_layers = 1;
    }
    read_padding(r);
    c->no_pooler = c->family == RP_FAMILY_DISTILBERT;
    if (c->hidden_size % c->attention_heads)
        return rp_fail(r->err, RP_ERROR_FORMAT,
                       "%s: num_attention_heads: %u heads do not divide hidden_size %u evenly", r->path,
                       c->attention_heads, c->hidden_size);
    if (c->groups * c->inner_layers > MAX_DISTINCT_LAYERS)
        return rp_fail(r->err, RP_ERROR_FORMAT,
                       "%s: inner_group_num: %u in each of %u groups are more than %d different layers",
                       r->path, c->inner_layers, c->groups, MAX_DISTINCT_LAYERS);
    return RP_OK;
}

static rp_status read_eps(reader *r) {
    const rp_json *value = rp_json_get(r->root, "layer_norm_eps");
    r->out->norm_eps = 1e-12f;
    if (!value || r->out->family == RP_FAMILY_DISTILBERT) return RP_OK; // whose epsilon is fixed
    double eps = 0;
    if (!rp_json_number(value, &eps))
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: layer_norm_eps: is %s, must be a number", r->path,
                       rp_json_kind(value));
    r->out->norm_eps = (float)eps;
    if (eps >= 0 && isfinite(r->out->norm_eps)) return RP_OK;
    return rp_fail(r->err, RP_ERROR_FORMAT, "%s: layer_norm_eps: is %g, must be 0 or a small positive number",
                   r->path, eps);
}

/* A probability below 1, or null and missing ones `fallback`. Running a model needs none, so a wrong one is
 * no error until somebody trains. */
static double read_dropout(const reader *r, const char *field, double fallback) {
    const rp_json *value = rp_json_get(r->root, field);
    double rate;
    if (!value || value->type == RP_JSON_NULL) return fallback;
    return rp_json_number(value, &rate) && rate >= 0 && rate < 1 ? rate : (double)NAN;
}

/* As the configuration classes of transformers and the heads that read them have it. */
static void read_dropouts(reader *r) {
    rp_config *c = r->out;
    bool albert = c->family == RP_FAMILY_ALBERT;
    c->hidden_dropout = read_dropout(r, "hidden_dropout_prob", albert ? 0 : 0.1);
    c->attention_dropout = read_dropout(r, "attention_probs_dropout_prob", albert ? 0 : 0.1);
    c->classifier_dropout = albert ? read_dropout(r, "classifier_dropout_prob", 0.1)
                                   : read_dropout(r, "classifier_dropout", c->hidden_dropout);
}

/* ---- what the layers compute ---- */

/* Names of one function: torch's own, and the variants of it that differ in how it is computed only. */
static const struct {
    const char *name;
    rp_activation activation;
} activations[] = {
    {"gelu", RP_ACTIVATION_GELU},
    {"gelu_python", RP_ACTIVATION_GELU},
    {"gelu_new", RP_ACTIVATION_GELU_TANH},
    {"gelu_pytorch_tanh", RP_ACTIVATION_GELU_TANH},
    {"gelu_accurate", RP_ACTIVATION_GELU_TANH},
    {"gelu_fast", RP_ACTIVATION_GELU_TANH},
    {"relu", RP_ACTIVATION_RELU},
};

/* Google's ALBERT calls "gelu" what Hugging Face calls "gelu_new". Its BERT does now, but did not when the
 * published models were trained, and Hugging Face's copies of those have "gelu". */
static bool means_tanh(const reader *r, const char *name) {
    return r->google && r->out->family == RP_FAMILY_ALBERT && !strcmp(name, "gelu") &&
           !rp_json_get(r->root, "model_type") && !rp_json_get(r->root, "architectures");
}

static rp_status read_activation(reader *r) {
    const char *name = NULL, *field = r->out->family == RP_FAMILY_DISTILBERT ? "activation" : "hidden_act";
    rp_status status = read_string(r, field, &name);
    if (status) return status;
    if (!name && rp_json_get(r->root, field))
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: %s: is null, must be a string", r->path, field);
    if (!name) name = r->out->family == RP_FAMILY_ALBERT ? "gelu_new" : "gelu";
    for (size_t i = 0; i < RP_COUNT(activations); i++) {
        if (strcmp(name, activations[i].name)) continue;
        r->out->activation = activations[i].activation;
        if (means_tanh(r, name)) r->out->activation = RP_ACTIVATION_GELU_TANH;
        return RP_OK;
    }
    return rp_fail(r->err, RP_ERROR_UNSUPPORTED,
                   "%s: %s: \"%.*s\" is not supported; gelu, gelu_new, gelu_pytorch_tanh and relu are",
                   r->path, field, rp_text_fit(name, 80), name);
}

/* Positions other than a table's, and decoders; the classes of DistilBERT have neither and look at no field.
 */
static rp_status refuse_other_attention(reader *r) {
    const rp_json *given = rp_json_get(r->root, "position_embedding_type");
    const char *positions = NULL;
    bool decoder = false;
    if (r->out->family == RP_FAMILY_DISTILBERT) return RP_OK;
    rp_status status = read_string(r, "position_embedding_type", &positions);
    if (!status) status = rp_json_bool(r->root, r->path, "is_decoder", false, &decoder, r->err);
    if (status) return status;
    if (given && !positions)
        return rp_fail(
            r->err, RP_ERROR_UNSUPPORTED,
            "%s: position_embedding_type: is null, which means none; only \"absolute\" is supported",
            r->path);
    if (positions && strcmp(positions, "absolute"))
        return rp_fail(r->err, RP_ERROR_UNSUPPORTED,
                       "%s: position_embedding_type: \"%.*s\" is not supported; only \"absolute\" is",
                       r->path, rp_text_fit(positions, 80), positions);
    if (decoder)
        return rp_fail(r->err, RP_ERROR_UNSUPPORTED,
                       "%s: is_decoder: decoders are not supported; only encoders are", r->path);
    return RP_OK;
}

/* Legal settings that change the result in ways this library does not compute. */
static rp_status refuse_variants(reader *r) {
    rp_status status = refuse_other_attention(r);
    if (status) return status;
    if (rp_json_count(rp_json_get(r->root, "pruned_heads"), RP_JSON_OBJECT) > 0)
        return rp_fail(r->err, RP_ERROR_UNSUPPORTED,
                       "%s: pruned_heads: models with pruned heads are not supported; use the full model",
                       r->path);
    if (rp_json_count(rp_json_get(r->root, "quantization_config"), RP_JSON_OBJECT) > 0)
        return rp_fail(r->err, RP_ERROR_UNSUPPORTED,
                       "%s: quantization_config: quantized weights are not supported; use F32, F16 or BF16",
                       r->path);
    return RP_OK;
}

/* ---- labels ---- */

rp_status rp_config_number_labels(rp_config *c, uint32_t count, rp_error *err) {
    c->label_count = count;
    c->labels = rp_arena_alloc(&c->arena, count, sizeof *c->labels);
    c->label_bare = rp_arena_alloc(&c->arena, count, sizeof *c->label_bare);
    if (!c->labels || !c->label_bare) return rp_fail_memory(err, "labels", count * sizeof *c->labels);
    for (uint32_t i = 0; i < count; i++) {
        char name[32];
        int size = snprintf(name, sizeof name, "LABEL_%u", i);
        c->labels[i] = rp_arena_copy(&c->arena, name, (size_t)size);
        if (!c->labels[i]) return rp_fail_memory(err, "labels", sizeof name);
    }
    return RP_OK;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The row that a key of id2label stands for; `count` where it is a number but none below that. False: it is
 * not a number as Python's int() reads one. */
static bool read_label_key(const char *key, uint32_t count, uint32_t *row) {
    static const char white[] = " \t\n\v\f\r";
    uint64_t n = 0;
    key += strspn(key, white);
    bool negative = *key == '-';
    key += negative || *key == '+';
    if (!is_digit(*key)) return false;
    for (; is_digit(*key) || (*key == '_' && is_digit(key[1])); key++)
        if (*key != '_' && n < count) n = n * 10 + (uint64_t)(*key - '0');
    *row = n < count && (!negative || n == 0) ? (uint32_t)n : count;
    return !key[strspn(key, white)];
}

/* The label of row `i` as its text, which for a number is its JSON; a null is none. */
static rp_status read_label(reader *r, uint32_t i, const rp_json *value) {
    rp_config *c = r->out;
    rp_json_writer number = {.compact = true};
    char *made = NULL;
    size_t size = 0;
    if (value->type == RP_JSON_NULL) return RP_OK;
    if (value->type == RP_JSON_ARRAY || value->type == RP_JSON_OBJECT)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: id2label: label %u is %s, must be a string", r->path, i,
                       rp_json_kind(value));
    const char *text = rp_json_string(value);
    if (!text) {
        rp_json_write_value(&number, NULL, value);
        text = made = rp_json_writer_finish(&number, &size);
        if (!made) return rp_fail_memory(r->err, "labels", 32);
        made[--size] = '\0'; // in place of the line end
        c->label_bare[i] = value->type != RP_JSON_REAL || isfinite(value->real);
    }
    c->labels[i] = rp_arena_copy(&c->arena, text, strlen(text));
    free(made);
    return c->labels[i] ? RP_OK : rp_fail_memory(r->err, "labels", 32);
}

/* There are as many labels as entries, whatever their keys: so transformers counts. A row that none names
 * keeps its number. */
static rp_status read_id2label(reader *r, const rp_json *map) {
    uint32_t count = rp_json_count(map, RP_JSON_OBJECT);
    if (count < 1 || count > MAX_LABELS)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: id2label: must be an object of 1 to %d labels", r->path,
                       MAX_LABELS);
    rp_status status = rp_config_number_labels(r->out, count, r->err);
    bool *seen = rp_arena_alloc(&r->out->arena, count, sizeof *seen);
    if (!status && !seen) status = rp_fail_memory(r->err, "labels", count * sizeof *seen);
    for (const rp_member *m = map->members; !status && m < map->members + count; m++) {
        uint32_t row;
        bool number = read_label_key(m->key, count, &row);
        if (!number || (row < count && seen[row]))
            return rp_fail(
                r->err, RP_ERROR_FORMAT,
                "%s: id2label: key \"%.*s\": the keys must be the numbers of the labels, from 0 to %u%s",
                r->path, rp_text_fit(m->key, 80), m->key, count - 1, number ? ", each of them once" : "");
        if (row == count) continue;
        seen[row] = true;
        status = read_label(r, row, &m->value);
    }
    return status;
}

/* id2label wins over num_labels, as in transformers. One without entries says nothing. */
static rp_status read_labels(reader *r) {
    const rp_json *map = rp_json_get(r->root, "id2label");
    uint32_t count = 2;
    bool names = map && map->type != RP_JSON_NULL && (map->type != RP_JSON_OBJECT || map->count);
    r->out->labels_given = names || rp_json_get(r->root, "num_labels");
    if (names) return read_id2label(r, map);
    rp_status status = read_size(r, "num_labels", 2, MAX_LABELS, &count);
    return status ? status : rp_config_number_labels(r->out, count, r->err);
}

static rp_status read_problem(reader *r) {
    static const char *const names[] = {[RP_PROBLEM_SINGLE_LABEL] = "single_label_classification",
                                        [RP_PROBLEM_MULTI_LABEL] = "multi_label_classification",
                                        [RP_PROBLEM_REGRESSION] = "regression"};
    const char *type = NULL;
    rp_status status = read_string(r, "problem_type", &type);
    if (status || !type) return status;
    for (size_t i = 0; i < RP_COUNT(names); i++) {
        if (strcmp(type, names[i])) continue;
        r->out->problem = (rp_problem)i;
        r->out->problem_given = true;
        return RP_OK;
    }
    return rp_fail(r->err, RP_ERROR_FORMAT, "%s: problem_type: \"%.*s\" is none of %s, %s and %s", r->path,
                   rp_text_fit(type, 80), type, names[0], names[1], names[2]);
}

/* ---- the whole ---- */

/* What sentence-transformers does with the logit of a cross-encoder: a sigmoid, unless a name says Identity.
 */
static void read_ranking(reader *r) {
    static const char identity[] = "Identity";
    const rp_json *made = rp_json_get(r->root, "sentence_transformers"),
                  *name = rp_json_get(r->root, "sbert_ce_default_activation_function");
    if (!name && made) name = rp_json_get(made, "activation_fn");
    if (!name || name->type != RP_JSON_STRING) return;
    size_t size = strlen(name->text), own = sizeof identity - 1;
    r->out->ranks_raw = size >= own && !strcmp(name->text + size - own, identity);
}

static rp_status read_config(reader *r) {
    if (r->root->type != RP_JSON_OBJECT)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: is %s, must be an object", r->path,
                       rp_json_kind(r->root));
    rp_status status = read_architecture(r);
    if (!status) status = read_family(r);
    if (!status) status = read_sizes(r);
    if (!status) status = read_eps(r);
    if (!status) read_dropouts(r);
    if (!status) status = read_activation(r);
    if (!status) status = refuse_variants(r);
    if (!status) status = read_labels(r);
    if (!status) status = read_problem(r);
    if (!status) read_ranking(r);
    if (!status)
        status =
            rp_json_bool(r->root, r->path, "tie_word_embeddings", true, &r->out->tie_word_embeddings, r->err);
    return status;
}

/* Set `*google` when the configuration `name` of the folder is one of Google's own, not of Hugging Face,
 * unless fields of it say otherwise: by its name, or because the weights beside it are a checkpoint of
 * TensorFlow. */
static rp_status is_google(const char *dir, const char *name, bool *google, rp_error *err) {
    static const char *const others[] = {"model.safetensors", "model.safetensors.index.json",
                                         "pytorch_model.bin", "pytorch_model.bin.index.json"};
    char *index = NULL;
    *google = strcmp(name, "config.json") != 0;
    if (*google) return RP_OK;
    for (size_t i = 0; i < RP_COUNT(others); i++) {
        char *path = rp_path_join(dir, others[i]);
        if (!path) return rp_fail_memory(err, "a path", strlen(dir));
        bool there = rp_path_exists(path);
        free(path);
        if (there) return RP_OK;
    }
    if (rp_tf_folder_find(dir, &index, err) == RP_ERROR_HOST_MEMORY) return RP_ERROR_HOST_MEMORY;
    *google = index;
    free(index);
    return RP_OK;
}

static rp_status load(const char *path, bool google, rp_config *out, rp_error *err) {
    rp_json_document document = {0};
    *out = (rp_config){0};
    out->path = rp_arena_copy(&out->arena, path, strlen(path));
    if (!out->path) return rp_fail_memory(err, "a path", strlen(path));
    reader r = {
        .root = &document.root, .path = rp_path_shown(out->path), .out = out, .google = google, .err = err};
    rp_status status = rp_json_load(out->path, &document, err);
    if (!status) status = read_config(&r);
    rp_json_finish(&document);
    if (status) rp_config_finish(out);
    return status;
}

rp_status rp_config_load_file(const char *path, rp_config *out, rp_error *err) {
    return load(path, false, out, err);
}

rp_status rp_config_load(const char *dir, rp_config *out, rp_error *err) {
    char name[RP_FOLDER_NAME];
    bool google = false;
    *out = (rp_config){0};
    rp_status status = rp_folder_check(dir, err);
    if (!status) status = rp_folder_config(dir, name, err);
    if (status) return status;
    if (!*name) return rp_fail_no_config(dir, err);
    char *path = rp_path_join(dir, name);
    if (!path) return rp_fail_memory(err, "a path", strlen(dir) + 16);
    status = is_google(dir, name, &google, err);
    if (!status) status = load(path, google, out, err);
    free(path);
    return status;
}

/* The four published sizes, second version. */
static const struct {
    const char *name;
    uint32_t hidden, layers, heads;
} presets[] = {
    {"base", 768, 12, 12}, {"large", 1024, 24, 16}, {"xlarge", 2048, 24, 16}, {"xxlarge", 4096, 12, 64}};

rp_status rp_config_preset(const char *name, rp_config *out, rp_error *err) {
    size_t i = 0;
    *out = (rp_config){0};
    if (!name) return rp_fail(err, RP_ERROR_ARGUMENT, "the config's name is NULL; pass \"base\" or a folder");
    while (i < RP_COUNT(presets) && strcmp(name, presets[i].name)) i++;
    if (i == RP_COUNT(presets)) {
        char *dir = NULL;
        rp_status status = rp_find_model(name, &dir, err);
        if (status == RP_ERROR_FILE && *name && !rp_path_exists(name))
            return rp_fail(
                err, RP_ERROR_FILE,
                "%s: neither base, large, xlarge or xxlarge, nor a folder with a config.json, nor a model "
                "that was fetched",
                rp_path_shown(name));
        if (!status) status = rp_config_load(dir, out, err);
        free(dir);
        return status;
    }
    *out = (rp_config){.family = RP_FAMILY_ALBERT,
                       .vocab_size = 30000,
                       .embedding_size = 128,
                       .hidden_size = presets[i].hidden,
                       .intermediate_size = 4 * presets[i].hidden,
                       .layers = presets[i].layers,
                       .groups = 1,
                       .inner_layers = 1,
                       .attention_heads = presets[i].heads,
                       .max_positions = 512,
                       .type_vocab_size = 2,
                       .activation = RP_ACTIVATION_GELU_TANH,
                       .norm_eps = 1e-12f,
                       .tie_word_embeddings = true};
    out->path = rp_arena_copy(&out->arena, name, strlen(name));
    out->architecture = rp_arena_copy(&out->arena, "AlbertModel", strlen("AlbertModel"));
    rp_status status = out->path && out->architecture ? rp_config_number_labels(out, 2, err)
                                                      : rp_fail_memory(err, "a config", 64);
    if (status) rp_config_finish(out);
    return status;
}

void rp_config_finish(rp_config *config) {
    if (!config) return;
    rp_arena_finish(&config->arena);
    *config = (rp_config){0};
}
