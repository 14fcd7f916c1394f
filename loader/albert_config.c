/* The JSON files beside a spiece.model, read in the order in which the original AlbertTokenizer of
 * transformers lets one overrule the other. */
#include <stdio.h>

#include "loader/tokenizer.h"

enum {
    MAX_TOKEN_BYTES = 1 << 16,
    MAX_ADDED = 1 << 15, /* added tokens, which are looked up one by one */
};

/* One special token that has a role, in the order in which transformers looks at them. */
typedef struct role {
    const char *key;
    const char *text; /* what it is when no file says */
    size_t id;        /* where its id goes in rp_special_ids; SIZE_MAX: nowhere */
} role;

static const char LIST_KEY[] = "additional_special_tokens";

#define ID(name) offsetof(rp_special_ids, name)
static const role roles[] = {
    {"bos_token", "[CLS]", SIZE_MAX},   {"eos_token", "[SEP]", SIZE_MAX}, {"unk_token", "<unk>", ID(unk)},
    {"sep_token", "[SEP]", ID(sep)},    {"pad_token", "<pad>", ID(pad)},  {"cls_token", "[CLS]", ID(cls)},
    {"mask_token", "[MASK]", ID(mask)},
};
#undef ID

typedef struct reader {
    rp_tokenizer *t;
    rp_albert *albert;
    const rp_tokenizer_files *files;
    rp_error *err;
    uint32_t next_id; /* of a token that is not in the vocabulary */
} reader;

/* ---- added tokens ---- */

static rp_added_token *find_added(const rp_albert *a, const char *text) {
    for (size_t i = 0; i < a->added_count; i++)
        if (strcmp(a->added[i].text, text) == 0) return &a->added[i];
    return NULL;
}

/* The place of the added token `id`, a new one if there is none yet; NULL when out of memory. */
static rp_added_token *place_added(rp_albert *a, int32_t id) {
    for (size_t i = 0; i < a->added_count; i++)
        if (a->added[i].id == id) return &a->added[i];
    if (!rp_grow((void **)&a->added, &a->added_capacity, a->added_count + 1, sizeof *a->added)) return NULL;
    return &a->added[a->added_count++];
}

/* Add a token, or replace the one that has its id. Its text is copied. */
static rp_status add_token(reader *r, const char *path, rp_added_token token) {
    rp_tokenizer *t = r->t;
    size_t size = strlen(token.text);
    if (token.id < 0 || (size_t)token.id >= t->vocab.count + (size_t)RP_ID_HOLE)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: the added token \"%.*s\": its id must be from 0 to %zu",
                       rp_path_shown(path), rp_text_fit(token.text, 40), token.text,
                       t->vocab.count + (size_t)RP_ID_HOLE - 1);
    if (size == 0 || size > MAX_TOKEN_BYTES)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: the added token of id %d must be 1 to %d bytes long",
                       rp_path_shown(path), (int)token.id, MAX_TOKEN_BYTES);
    if (r->albert->added_count >= MAX_ADDED)
        return rp_fail(r->err, RP_ERROR_UNSUPPORTED, "%s: more than %d added tokens", rp_path_shown(path),
                       MAX_ADDED);
    uint32_t *codes = rp_arena_alloc(&t->arena, size, sizeof *codes);
    token.text = rp_arena_copy(&t->arena, token.text, size);
    rp_added_token *place = codes && token.text ? place_added(r->albert, token.id) : NULL;
    if (!place) return rp_fail_memory(r->err, "the added tokens", r->albert->added_count * sizeof *place);
    token.codes = codes;
    for (size_t at = 0; at < size;) codes[token.length++] = rp_utf8_next(token.text, &at);
    *place = token;
    r->albert->added_first[codes[0] & 255] = true;
    return RP_OK;
}

/* An AddedToken as transformers writes it. `*text` stays owned by `value`. */
static rp_status read_added(const reader *r, const rp_json *value, const char *path, const char *where,
                            bool special, rp_added_token *out) {
    rp_added token;
    rp_status status = rp_added_read(value, path, where, &token, r->err);
    special |= token.special;
    *out = (rp_added_token){.text = token.text,
                            .lstrip = token.lstrip,
                            .rstrip = token.rstrip,
                            .single_word = token.single_word,
                            .normalized = rp_json_get(value, "normalized") ? token.normalized : !special,
                            .special = special,
                            .described = true};
    return status;
}

/* tokenizer_config.json's added_tokens_decoder: {"id": added token}. */
static rp_status read_decoder(reader *r, const rp_json *decoder) {
    if (decoder->type != RP_JSON_OBJECT)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: added_tokens_decoder: is %s, must be an object",
                       rp_path_shown(r->files->config_path), rp_json_kind(decoder));
    for (uint32_t i = 0; i < decoder->count; i++) {
        const char *key = decoder->members[i].key;
        rp_added_token token;
        char *end;
        rp_status status = read_added(r, &decoder->members[i].value, r->files->config_path,
                                      "added_tokens_decoder", false, &token);
        if (status) return status;
        long id = strtol(key, &end, 10);
        token.id = end != key && !*end && id >= 0 && id <= INT32_MAX ? (int32_t)id : -1;
        status = add_token(r, r->files->config_path, token);
        if (status) return status;
    }
    return RP_OK;
}

