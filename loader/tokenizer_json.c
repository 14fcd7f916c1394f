/* tokenizer.json: the model, the templates of special tokens, and the added tokens. */
#include "loader/tokenizer_fields.h"

#include <stdio.h>

/* ---- models ---- */

static rp_status set_piece(const rp_fields *f, int32_t id, const char *text, uint32_t size, bool replace) {
    return rp_vocab_set(&f->t->vocab, id, text, size, replace)
               ? RP_OK
               : rp_fail_memory(f->err, rp_path_shown(f->path), size);
}

static rp_status read_vocab_ids(const rp_fields *f, const rp_json *vocab) {
    rp_tokenizer *t = f->t;
    for (uint32_t i = 0; i < vocab->count; i++) {
        const rp_member *m = &vocab->members[i];
        int32_t id = rp_json_id(&m->value);
        if (id < 0 || (uint32_t)id >= vocab->count + (uint32_t)RP_ID_HOLE)
            return rp_fail(f->err, RP_ERROR_FORMAT, "%s: model.vocab: \"%.*s\": the id must be from 0 to %u",
                           rp_path_shown(f->path), rp_text_fit(m->key, 40), m->key,
                           vocab->count + (uint32_t)RP_ID_HOLE - 1);
        if (m->key_size > RP_PIECE_BYTES_MAX)
            return rp_fail(f->err, RP_ERROR_FORMAT,
                           "%s: model.vocab: \"%.*s...\": longer than %d bytes, as no piece is",
                           rp_path_shown(f->path), rp_text_fit(m->key, 40), m->key, RP_PIECE_BYTES_MAX);
        if ((size_t)id < t->vocab.count && t->vocab.entries[id].text)
            return rp_fail(f->err, RP_ERROR_FORMAT, "%s: model.vocab: \"%.*s\" and \"%.*s\" have the id %d",
                           rp_path_shown(f->path), rp_text_fit(t->vocab.entries[id].text, 40),
                           t->vocab.entries[id].text, rp_text_fit(m->key, 40), m->key, (int)id);
        rp_status status = set_piece(f, id, m->key, m->key_size, true);
        if (status) return status;
    }
    return RP_OK;
}

static rp_status read_wordpiece(const rp_fields *f) {
    rp_tokenizer *t = f->t;
    const rp_json *vocab = rp_json_get(f->value, "vocab");
    size_t unknown_size = 0;
    uint32_t most = 0;
    if (!rp_json_is(vocab, RP_JSON_OBJECT)) return rp_field_bad(f, "vocab", "an object of pieces and ids");
    if (!vocab->count)
        return rp_fail(f->err, RP_ERROR_FORMAT, "%s: model.vocab: empty", rp_path_shown(f->path));
    rp_status status = rp_field_copy(f, "unk_token", &t->wordpiece.unknown_text, &unknown_size);
    if (!status)
        status =
            rp_field_copy(f, "continuing_subword_prefix", &t->wordpiece.prefix, &t->wordpiece.prefix_size);
    if (!status) status = rp_field_number(f, "max_input_chars_per_word", &most);
    if (!status) status = read_vocab_ids(f, vocab);
    if (status) return status;
    t->kind = RP_MODEL_WORDPIECE;
    t->wordpiece.most = most;
    t->wordpiece.unknown = rp_vocab_find(&t->vocab, t->wordpiece.unknown_text, unknown_size);
    t->wordpiece.prefix_hash = rp_vocab_hash(t->vocab.seed, t->wordpiece.prefix, t->wordpiece.prefix_size);
    t->model_size = t->vocab.used;
    return RP_OK;
}

static rp_status read_pieces(const rp_fields *f, const rp_json *vocab, rp_unigram_piece *pieces) {
    for (uint32_t i = 0; i < vocab->count; i++) {
        const rp_json *pair = &vocab->items[i];
        const rp_json *text = rp_json_count(pair, RP_JSON_ARRAY) == 2 ? &pair->items[0] : NULL;
        if (!rp_json_string(text) || !rp_json_number(&pair->items[1], &pieces[i].score))
            return rp_fail(f->err, RP_ERROR_FORMAT,
                           "%s: model.vocab[%u]: must be a list of a piece and its score",
                           rp_path_shown(f->path), i);
        pieces[i].text = text->text;
        pieces[i].size = text->count;
        if (memchr(text->text, 0, text->count))
            return rp_fail(f->err, RP_ERROR_FORMAT, "%s: model.vocab[%u]: the piece holds a NUL character",
                           rp_path_shown(f->path), i);
        rp_status status = set_piece(f, (int32_t)i, text->text, text->count, true);
        if (status) return status;
    }
    return RP_OK;
}

