/* What PreTrainedTokenizerFast of transformers 4.44.2 does with a pipeline: the special and added tokens that
 * the files beside it name, and BertTokenizerFast's say in the normalizer. */
#include <stdio.h>

#include "loader/tokenizer.h"

enum { ROLES = 7, MAX_LIST = 1 << 15 };

static const char *const roles[ROLES] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                         "pad_token", "cls_token", "mask_token"};
static const char LIST[] = "additional_special_tokens";

/* A token that a file names: by its text alone, or with all that an added token has. */
typedef struct named {
    rp_added token; /* text NULL: none */
    bool described;
    bool open;     /* no file says whether it is normalized: not if it is special */
    bool by_class; /* no file names it: the class does */
} named;

typedef struct names {
    named *items;
    size_t count, capacity;
} names;

typedef struct setup {
    rp_tokenizer *t;
    const rp_tokenizer_class *class;
    const rp_tokenizer_files *files;
    rp_error *err;
    bool legacy; /* tokenizer_config.json has no added_tokens_decoder */
    named roles[ROLES];
    names list;        /* additional_special_tokens */
    names decoder;     /* tokens to add, by their ids */
    rp_vocab specials; /* texts of all special tokens, those of the roles first, numbered */
} setup;

/* ---- reading ---- */

static rp_status read_named(const setup *s, const rp_json *value, const char *path, const char *where,
                            named *out) {
    *out = (named){0};
    if (value->type == RP_JSON_NULL) return RP_OK;
    if (value->type == RP_JSON_STRING) {
        out->token.text = value->text;
        out->token.size = value->count;
        return RP_OK;
    }
    out->described = true;
    out->open = !rp_json_get(value, "normalized");
    return rp_added_read(value, path, where, &out->token, s->err);
}

static rp_status push(const setup *s, names *list, named item) {
    if (list->count >= MAX_LIST)
        return rp_fail(s->err, RP_ERROR_UNSUPPORTED, "%s: more than %d tokens in a list",
                       rp_path_shown(s->files->config_path), MAX_LIST);
    if (!rp_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items))
        return rp_fail_memory(s->err, "the added tokens", list->count * sizeof *list->items);
    list->items[list->count++] = item;
    return RP_OK;
}

static bool same_text(const rp_added *a, const rp_added *b) {
    return a->size == b->size && !memcmp(a->text, b->text, a->size);
}

/* A token like one before it is left out of the list of special_tokens_map.json: texts alone are like each
 * other, and those that are described, which the list of tokenizer_config.json is not asked for. */
static bool is_listed(const setup *s, const named *item, size_t before) {
    for (size_t k = item->described ? before : 0; k < s->list.count; k++) {
        const named *other = &s->list.items[k];
        if (same_text(&other->token, &item->token) && other->described == item->described &&
            other->open == item->open && other->token.lstrip == item->token.lstrip &&
            other->token.rstrip == item->token.rstrip && other->token.normalized == item->token.normalized &&
            other->token.single_word == item->token.single_word)
            return true;
    }
    return false;
}

static rp_status read_list(setup *s, const rp_json *list, const char *path, bool new_only) {
    if (!list || list->type == RP_JSON_NULL) return RP_OK;
    if (list->type != RP_JSON_ARRAY)
        return rp_fail(s->err, RP_ERROR_FORMAT, "%s: %s: is %s, must be a list", rp_path_shown(path), LIST,
                       rp_json_kind(list));
    size_t before = s->list.count;
    for (uint32_t i = 0; i < list->count; i++) {
        named item;
        rp_status status = read_named(s, &list->items[i], path, LIST, &item);
        if (status) return status;
        if (!item.token.text || (new_only && is_listed(s, &item, before))) continue;
        status = push(s, &s->list, item);
        if (status) return status;
    }
    return RP_OK;
}

/* The roles as the files name them, or as the class does. A special_tokens_map.json counts only beside an old
 * tokenizer_config.json. */
static rp_status read_roles(setup *s) {
    const rp_json *map = s->legacy ? &s->files->map.root : NULL, *config = &s->files->config.root;
    const rp_json *pad = rp_json_get(rp_json_get(&s->files->full.root, "padding"), "pad_token");
    for (size_t i = 0; i < ROLES; i++) {
        const rp_json *value = rp_json_get(map, roles[i]);
        const char *path = value ? s->files->map_path : s->files->config_path;
        if (!value) value = rp_json_get(config, roles[i]);
        if (!value && !s->class->tokens[i] && !strcmp(roles[i], "pad_token") && rp_json_string(pad))
            value = pad;
        if (value) {
            rp_status status = read_named(s, value, path, roles[i], &s->roles[i]);
            if (status) return status;
        } else if (s->class->tokens[i]) {
            s->roles[i].token.text = s->class->tokens[i];
            s->roles[i].token.size = (uint32_t)strlen(s->class->tokens[i]);
            s->roles[i].by_class = true;
        }
        if (s->roles[i].token.text && !s->roles[i].token.size) s->roles[i].token.text = NULL;
    }
    rp_status status = read_list(s, rp_json_get(config, LIST), s->files->config_path, false);
    return status ? status : read_list(s, rp_json_get(map, LIST), s->files->map_path, true);
}