/* added_tokens.json: {"token": id}. */
static rp_status read_added_file(reader *r) {
    const rp_json *added = &r->files->added.root;
    for (uint32_t i = 0; i < rp_json_count(added, RP_JSON_OBJECT); i++) {
        const rp_member *m = &added->members[i];
        rp_added_token token = {.text = m->key, .id = rp_json_id(&m->value), .normalized = true};
        rp_status status = add_token(r, r->files->added_path, token);
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
    if (value->type == RP_JSON_STRING && strcmp(key, "mask_token") == 0) token.lstrip = true;
    rp_added_token *known = find_added(r->albert, token.text);
    bool list = strcmp(key, LIST_KEY) == 0;
    if (known &&
        ((value->type == RP_JSON_STRING && !token.lstrip) || (known->described && !implicit && !list))) {
        known->role = true;
        *id = known->id;
        return RP_OK;
    }
    token.role = true;
    /* To the original ALBERT algorithm "<unk>" in a text is text. A folder that spells it out as an added
     * token comes from a tokenizer that cuts it out. */
    token.hidden = !token.described && strcmp(key, "unk_token") == 0;
    token.id = known ? known->id : rp_vocab_find(&t->vocab, token.text, strlen(token.text));
    if (token.id < 0) token.id = (int32_t)r->next_id++;
    if (implicit && (size_t)token.id >= t->vocab.count && !known)
        return RP_OK; /* takes an id, but nothing has it */
    *id = token.id;
    return add_token(r, path, token);
}

static rp_status add_default(reader *r, const role *role) {
    int32_t id = -1;
    const rp_json value = {.type = RP_JSON_STRING, .count = (uint32_t)strlen(role->text), .text = role->text};
    rp_status status = add_special(r, &value, r->files->config_path, role->key, true, &id);
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
    for (size_t i = 0; i < r->albert->added_count; i++) {
        const char *text = r->albert->added[i].text;
        r->next_id += rp_vocab_find(&t->vocab, text, strlen(text)) < 0;
    }
    for (size_t i = 0; i < RP_COUNT(roles); i++) {
        const rp_json *value = use_map ? rp_json_get(&r->files->map.root, roles[i].key) : NULL;
        const char *path = value ? r->files->map_path : r->files->config_path;
        if (!value) value = rp_json_get(&r->files->config.root, roles[i].key);
        int32_t id = -1;
        rp_status status = RP_OK;
        if (!value)
            status = add_default(r, &roles[i]);
        else if (value->type != RP_JSON_NULL)
            status = add_special(r, value, path, roles[i].key, false, &id);
        if (value && roles[i].id != SIZE_MAX) memcpy((char *)&r->t->ids + roles[i].id, &id, sizeof id);
        if (status) return status;
    }
    rp_status status = add_list(r, rp_json_get(&r->files->config.root, LIST_KEY), r->files->config_path);
    if (!status && use_map)
        status = add_list(r, rp_json_get(&r->files->map.root, LIST_KEY), r->files->map_path);
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
                   rp_path_shown(r->t->dir), r->t->file, missing);
}

/* ---- the whole ---- */

/* Ids are asked about, and made text again, as those of a pipeline are. */
static rp_status publish(reader *r) {
    rp_tokenizer *t = r->t;
    const rp_albert *albert = r->albert;
    int32_t *ids = rp_new_array(int32_t, albert->added_count);
    size_t count = 0;
    rp_status status = ids ? RP_OK : rp_fail_memory(r->err, "the special tokens", albert->added_count);
    for (size_t i = 0; !status && i < albert->added_count; i++) {
        const rp_added_token *token = &albert->added[i];
        const rp_added added = {
            .text = token->text, .size = (uint32_t)strlen(token->text), .special = token->role};
        status = rp_added_put(&t->added, &added, token->id, &t->arena, r->err);
        if (token->role) ids[count++] = token->id;
    }
    if (!status) status = rp_tokenizer_note_special(t, ids, count, r->err);
    free(ids);
    return status ? status : rp_tokenizer_template(t, t->ids.cls, t->ids.sep, r->err);
}

rp_status rp_albert_configure(rp_tokenizer *t, const rp_tokenizer_files *files, rp_error *err) {
    rp_albert *albert = &t->albert;
    reader r = {.t = t, .albert = albert, .files = files, .err = err};
    const rp_json *decoder = rp_json_get(&files->config.root, "added_tokens_decoder");
    albert->do_lower_case = albert->remove_space = true;
    rp_status status = rp_tokenizer_flag(files, "do_lower_case", &albert->do_lower_case, err);
    if (!status) status = rp_tokenizer_flag(files, "keep_accents", &albert->keep_accents, err);
    if (!status) status = rp_tokenizer_flag(files, "remove_space", &albert->remove_space, err);
    if (!status) status = decoder ? read_decoder(&r, decoder) : read_added_file(&r);
    if (!status) status = read_specials(&r, !decoder);
    if (!status) status = check_specials(&r);
    if (!status) status = publish(&r);
    if (!status) status = rp_tokenizer_types(t, files, true, err);
    t->decoder.steps = status ? NULL : rp_new(rp_decode_step);
    if (status) return status;
    if (!t->decoder.steps) return rp_fail_memory(err, "a tokenizer", sizeof(rp_decode_step));
    t->decoder.steps[0] = (rp_decode_step){.kind = RP_DECODE_METASPACE, .code = 0x2581};
    t->decoder.count = 1;
    return RP_OK;
}
