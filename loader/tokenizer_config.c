/* The JSON files of a tokenizer: tokenizer_config.json, special_tokens_map.json, added_tokens.json and what
 * tokenizer.json adds, read in the order in which transformers lets one overrule the other. */
#include <stdio.h>
#include <unistd.h>

#include "loader/json.h"
#include "loader/tokenizer.h"

enum {
    MAX_FILE_BYTES = 1 << 28,
    MAX_HOLE = 1 << 20, /* how far behind the vocabulary an added token's id may be */
    MAX_TOKEN_BYTES = 1 << 16,
    MAX_ADDED = 1 << 15, /* added tokens, which are looked up one by one */
};

/* One special token that has a role, in the order in which transformers looks at them. */
typedef struct role {
    const char *key;
    const char *wordpiece, *spiece; /* what it is when no file says; NULL: none */
    size_t id;                      /* where its id goes in rp_special_ids; SIZE_MAX: nowhere */
} role;

static const char LIST_KEY[] = "additional_special_tokens";

#define ID(name) offsetof(rp_special_ids, name)
static const role roles[] = {
    {"bos_token", NULL, "[CLS]", SIZE_MAX},       {"eos_token", NULL, "[SEP]", SIZE_MAX},
    {"unk_token", "[UNK]", "<unk>", ID(unk)},     {"sep_token", "[SEP]", "[SEP]", ID(sep)},
    {"pad_token", "[PAD]", "<pad>", ID(pad)},     {"cls_token", "[CLS]", "[CLS]", ID(cls)},
    {"mask_token", "[MASK]", "[MASK]", ID(mask)},
};
#undef ID

/* The files of the folder; those that are missing are null. */
typedef struct reader {
    rp_tokenizer *t;
    rp_error *err;
    rp_json_document config, map, added, full;
    char *config_path, *map_path, *added_path, *full_path;
    uint32_t next_id; /* of a token that is not in the vocabulary */
} reader;

/* ---- files ---- */

rp_status rp_tokenizer_read(const char *dir, const char *name, char **data, size_t *size, rp_error *err) {
    uint64_t bytes = 0;
    int fd = -1;
    FILE *file = NULL;
    *data = NULL;
    *size = 0;
    char *path = rp_path_join(dir, name);
    if (!path) return rp_fail_memory(err, "a path", strlen(dir));
    rp_status status = RP_OK;
    if (!rp_path_exists(path)) goto done;
    status = rp_file_open(path, &fd, &bytes, err);
    if (status) goto done;
    if (bytes > MAX_FILE_BYTES) {
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: %llu bytes, more than any real file of this kind has",
                         rp_path_shown(path), (unsigned long long)bytes);
        goto done;
    }
    *data = malloc((size_t)bytes + 1);
    file = *data ? fdopen(fd, "rb") : NULL;
    if (!file) {
        status = rp_fail_memory(err, rp_path_shown(path), bytes);
        goto done;
    }
    fd = -1;
    if (fread(*data, 1, (size_t)bytes, file) != bytes) {
        status =
            rp_fail(err, RP_ERROR_FILE, "%s: cannot be read to the end; check the disk", rp_path_shown(path));
        goto done;
    }
    (*data)[bytes] = '\0';
    *size = (size_t)bytes;
done:
    if (file) fclose(file);
    if (fd >= 0) close(fd);
    if (status) {
        free(*data);
        *data = NULL;
    }
    free(path);
    return status;
}

/* Parse `dir`/`name`, which must be an object. A missing file leaves null. `*path` is owned by the
 * caller. */
static rp_status load(const char *dir, const char *name, rp_json_document *out, char **path, rp_error *err) {
    *out = (rp_json_document){0};
    *path = rp_path_join(dir, name);
    if (!*path) return rp_fail_memory(err, "a path", strlen(dir));
    if (!rp_path_exists(*path)) return RP_OK;
    /* transformers writes 10^30 as an integer */
    rp_status status = rp_json_load_reals(*path, out, err);
    if (!status && out->root.type != RP_JSON_OBJECT)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: is %s, must be an object", rp_path_shown(*path),
                         rp_json_kind(&out->root));
    return status;
}

static rp_status load_string(const char *dir, const char *file, const char *field, char out[64],
                             rp_error *err) {
    rp_json_document document;
    char *path = NULL;
    out[0] = '\0';
    rp_status status = load(dir, file, &document, &path, err);
    const rp_json *value = status ? NULL : rp_json_get(&document.root, field);
    const char *text = rp_json_string(value);
    if (value && value->type != RP_JSON_NULL && !text)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: %s: is %s, must be a string", rp_path_shown(path), field,
                         rp_json_kind(value));
    else if (text)
        snprintf(out, 64, "%.*s", rp_text_fit(text, 63), text);
    rp_json_finish(&document);
    free(path);
    return status;
}