/* ---- added_tokens_decoder, or what stands for it in older folders ---- */

typedef struct numbered {
    int64_t id;
    size_t order; /* in which they are read: of two with one id the later counts */
    named item;
} numbered;

static int by_id(const void *a, const void *b) {
    const numbered *x = a, *y = b;
    if (x->id != y->id) return (x->id > y->id) - (x->id < y->id);
    return (x->order > y->order) - (x->order < y->order);
}

/* Append the tokens to s->decoder, by their ids. */
static rp_status push_numbered(setup *s, numbered *tokens, size_t count) {
    rp_status status = RP_OK;
    for (size_t i = 0; i < count; i++) tokens[i].order = i;
    qsort(tokens, count, sizeof *tokens, by_id);
    for (size_t i = 0; !status && i < count; i++)
        if (i + 1 == count || tokens[i].id != tokens[i + 1].id) status = push(s, &s->decoder, tokens[i].item);
    return status;
}

static rp_status read_numbered(setup *s, const rp_json *object, numbered *out) {
    for (uint32_t i = 0; i < object->count; i++) {
        const rp_member *m = &object->members[i];
        char *end;
        out[i].id = strtol(m->key, &end, 10);
        if (end == m->key || *end || out[i].id < 0)
            return rp_fail(s->err, RP_ERROR_FORMAT, "%s: added_tokens_decoder: \"%.*s\": must be an id",
                           rp_path_shown(s->files->config_path), rp_text_fit(m->key, 40), m->key);
        rp_status status =
            read_named(s, &m->value, s->files->config_path, "added_tokens_decoder", &out[i].item);
        if (!status && !out[i].item.described)
            status =
                rp_fail(s->err, RP_ERROR_FORMAT, "%s: added_tokens_decoder: \"%s\": must be an added token",
                        rp_path_shown(s->files->config_path), m->key);
        if (status) return status;
    }
    return RP_OK;
}

static rp_status read_decoder(setup *s, const rp_json *object) {
    if (object->type != RP_JSON_OBJECT)
        return rp_fail(s->err, RP_ERROR_FORMAT, "%s: added_tokens_decoder: is %s, must be an object",
                       rp_path_shown(s->files->config_path), rp_json_kind(object));
    numbered *tokens = rp_new_array(numbered, object->count);
    if (!tokens) return rp_fail_memory(s->err, "the added tokens", object->count * sizeof *tokens);
    rp_status status = read_numbered(s, object, tokens);
    if (!status) status = push_numbered(s, tokens, object->count);
    free(tokens);
    return status;
}

static bool is_named(const setup *s, const rp_added *token) {
    for (size_t i = 0; i < ROLES; i++)
        if (s->roles[i].token.text && !s->roles[i].by_class && same_text(&s->roles[i].token, token))
            return true;
    for (size_t i = 0; i < s->list.count; i++)
        if (same_text(&s->list.items[i].token, token)) return true;
    return false;
}

/* added_tokens.json: {"token": id}. */
static rp_status read_added_file(setup *s, numbered *out) {
    const rp_json *root = &s->files->added.root;
    for (uint32_t i = 0; i < rp_json_count(root, RP_JSON_OBJECT); i++) {
        const rp_member *m = &root->members[i];
        rp_added token = {.text = m->key, .size = m->key_size};
        token.special = is_named(s, &token);
        token.normalized = !token.special;
        out[i].id = rp_json_id(&m->value);
        out[i].item = (named){.token = token, .described = true};
        if (out[i].id < 0)
            return rp_fail(s->err, RP_ERROR_FORMAT, "%s: \"%.*s\": must be an id",
                           rp_path_shown(s->files->added_path), rp_text_fit(m->key, 40), m->key);
    }
    return RP_OK;
}