static rp_status read_unigram(const rp_fields *f) {
    rp_tokenizer *t = f->t;
    const rp_json *vocab = rp_json_get(f->value, "vocab"), *unknown = rp_json_get(f->value, "unk_id");
    bool fallback = false;
    int32_t id = -1;
    if (!rp_json_is(vocab, RP_JSON_ARRAY)) return rp_field_bad(f, "vocab", "a list of pieces and scores");
    if (!vocab->count)
        return rp_fail(f->err, RP_ERROR_FORMAT, "%s: model.vocab: empty", rp_path_shown(f->path));
    if (unknown && unknown->type != RP_JSON_NULL) {
        id = rp_json_id(unknown);
        if (id < 0 || (uint32_t)id >= vocab->count) return rp_field_bad(f, "unk_id", "the id of a piece");
    }
    rp_status status = rp_field_flag_or(f, "byte_fallback", false, &fallback);
    if (status) return status;
    rp_unigram_piece *pieces = rp_new_array(rp_unigram_piece, vocab->count);
    if (!pieces) return rp_fail_memory(f->err, rp_path_shown(f->path), vocab->count * sizeof *pieces);
    status = read_pieces(f, vocab, pieces);
    if (!status)
        status = rp_unigram_open(pieces, vocab->count, id, fallback, RP_UNIGRAM_FAST, rp_path_shown(f->path),
                                 &t->unigram, f->err);
    free(pieces);
    t->kind = RP_MODEL_UNIGRAM;
    t->model_size = vocab->count;
    return status;
}

/* Old files do not say which model they hold. */
static const char *model_type(const rp_json *model) {
    const char *type = rp_json_string(rp_json_get(model, "type"));
    if (type) return type;
    if (rp_json_get(model, "merges")) return "BPE";
    if (rp_json_is(rp_json_get(model, "vocab"), RP_JSON_ARRAY)) return "Unigram";
    return rp_json_get(model, "continuing_subword_prefix") ? "WordPiece" : "WordLevel";
}

static rp_status read_model(const rp_fields *top) {
    rp_fields f;
    rp_status status = rp_field_enter(top, "model", -1, rp_json_get(top->value, "model"), &f);
    if (status) return status;
    const char *type = model_type(f.value);
    if (!strcmp(type, "WordPiece")) return read_wordpiece(&f);
    if (!strcmp(type, "Unigram")) return read_unigram(&f);
    return rp_field_unserved(&f, "the model", type);
}

/* ---- templates ---- */

enum { MAX_PIECES = 256 };

static rp_status add_piece(const rp_fields *f, rp_template *template, rp_template_piece piece) {
    if (template->count >= MAX_PIECES)
        return rp_fail(f->err, RP_ERROR_UNSUPPORTED, "%s: %s: more than %d pieces cannot be used",
                       rp_path_shown(f->path), f->where, MAX_PIECES);
    if (!rp_grow((void **)&template->pieces, &template->capacity, template->count + 1,
                 sizeof *template->pieces))
        return rp_fail_memory(f->err, rp_path_shown(f->path), template->count * sizeof piece);
    for (size_t i = 0; piece.sequence >= 0 && i < template->count; i++)
        if (template->pieces[i].sequence == piece.sequence)
            return rp_fail(f->err, RP_ERROR_UNSUPPORTED, "%s: %s: the same text twice cannot be used",
                           rp_path_shown(f->path), f->where);
    template->pieces[template->count++] = piece;
    template->specials += piece.sequence < 0;
    return RP_OK;
}

/* {"SpecialToken": {"id", "type_id"}}: all ids that special_tokens has for it. */
static rp_status add_special(const rp_fields *item, const rp_json *specials, rp_template *template,
                             uint32_t type) {
    const char *name = NULL;
    rp_status status = rp_field_text(item, "id", &name, NULL);
    if (status) return status;
    const rp_json *ids = rp_json_get(rp_json_get(specials, name), "ids");
    if (!rp_json_is(ids, RP_JSON_ARRAY))
        return rp_fail(item->err, RP_ERROR_FORMAT,
                       "%s: %s: post_processor.special_tokens has no ids for \"%.*s\"",
                       rp_path_shown(item->path), item->where, rp_text_fit(name, 40), name);
    for (uint32_t i = 0; !status && i < ids->count; i++) {
        int32_t id = rp_json_id(&ids->items[i]);
        if (id < 0)
            return rp_fail(item->err, RP_ERROR_FORMAT,
                           "%s: post_processor.special_tokens: \"%.*s\": ids must be integers from 0 on",
                           rp_path_shown(item->path), rp_text_fit(name, 40), name);
        status = add_piece(item, template, (rp_template_piece){-1, id, (int32_t)type});
    }
    return status;
}

static rp_status read_piece(const rp_fields *item, const rp_json *specials, bool pair, rp_template *out) {
    const rp_json *special = rp_json_get(item->value, "SpecialToken");
    rp_fields piece;
    uint32_t type = 0;
    const char *id = NULL;
    rp_status status = rp_field_enter(item, special ? "SpecialToken" : "Sequence", -1,
                                      special ? special : rp_json_get(item->value, "Sequence"), &piece);
    if (!status) status = rp_field_number(&piece, "type_id", &type);
    if (!status && type > INT32_MAX) status = rp_field_bad(&piece, "type_id", "a small number");
    if (status) return status;
    if (special) return add_special(&piece, specials, out, type);
    status = rp_field_text(&piece, "id", &id, NULL);
    if (status) return status;
    bool second = !strcmp(id, "B");
    if ((!second && strcmp(id, "A")) || (second && !pair))
        return rp_field_bad(&piece, "id", pair ? "A or B" : "A");
    return add_piece(&piece, out, (rp_template_piece){second, -1, (int32_t)type});
}