/* Tokenizers of transformers that work as BertTokenizer does, with and without "Fast" behind. */
static bool is_class(const char *name, const char *const *list, size_t count) {
    size_t size = strlen(name);
    if (size > 4 && strcmp(name + size - 4, "Fast") == 0) size -= 4;
    for (size_t i = 0; i < count; i++)
        if (strlen(list[i]) == size && memcmp(name, list[i], size) == 0) return true;
    return false;
}

rp_status rp_tokenizer_choose(const char *dir, bool has_spiece, bool has_vocab, bool *wordpiece,
                              rp_error *err) {
    static const char *const berts[] = {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
                                        "MobileBertTokenizer"};
    static const char *const others[] = {"", "AlbertTokenizer", "PreTrainedTokenizer"};
    char name[64], type[64];
    rp_status status = load_string(dir, "tokenizer_config.json", "tokenizer_class", name, err);
    if (status) return status;
    bool bert = is_class(name, berts, RP_COUNT(berts)), other = is_class(name, others, RP_COUNT(others));
    if ((!bert && !other) || (bert && !has_vocab))
        return rp_fail(
            err, RP_ERROR_UNSUPPORTED,
            "%s/tokenizer_config.json: tokenizer_class: %s with %s is not supported; only AlbertTokenizer "
            "and BertTokenizer are",
            rp_path_shown(dir), name, has_spiece ? "spiece.model" : "vocab.txt");
    *wordpiece = !has_spiece || bert;
    if (*wordpiece || !has_vocab || strcmp(name, others[1]) == 0 || strcmp(name, "AlbertTokenizerFast") == 0)
        return RP_OK;
    status = load_string(dir, "config.json", "model_type", type, err);
    *wordpiece = !status && strcmp(type, "bert") == 0;
    return status;
}

/* ---- single values ---- */

/* A truth value as Python sees it: null is false. */
static rp_status read_flag(const reader *r, const char *field, bool *out) {
    const rp_json *value = rp_json_get(&r->config.root, field);
    if (!rp_json_is(value, RP_JSON_NULL))
        return rp_json_bool(&r->config.root, r->config_path, field, *out, out, r->err);
    *out = false;
    return RP_OK;
}

static rp_status read_max_tokens(const reader *r) {
    const char *field = rp_json_get(&r->config.root, "model_max_length") ? "model_max_length" : "max_len";
    const rp_json *value = rp_json_get(&r->config.root, field);
    double most = 0;
    if (!value || value->type == RP_JSON_NULL) return RP_OK;
    if (!rp_json_number(value, &most) || !(most >= 1))
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: %s: must be a number of at least 1",
                       rp_path_shown(r->config_path), field);
    r->t->max_tokens = most < INT32_MAX ? (uint32_t)most : 0; /* transformers writes 1e30 for "no limit" */
    return RP_OK;
}

static rp_status read_truncation_side(const reader *r) {
    const rp_json *value = rp_json_get(&r->config.root, "truncation_side");
    const char *side = rp_json_string(value);
    if (!value) return RP_OK;
    if (!side || (strcmp(side, "left") && strcmp(side, "right")))
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: truncation_side: must be \"left\" or \"right\"",
                       rp_path_shown(r->config_path));
    r->t->truncate_left = side[0] == 'l';
    return RP_OK;
}

static rp_status read_never_split(const reader *r) {
    const rp_json *list = rp_json_get(&r->config.root, "never_split");
    if (!list || list->type == RP_JSON_NULL) return RP_OK;
    if (list->type != RP_JSON_ARRAY)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: never_split: is %s, must be a list of strings",
                       rp_path_shown(r->config_path), rp_json_kind(list));
    for (uint32_t i = 0; i < list->count; i++) {
        const rp_json *item = &list->items[i];
        const char *text = rp_json_string(item);
        if (!text)
            return rp_fail(r->err, RP_ERROR_FORMAT, "%s: never_split: holds %s, must hold strings",
                           rp_path_shown(r->config_path), rp_json_kind(item));
        if (!rp_vocab_set(&r->t->never_split, (int32_t)i, text, strlen(text), false))
            return rp_fail_memory(r->err, "never_split", strlen(text));
    }
    return RP_OK;
}