/* The tokens of tokenizer.json are added once more, by the ids that it gives them. */
static rp_status read_full(setup *s, numbered *out) {
    const rp_json *list = rp_json_get(&s->files->full.root, "added_tokens");
    rp_status status = RP_OK;
    for (uint32_t i = 0; !status && i < rp_json_count(list, RP_JSON_ARRAY); i++) {
        out[i].id = rp_json_id(rp_json_get(&list->items[i], "id"));
        status = read_named(s, &list->items[i], s->files->full_path, "added_tokens", &out[i].item);
    }
    return status;
}

static rp_status read_legacy(setup *s) {
    size_t first = rp_json_count(&s->files->added.root, RP_JSON_OBJECT);
    size_t count = first + rp_json_count(rp_json_get(&s->files->full.root, "added_tokens"), RP_JSON_ARRAY);
    numbered *tokens = rp_new_array(numbered, count);
    if (!tokens) return rp_fail_memory(s->err, "the added tokens", count * sizeof *tokens);
    rp_status status = read_added_file(s, tokens);
    if (!status) status = read_full(s, tokens + first);
    if (!status) status = push_numbered(s, tokens, count);
    free(tokens);
    return status;
}

/* Where a file describes a token of the text that a role has, the role is that one. */
static void describe_role(const setup *s, named *role) {
    const rp_added_vocab *added = &s->t->added;
    if (s->legacy) {
        int32_t at = rp_vocab_find(&added->index, role->token.text, role->token.size);
        if (at >= 0) *role = (named){.token = added->tokens[at], .described = true};
        return;
    }
    for (size_t k = s->decoder.count; k-- > 0;) {
        if (!same_text(&s->decoder.items[k].token, &role->token)) continue;
        *role = s->decoder.items[k];
        return;
    }
}

static void describe_roles(setup *s) {
    for (size_t i = 0; i < ROLES; i++)
        if (s->roles[i].token.text && !s->roles[i].by_class) describe_role(s, &s->roles[i]);
    named *mask = &s->roles[ROLES - 1];
    if (mask->token.text && !mask->described && s->class->mask_takes_left)
        mask->described = mask->token.lstrip = true;
}

/* ---- adding ---- */

static rp_status note_special_text(setup *s, const rp_added *token) {
    if (rp_vocab_find(&s->specials, token->text, token->size) >= 0) return RP_OK;
    return rp_vocab_set(&s->specials, (int32_t)s->specials.count, token->text, token->size, false)
               ? RP_OK
               : rp_fail_memory(s->err, "the special tokens", token->size);
}

static bool is_special(const setup *s, const named *item) {
    return item->token.special || rp_vocab_find(&s->specials, item->token.text, item->token.size) >= 0;
}

static rp_status add(setup *s, const named *item, bool special) {
    rp_tokenizer *t = s->t;
    rp_added token = item->token;
    token.special = special;
    if (!item->described || item->open) token.normalized = !special;
    return rp_added_push(&t->added, &token, &t->vocab, t->model_size, &t->arena, s->files->config_path,
                         s->err);
}

/* `known`: so many added tokens need not be added by their texts alone. */
static rp_status add_special(setup *s, const named *item, size_t known) {
    if (!item->token.text || !item->token.size) return RP_OK;
    int32_t at = rp_vocab_find(&s->t->added.index, item->token.text, item->token.size);
    return at >= 0 && (size_t)at < known && !item->described ? RP_OK : add(s, item, true);
}

/* All of the decoder's, then the special tokens; of those with one text the first role counts. */
static rp_status add_all(setup *s) {
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < ROLES; i++)
        if (s->roles[i].token.text) status = note_special_text(s, &s->roles[i].token);
    const size_t in_roles = s->specials.count;
    for (size_t i = 0; !status && i < s->list.count; i++)
        status = note_special_text(s, &s->list.items[i].token);
    for (size_t i = 0; !status && i < s->decoder.count; i++)
        status = add(s, &s->decoder.items[i], is_special(s, &s->decoder.items[i]));
    const size_t known = s->t->added.count;
    for (size_t i = 0; !status && i < ROLES; i++) {
        bool again = false;
        for (size_t k = 0; k < i && s->roles[i].token.text; k++)
            again = again || (s->roles[k].token.text && same_text(&s->roles[k].token, &s->roles[i].token));
        if (!again) status = add_special(s, &s->roles[i], known);
    }
    for (size_t i = 0; !status && i < s->list.count; i++) {
        const rp_added *token = &s->list.items[i].token;
        int32_t place = rp_vocab_find(&s->specials, token->text, token->size);
        if ((size_t)place >= in_roles) status = add_special(s, &s->list.items[i], known);
    }
    return status;
}

/* ---- ids ---- */

static int32_t id_of(const setup *s, size_t role) {
    const rp_added *token = &s->roles[role].token;
    return token->text ? rp_added_id(&s->t->added, token->text, token->size) : -1;
}