static rp_status read_template(const rp_fields *f, const char *field, bool pair, rp_template *out) {
    const rp_json *list = rp_json_get(f->value, field);
    rp_status status = RP_OK;
    if (!rp_json_is(list, RP_JSON_ARRAY)) return rp_field_bad(f, field, "a list");
    for (uint32_t i = 0; !status && i < list->count; i++) {
        rp_fields item;
        status = rp_field_enter(f, field, i, &list->items[i], &item);
        if (!status) status = read_piece(&item, rp_json_get(f->value, "special_tokens"), pair, out);
    }
    return status;
}

/* BertProcessing's ["[SEP]", 3]. */
static rp_status read_named(const rp_fields *f, const char *field, int32_t *id) {
    const rp_json *pair = rp_json_get(f->value, field);
    *id = rp_json_count(pair, RP_JSON_ARRAY) == 2 ? rp_json_id(&pair->items[1]) : -1;
    return *id >= 0 ? RP_OK : rp_field_bad(f, field, "a list of a token and its id");
}

static rp_status push_pieces(const rp_fields *f, rp_template *out, const rp_template_piece *pieces,
                             size_t count) {
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < count; i++) status = add_piece(f, out, pieces[i]);
    return status;
}

rp_status rp_tokenizer_template(rp_tokenizer *t, int32_t cls, int32_t sep, rp_error *err) {
    const rp_fields f = {t, t->dir, err, NULL, ""};
    const rp_template_piece pieces[] = {{-1, cls, 0}, {0, -1, 0}, {-1, sep, 0}, {1, -1, 1}, {-1, sep, 1}};
    rp_status status = push_pieces(&f, &t->single, pieces, 3);
    return status ? status : push_pieces(&f, &t->pair, pieces, 5);
}

static rp_status read_post(const rp_fields *top) {
    const rp_json *value = rp_json_get(top->value, "post_processor");
    rp_tokenizer *t = top->t;
    rp_fields f;
    const char *type = NULL;
    if (!value || value->type == RP_JSON_NULL) {
        const rp_template_piece both[] = {{0, -1, 0}, {1, -1, 1}};
        rp_status status = push_pieces(top, &t->single, both, 1);
        return status ? status : push_pieces(top, &t->pair, both, 2);
    }
    rp_status status = rp_field_enter(top, "post_processor", -1, value, &f);
    if (!status) status = rp_field_text(&f, "type", &type, NULL);
    if (status) return status;
    if (!strcmp(type, "TemplateProcessing")) {
        status = read_template(&f, "single", false, &t->single);
        return status ? status : read_template(&f, "pair", true, &t->pair);
    }
    int32_t cls = -1, sep = -1;
    if (strcmp(type, "BertProcessing")) return rp_field_unserved(&f, "the post-processor", type);
    status = read_named(&f, "cls", &cls);
    if (!status) status = read_named(&f, "sep", &sep);
    return status ? status : rp_tokenizer_template(t, cls, sep, f.err);
}

/* ---- the whole ---- */

static rp_status read_added_token(const rp_fields *top, const rp_json *list, uint32_t i, rp_added *out) {
    char where[32];
    snprintf(where, sizeof where, "added_tokens[%u]", i);
    return rp_added_read(&list->items[i], top->path, where, out, top->err);
}

static rp_status read_added(const rp_fields *top) {
    const rp_json *list = rp_json_get(top->value, "added_tokens");
    rp_tokenizer *t = top->t;
    rp_status status = RP_OK;
    rp_added token;
    if (!list || list->type == RP_JSON_NULL) return RP_OK;
    if (list->type != RP_JSON_ARRAY) return rp_field_bad(top, "added_tokens", "a list");
    for (uint32_t i = 0; !status && i < list->count; i++) {
        status = read_added_token(top, list, i, &token);
        if (!status) status = rp_added_special(&t->added, &token, &t->arena, top->path, top->err);
    }
    for (uint32_t i = 0; !status && i < list->count; i++) {
        status = read_added_token(top, list, i, &token);
        if (!status)
            status =
                rp_added_push(&t->added, &token, &t->vocab, t->model_size, &t->arena, top->path, top->err);
    }
    return status;
}

rp_status rp_tokenizer_json_read(rp_tokenizer *t, const rp_json *root, const char *path, rp_error *err) {
    const rp_fields top = {t, path, err, root, ""};
    const rp_json *version = rp_json_get(root, "version");
    if (version && (!rp_json_string(version) || strcmp(version->text, "1.0")))
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "%s: version: only \"1.0\" can be read",
                       rp_path_shown(path));
    rp_status status = read_model(&top);
    if (!status) status = rp_tokenizer_parts_read(t, root, path, err);
    if (!status) status = read_post(&top);
    if (!status) status = read_added(&top);
    return status;
}