static rp_status read_settings(const reader *r) {
    rp_tokenizer *t = r->t;
    const rp_json *accents = rp_json_get(&r->config.root, "strip_accents");
    rp_status status = read_flag(r, "do_lower_case", &t->do_lower_case);
    if (!status) status = read_flag(r, "clean_up_tokenization_spaces", &t->clean_up);
    if (!status && t->wordpiece) {
        status = read_flag(r, "tokenize_chinese_chars", &t->tokenize_chinese_chars);
        if (!status) status = read_flag(r, "do_basic_tokenize", &t->do_basic_tokenize);
        t->strip_accents = t->do_lower_case;
        if (!status && !rp_json_is(accents, RP_JSON_NULL))
            status = read_flag(r, "strip_accents", &t->strip_accents);
        if (!status) status = read_never_split(r);
        if (!t->do_basic_tokenize) t->do_lower_case = false;
    } else if (!status) {
        status = read_flag(r, "keep_accents", &t->keep_accents);
        if (!status) status = read_flag(r, "remove_space", &t->remove_space);
    }
    if (!status) status = read_max_tokens(r);
    return status ? status : read_truncation_side(r);
}

/* ---- added tokens ---- */

static rp_added_token *find_added(const rp_tokenizer *t, const char *text) {
    for (size_t i = 0; i < t->added_count; i++)
        if (strcmp(t->added[i].text, text) == 0) return &t->added[i];
    return NULL;
}

/* The place of the added token `id`, a new one if there is none yet; NULL when out of memory. */
static rp_added_token *place_added(rp_tokenizer *t, int32_t id) {
    for (size_t i = 0; i < t->added_count; i++)
        if (t->added[i].id == id) return &t->added[i];
    if (!rp_grow((void **)&t->added, &t->added_capacity, t->added_count + 1, sizeof *t->added)) return NULL;
    return &t->added[t->added_count++];
}

/* Add a token, or replace the one that has its id. Its text is copied. */
static rp_status add_token(reader *r, const char *path, rp_added_token token) {
    rp_tokenizer *t = r->t;
    size_t size = strlen(token.text);
    if (token.id < 0 || (size_t)token.id >= t->vocab.count + MAX_HOLE)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: the added token \"%.*s\": its id must be from 0 to %zu",
                       rp_path_shown(path), rp_text_fit(token.text, 40), token.text,
                       t->vocab.count + MAX_HOLE - 1);
    if (size == 0 || size > MAX_TOKEN_BYTES)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: the added token of id %d must be 1 to %d bytes long",
                       rp_path_shown(path), (int)token.id, MAX_TOKEN_BYTES);
    if (t->added_count >= MAX_ADDED)
        return rp_fail(r->err, RP_ERROR_UNSUPPORTED, "%s: more than %d added tokens", rp_path_shown(path),
                       MAX_ADDED);
    uint32_t *codes = rp_arena_alloc(&t->arena, size, sizeof *codes);
    token.text = rp_arena_copy(&t->arena, token.text, size);
    rp_added_token *place = codes && token.text ? place_added(t, token.id) : NULL;
    if (!place) return rp_fail_memory(r->err, "the added tokens", t->added_count * sizeof *t->added);
    token.codes = codes;
    for (size_t at = 0; at < size;) codes[token.length++] = rp_utf8_next(token.text, &at);
    *place = token;
    t->added_first[codes[0] & 255] = true;
    if ((uint32_t)token.id >= t->id_count) t->id_count = (uint32_t)token.id + 1;
    return RP_OK;
}

/* An AddedToken as transformers writes it. `*text` stays owned by `value`. */
static rp_status read_added(const reader *r, const rp_json *value, const char *path, const char *where,
                            bool special, rp_added_token *out) {
    *out = (rp_added_token){.text = rp_json_string(rp_json_get(value, "content"))};
    if (!out->text)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: %s: must be an added token with the string \"content\"",
                       rp_path_shown(path), where);
    rp_status status = rp_json_bool(value, path, "special", false, &out->special, r->err);
    out->special |= special;
    if (!status) status = rp_json_bool(value, path, "lstrip", false, &out->lstrip, r->err);
    if (!status) status = rp_json_bool(value, path, "rstrip", false, &out->rstrip, r->err);
    if (!status) status = rp_json_bool(value, path, "single_word", false, &out->single_word, r->err);
    if (!status) status = rp_json_bool(value, path, "normalized", !out->special, &out->normalized, r->err);
    out->described = true;
    return status;
}