rp_status rp_tokenizer_note_special(rp_tokenizer *t, const int32_t *ids, size_t count, rp_error *err) {
    t->id_count = (uint32_t)(t->vocab.count > t->added.owner_count ? t->vocab.count : t->added.owner_count);
    t->special = rp_new_array(bool, t->id_count);
    if (!t->special) return rp_fail_memory(err, "the special tokens", t->id_count);
    for (size_t i = 0; i < count; i++)
        if (ids[i] >= 0 && (uint32_t)ids[i] < t->id_count) t->special[ids[i]] = true;
    return RP_OK;
}

static rp_status note_ids(setup *s) {
    size_t count = ROLES + s->list.count;
    int32_t *ids = rp_new_array(int32_t, count);
    if (!ids) return rp_fail_memory(s->err, "the special tokens", count * sizeof *ids);
    for (size_t i = 0; i < ROLES; i++) ids[i] = id_of(s, i);
    for (size_t i = 0; i < s->list.count; i++)
        ids[ROLES + i] = rp_added_id(&s->t->added, s->list.items[i].token.text, s->list.items[i].token.size);
    s->t->ids = (rp_special_ids){.unk = ids[2], .sep = ids[3], .pad = ids[4], .cls = ids[5], .mask = ids[6]};
    rp_status status = rp_tokenizer_note_special(s->t, ids, count, s->err);
    free(ids);
    return status;
}

/* ---- BertTokenizerFast ---- */

/* Where the options differ from the normalizer of the file, they all count. Its added tokens stay as the
 * file's normalizer made them. */
static rp_status rewrite_normalizer(setup *s) {
    const rp_json *accents = rp_json_get(&s->files->config.root, "strip_accents");
    bool lower = true, ideographs = true, strips = false;
    bool follow = !accents || accents->type == RP_JSON_NULL;
    rp_normalizer *n = &s->t->normalizer;
    rp_status status = rp_tokenizer_flag(s->files, "do_lower_case", &lower, s->err);
    if (!status) status = rp_tokenizer_flag(s->files, "tokenize_chinese_chars", &ideographs, s->err);
    if (!status && !follow) status = rp_tokenizer_flag(s->files, "strip_accents", &strips, s->err);
    if (status || n->is_sequence || n->count != 1 || n->steps[0].kind != RP_NORMAL_BERT) return status;
    rp_normal *step = &n->steps[0];
    bool same = step->lower == lower && step->ideographs == ideographs && step->accents_follow == follow &&
                (follow || step->accents == strips);
    if (same) return RP_OK;
    step->lower = lower;
    step->ideographs = ideographs;
    step->accents = follow ? lower : strips;
    step->accents_follow = follow;
    return RP_OK;
}

/* A vocab.txt becomes what BertConverter makes of it: never_split and do_basic_tokenize have no say. */
rp_status rp_tokenizer_bert(rp_tokenizer *t, rp_error *err) {
    static const rp_normal normal = {.kind = RP_NORMAL_BERT,
                                     .clean = true,
                                     .ideographs = true,
                                     .lower = true,
                                     .accents = true,
                                     .accents_follow = true};
    t->normalizer.steps = rp_new(rp_normal);
    t->pretokenizer.steps = rp_new(rp_pre);
    t->decoder.steps = rp_new(rp_decode_step);
    if (!t->normalizer.steps || !t->pretokenizer.steps || !t->decoder.steps)
        return rp_fail_memory(err, "a tokenizer", sizeof normal);
    t->normalizer.steps[0] = normal;
    t->pretokenizer.steps[0].kind = RP_PRE_BERT;
    t->decoder.steps[0] =
        (rp_decode_step){.kind = RP_DECODE_WORDPIECE, .text = "##", .size = 2, .cleanup = true};
    t->normalizer.count = t->pretokenizer.count = t->decoder.count = 1;
    t->kind = RP_MODEL_WORDPIECE;
    t->model_size = t->vocab.used;
    t->wordpiece = (rp_wordpiece){"##", 2, rp_vocab_hash(t->vocab.seed, "##", 2), 100, -1, "[UNK]"};
    return RP_OK;
}

/* ---- what cannot be used ---- */

static const char *what_it_is(const rp_tokenizer *t) {
    const char *first = t->vocab.count ? t->vocab.entries[0].text : NULL;
    if (first && !strncmp(first, "version https://git-lfs", 23)) return ": it is a pointer of Git LFS";
    if (first && (*first == '<' && (first[1] == '!' || !strncmp(first, "<html", 5))))
        return ": it is a web page";
    return "";
}