/* tokenizer_config.json's added_tokens_decoder: {"id": added token}. */
static rp_status read_decoder(reader *r, const rp_json *decoder) {
    if (decoder->type != RP_JSON_OBJECT)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: added_tokens_decoder: is %s, must be an object",
                       rp_path_shown(r->config_path), rp_json_kind(decoder));
    for (uint32_t i = 0; i < decoder->count; i++) {
        const char *key = decoder->members[i].key;
        rp_added_token token;
        char *end;
        rp_status status =
            read_added(r, &decoder->members[i].value, r->config_path, "added_tokens_decoder", false, &token);
        if (status) return status;
        long id = strtol(key, &end, 10);
        token.id = end != key && !*end && id >= 0 && id <= INT32_MAX ? (int32_t)id : -1;
        status = add_token(r, r->config_path, token);
        if (status) return status;
    }
    return RP_OK;
}

/* A token id; -1 when `value` is none. */
static int32_t id_of(const rp_json *value) {
    double id = -1;
    return rp_json_number(value, &id) && id >= 0 && id <= INT32_MAX && id == (double)(int32_t)id ? (int32_t)id
                                                                                                 : -1;
}

/* added_tokens.json: {"token": id}. */
static rp_status read_added_file(reader *r) {
    const rp_json *added = &r->added.root;
    for (uint32_t i = 0; i < rp_json_count(added, RP_JSON_OBJECT); i++) {
        const rp_member *m = &added->members[i];
        rp_added_token token = {.text = m->key, .id = id_of(&m->value), .normalized = true};
        rp_status status = add_token(r, r->added_path, token);
        if (status) return status;
    }
    return RP_OK;
}

/* tokenizer.json's added_tokens: a list of added tokens with ids. */
static rp_status read_full_added(reader *r) {
    const rp_json *list = rp_json_get(&r->full.root, "added_tokens");
    for (uint32_t i = 0; i < rp_json_count(list, RP_JSON_ARRAY); i++) {
        const rp_json *value = &list->items[i];
        rp_added_token token;
        rp_status status = read_added(r, value, r->full_path, "added_tokens", false, &token);
        token.id = id_of(rp_json_get(value, "id"));
        if (!status) status = add_token(r, r->full_path, token);
        if (status) return status;
    }
    return RP_OK;
}

/* ---- special tokens ---- */

/* Make `value`, a string or an added token, special. `implicit`: no file names it. `*id` is -1 when there is
 * none. What is known of a token already is overruled as transformers does. */
static rp_status add_special(reader *r, const rp_json *value, const char *path, const char *key,
                             bool implicit, int32_t *id) {
    rp_tokenizer *t = r->t;
    rp_added_token token = {.text = rp_json_string(value), .special = true};
    rp_status status = token.text ? RP_OK : read_added(r, value, path, key, true, &token);
    *id = -1;
    if (status || !*token.text) return status;
    if (value->type == RP_JSON_STRING && strcmp(key, "mask_token") == 0) token.lstrip = !t->wordpiece;
    rp_added_token *known = find_added(t, token.text);
    bool list = strcmp(key, LIST_KEY) == 0;
    if (known &&
        ((value->type == RP_JSON_STRING && !token.lstrip) || (known->described && !implicit && !list))) {
        known->role = true;
        known->listed |= list;
        *id = known->id;
        return RP_OK;
    }
    token.role = true;
    /* To the original ALBERT algorithm "<unk>" in a text is text. A folder that spells it out as an added
     * token comes from a tokenizer that cuts it out. */
    token.hidden = !t->wordpiece && !token.described && strcmp(key, "unk_token") == 0;
    token.listed = list || (known && known->listed);
    token.id = known ? known->id : rp_vocab_find(&t->vocab, token.text, strlen(token.text));
    if (token.id < 0) token.id = (int32_t)r->next_id++;
    if (implicit && (size_t)token.id >= t->vocab.count && !known)
        return RP_OK; /* takes an id, but nothing has it */
    *id = token.id;
    return add_token(r, path, token);
}

static rp_status add_default(reader *r, const role *role) {
    const char *text = r->t->wordpiece ? role->wordpiece : role->spiece;
    int32_t id = -1;
    if (!text) return RP_OK;
    const rp_json value = {.type = RP_JSON_STRING, .count = (uint32_t)strlen(text), .text = text};
    rp_status status = add_special(r, &value, r->config_path, role->key, true, &id);
    if (!status && role->id != SIZE_MAX) memcpy((char *)&r->t->ids + role->id, &id, sizeof id);
    return status;
}