/* Every text is wrong where vocab.txt has neither [UNK] nor both of [CLS] and [SEP], or lacks one of these
 * two and no file names it. Without [UNK] alone it is the texts with unknown words. */
static rp_status check_converted(const setup *s, const bool explicit[ROLES]) {
    static const size_t around[] = {5, 3}; /* cls, sep */
    const rp_tokenizer *t = s->t;
    const bool unknown = t->wordpiece.unknown >= 0;
    size_t missing = SIZE_MAX;
    for (size_t i = 0; i < RP_COUNT(around); i++) {
        const named *role = &s->roles[around[i]];
        bool has = role->token.text && rp_vocab_find(&t->vocab, role->token.text, role->token.size) >= 0;
        bool is_named = role->token.text && (explicit[around[i]] || role->described);
        if (!has && (!unknown || !is_named)) missing = unknown ? around[i] : 2;
    }
    if (missing == SIZE_MAX) return RP_OK;
    const char *text = s->roles[missing].token.text;
    return rp_fail(s->err, RP_ERROR_FORMAT,
                   "%s/%s: is no vocabulary of BERT: it holds no %s%s%s%s; take a fresh copy of it, or name "
                   "the %s in tokenizer_config.json",
                   rp_path_shown(t->dir), t->file, text ? text : roles[missing], text ? ", the " : "",
                   text ? roles[missing] : "", what_it_is(t), roles[missing]);
}

static rp_status check_template(const rp_tokenizer *t, const rp_template *template, rp_error *err) {
    for (size_t i = 0; i < template->count; i++) {
        rp_template_piece piece = template->pieces[i];
        if (piece.sequence >= 0 || rp_tokenizer_piece(t, piece.id)) continue;
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s/%s: post_processor: the id %d is put around every text, but no token has it",
                       rp_path_shown(t->dir), t->file, (int)piece.id);
    }
    return RP_OK;
}

/* ---- the whole ---- */

/* Before anything is added: the normalizer as the converter of a vocab.txt makes it. */
static rp_status begin_converted(setup *s) {
    bool explicit[ROLES], basic = true;
    for (size_t i = 0; i < ROLES; i++)
        explicit[i] = rp_json_get(&s->files->config.root, roles[i]) ||
                      (s->legacy && rp_json_get(&s->files->map.root, roles[i]));
    const rp_added *unknown = &s->roles[2].token;
    rp_tokenizer *t = s->t;
    if (unknown->text) {
        t->wordpiece.unknown = rp_vocab_find(&t->vocab, unknown->text, unknown->size);
        t->wordpiece.unknown_text = rp_arena_copy(&t->arena, unknown->text, unknown->size);
        if (!t->wordpiece.unknown_text) return rp_fail_memory(s->err, "a token", unknown->size);
    }
    rp_status status = check_converted(s, explicit);
    if (!status) status = rewrite_normalizer(s);
    if (!status) status = rp_tokenizer_flag(s->files, "do_basic_tokenize", &basic, s->err);
    if (!status && !basic) {
        rp_normal *step = &t->normalizer.steps[0];
        step->lower = step->accents = step->ideographs = step->accents_follow = false;
    }
    return status;
}

static rp_status run(setup *s, bool converted) {
    const rp_json *decoder = rp_json_get(&s->files->config.root, "added_tokens_decoder");
    s->legacy = !decoder;
    rp_status status = read_roles(s);
    if (!status) status = decoder ? read_decoder(s, decoder) : read_legacy(s);
    if (status) return status;
    describe_roles(s);
    if (converted) status = begin_converted(s);
    if (!status) status = add_all(s);
    if (!status) status = rp_added_index(&s->t->added, &s->t->normalizer, s->err);
    if (!status && s->class->bert) status = rewrite_normalizer(s);
    if (!status) status = note_ids(s);
    if (!status && converted) status = rp_tokenizer_template(s->t, s->t->ids.cls, s->t->ids.sep, s->err);
    if (!status) status = check_template(s->t, &s->t->single, s->err);
    if (!status) status = check_template(s->t, &s->t->pair, s->err);
    return status ? status : rp_tokenizer_types(s->t, s->files, s->class->types, s->err);
}

rp_status rp_tokenizer_setup(rp_tokenizer *t, const rp_tokenizer_class *class,
                             const rp_tokenizer_files *files, bool converted, rp_error *err) {
    setup s = {.t = t, .class = class, .files = files, .err = err};
    rp_status status = run(&s, converted);
    free(s.list.items);
    free(s.decoder.items);
    rp_vocab_finish(&s.specials);
    return status;
}