static rp_status add_list(reader *r, const rp_json *list, const char *path) {
    int32_t id;
    if (!list || list->type == RP_JSON_NULL) return RP_OK;
    if (list->type != RP_JSON_ARRAY)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: %s: is %s, must be a list", rp_path_shown(path),
                       LIST_KEY, rp_json_kind(list));
    if (list->count > MAX_ADDED)
        return rp_fail(r->err, RP_ERROR_UNSUPPORTED, "%s: %s: more than %d tokens", rp_path_shown(path),
                       LIST_KEY, MAX_ADDED);
    for (uint32_t i = 0; i < list->count; i++) {
        rp_status status = add_special(r, &list->items[i], path, LIST_KEY, false, &id);
        if (status) return status;
    }
    return RP_OK;
}

/* The roles, then the additional special tokens. special_tokens_map.json counts only beside an old
 * tokenizer_config.json, one without added_tokens_decoder. */
static rp_status read_specials(reader *r, bool use_map) {
    const rp_tokenizer *t = r->t;
    r->next_id = (uint32_t)t->vocab.count; /* new tokens are numbered by how many there are */
    for (size_t i = 0; i < t->added_count; i++)
        r->next_id += rp_vocab_find(&t->vocab, t->added[i].text, strlen(t->added[i].text)) < 0;
    for (size_t i = 0; i < RP_COUNT(roles); i++) {
        const rp_json *value = use_map ? rp_json_get(&r->map.root, roles[i].key) : NULL;
        const char *path = value ? r->map_path : r->config_path;
        if (!value) value = rp_json_get(&r->config.root, roles[i].key);
        int32_t id = -1;
        rp_status status = RP_OK;
        if (!value)
            status = add_default(r, &roles[i]);
        else if (value->type != RP_JSON_NULL)
            status = add_special(r, value, path, roles[i].key, false, &id);
        if (value && roles[i].id != SIZE_MAX) memcpy((char *)&r->t->ids + roles[i].id, &id, sizeof id);
        if (status) return status;
    }
    rp_status status = add_list(r, rp_json_get(&r->config.root, LIST_KEY), r->config_path);
    if (!status && use_map) status = add_list(r, rp_json_get(&r->map.root, LIST_KEY), r->map_path);
    return status;
}

/* What every text needs. */
static rp_status check_specials(const reader *r) {
    const rp_special_ids *ids = &r->t->ids;
    const char *missing = ids->cls < 0   ? "cls_token"
                          : ids->sep < 0 ? "sep_token"
                          : ids->unk < 0 ? "unk_token"
                                         : NULL;
    if (!missing) return RP_OK;
    return rp_fail(r->err, RP_ERROR_FORMAT, "%s/%s: holds no %s; add it, or name it in tokenizer_config.json",
                   rp_path_shown(r->t->dir), r->t->wordpiece ? "vocab.txt" : "spiece.model", missing);
}

/* ---- the whole ---- */

/* Older conversions of ALBERT's fast tokenizer split on white space before anything else. */
static bool splits_on_space(const rp_json *full) {
    const rp_json *pre = rp_json_get(full, "pre_tokenizer"), *list = rp_json_get(pre, "pretokenizers");
    for (uint32_t i = 0; i < rp_json_count(list, RP_JSON_ARRAY); i++) {
        const char *type = rp_json_string(rp_json_get(&list->items[i], "type"));
        if (type && strcmp(type, "WhitespaceSplit") == 0) return true;
    }
    return false;
}

rp_status rp_tokenizer_configure(rp_tokenizer *t, rp_error *err) {
    reader r = {.t = t, .err = err};
    t->id_count = (uint32_t)t->vocab.count;
    t->do_lower_case = t->clean_up = t->remove_space = true;
    t->do_basic_tokenize = t->tokenize_chinese_chars = true;
    rp_status status = load(t->dir, "tokenizer_config.json", &r.config, &r.config_path, err);
    if (!status) status = load(t->dir, "special_tokens_map.json", &r.map, &r.map_path, err);
    if (!status) status = load(t->dir, "added_tokens.json", &r.added, &r.added_path, err);
    if (!status) status = load(t->dir, "tokenizer.json", &r.full, &r.full_path, err);
    if (!status) status = read_settings(&r);
    const rp_json *decoder = rp_json_get(&r.config.root, "added_tokens_decoder");
    if (!status && decoder) status = read_decoder(&r, decoder);
    if (!status && !decoder) status = read_added_file(&r);
    if (!status && !decoder) status = read_full_added(&r);
    if (!status) status = read_specials(&r, !decoder);
    if (!status) status = check_specials(&r);
    t->words_without_space = splits_on_space(&r.full.root);
    rp_json_finish(&r.config);
    rp_json_finish(&r.map);
    rp_json_finish(&r.added);
    rp_json_finish(&r.full);
    free(r.config_path);
    free(r.map_path);
    free(r.added_path);
    free(r.full_path);
    return status;
}
