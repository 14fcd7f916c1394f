/* The normalizer, pre-tokenizer and decoder of a tokenizer.json. */
#include "loader/tokenizer_fields.h"

#include <stdio.h>

enum {
    MAX_STEPS = 64, /* of one part: real files have up to ten */
    MAX_DEPTH = 8,  /* of sequences within sequences */
};

/* Add what one object says to the tokenizer. `type` is its type. */
typedef rp_status step_reader(const rp_fields *f, const char *type);

/* One kind of part: where it stands, where the parts of a Sequence stand, and what reads one. */
typedef struct part {
    const char *field, *list;
    step_reader *read;
} part;

static rp_status read_normal(const rp_fields *f, const char *type);

static rp_status read_part(const rp_fields *f, const part *part, unsigned depth) {
    const char *type = NULL;
    rp_status status = rp_field_text(f, "type", &type, NULL);
    if (status) return status;
    if (strcmp(type, "Sequence")) return part->read(f, type);
    const rp_json *list = rp_json_get(f->value, part->list);
    if (!rp_json_is(list, RP_JSON_ARRAY)) return rp_field_bad(f, part->list, "a list");
    if (part->read == read_normal) f->t->normalizer.is_sequence = true;
    if (depth == MAX_DEPTH || list->count > MAX_STEPS)
        return rp_fail(f->err, RP_ERROR_UNSUPPORTED,
                       "%s: %s: sequences more than %d deep, or with more than %d steps, cannot be used",
                       rp_path_shown(f->path), f->where, MAX_DEPTH, MAX_STEPS);
    for (uint32_t i = 0; !status && i < list->count; i++) {
        rp_fields item;
        status = rp_field_enter(f, part->list, i, &list->items[i], &item);
        if (!status) status = read_part(&item, part, depth + 1);
    }
    return status;
}

/* A new step at the end of a list; NULL: out of memory or too many. */
static void *new_step(const rp_fields *f, void **steps, size_t *count, size_t *capacity, size_t size,
                      rp_status *status) {
    if (*count >= MAX_STEPS) {
        *status = rp_fail(f->err, RP_ERROR_UNSUPPORTED, "%s: %s: more than %d steps cannot be used",
                          rp_path_shown(f->path), f->where, MAX_STEPS);
        return NULL;
    }
    if (!rp_grow(steps, capacity, *count + 1, size)) {
        *status = rp_fail_memory(f->err, rp_path_shown(f->path), size);
        return NULL;
    }
    void *step = (char *)*steps + *count * size;
    memset(step, 0, size);
    ++*count;
    *status = RP_OK;
    return step;
}

/* ---- normalizers ---- */

static rp_status read_charsmap(const rp_fields *f, rp_normal *step) {
    const char *text = NULL;
    uint32_t size = 0;
    rp_status status = rp_field_text(f, "precompiled_charsmap", &text, &size);
    if (status) return status;
    unsigned char *bytes = rp_arena_alloc(&f->t->arena, size / 4 + 1, 3);
    if (!bytes) return rp_fail_memory(f->err, rp_path_shown(f->path), size);
    size_t count = 0;
    uint32_t bits = 0, held = 0, at = 0;
    for (; at < size && text[at] != '='; at++) {
        char c = text[at];
        int digit = c >= 'A' && c <= 'Z'   ? c - 'A'
                    : c >= 'a' && c <= 'z' ? c - 'a' + 26
                    : c >= '0' && c <= '9' ? c - '0' + 52
                    : c == '+'             ? 62
                    : c == '/'             ? 63
                                           : -1;
        if (digit < 0) return rp_field_bad(f, "precompiled_charsmap", "base64 text");
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        bytes[count++] = (unsigned char)(bits >> held);
    }
    char where[RP_WHERE_SIZE + 32];
    snprintf(where, sizeof where, "%s.precompiled_charsmap", f->where);
    status = rp_charsmap_read(rp_path_shown(f->path), where, bytes, count, &step->charsmap, f->err);
    if (!status) rp_normal_prepare(step);
    return status;
}

static rp_status read_bert(const rp_fields *f, rp_normal *step) {
    rp_status status = rp_field_flag(f, "clean_text", &step->clean);
    if (!status) status = rp_field_flag(f, "handle_chinese_chars", &step->ideographs);
    if (!status) status = rp_field_flag(f, "lowercase", &step->lower);
    if (!status) status = rp_field_flag_or(f, "strip_accents", step->lower, &step->accents);
    const rp_json *accents = rp_json_get(f->value, "strip_accents");
    step->accents_follow = !accents || accents->type == RP_JSON_NULL;
    return status;
}

static rp_status read_normal(const rp_fields *f, const char *type) {
    static const struct {
        const char *type;
        rp_normal_kind kind;
        rp_normal_form form;
    } kinds[] = {
        {"BertNormalizer", RP_NORMAL_BERT, 0},
        {"Strip", RP_NORMAL_STRIP, 0},
        {"StripAccents", RP_NORMAL_STRIP_ACCENTS, 0},
        {"NFC", RP_NORMAL_FORM, RP_NFC},
        {"NFD", RP_NORMAL_FORM, RP_NFD},
        {"NFKC", RP_NORMAL_FORM, RP_NFKC},
        {"NFKD", RP_NORMAL_FORM, RP_NFKD},
        {"Lowercase", RP_NORMAL_LOWERCASE, 0},
        {"Nmt", RP_NORMAL_NMT, 0},
        {"Precompiled", RP_NORMAL_PRECOMPILED, 0},
        {"Replace", RP_NORMAL_REPLACE, 0},
        {"Prepend", RP_NORMAL_PREPEND, 0},
    };
    rp_normalizer *n = &f->t->normalizer;
    size_t i = 0;
    rp_status status;
    while (i < RP_COUNT(kinds) && strcmp(kinds[i].type, type)) i++;
    if (i == RP_COUNT(kinds)) return rp_field_unserved(f, "the normalizer", type);
    rp_normal *step = new_step(f, (void **)&n->steps, &n->count, &n->capacity, sizeof *step, &status);
    if (!step) return status;
    step->kind = kinds[i].kind;
    step->form = kinds[i].form;
    switch (step->kind) {
    case RP_NORMAL_BERT:
        return read_bert(f, step);
    case RP_NORMAL_STRIP:
        status = rp_field_flag(f, "strip_left", &step->left);
        return status ? status : rp_field_flag(f, "strip_right", &step->right);
    case RP_NORMAL_PRECOMPILED:
        return read_charsmap(f, step);
    case RP_NORMAL_REPLACE:
        status = rp_field_pattern(f, "pattern", &step->pattern);
        return status ? status : rp_field_codes(f, "content", &step->content, &step->content_count);
    case RP_NORMAL_PREPEND:
        return rp_field_codes(f, "prepend", &step->content, &step->content_count);
    default:
        return RP_OK;
    }
}

/* ---- pre-tokenizers ---- */

static rp_status read_behavior(const rp_fields *f, bool required, rp_behavior *out) {
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
                                        "Contiguous"};
    const char *name = NULL;
    *out = RP_BEHAVIOR_ISOLATED;
    if (!required && !rp_json_get(f->value, "behavior")) return RP_OK;
    rp_status status = rp_field_text(f, "behavior", &name, NULL);
    if (status) return status;
    for (size_t i = 0; i < RP_COUNT(names); i++) {
        *out = (rp_behavior)i;
        if (!strcmp(names[i], name)) return RP_OK;
    }
    return rp_field_bad(f, "behavior", "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

/* prepend_scheme of newer files, add_prefix_space of older ones. */
static rp_status read_prepend(const rp_fields *f, rp_prepend *out) {
    const char *scheme = "always";
    bool prefix = true;
    rp_status status = rp_field_flag_or(f, "add_prefix_space", true, &prefix);
    if (!status && rp_json_get(f->value, "prepend_scheme"))
        status = rp_field_text(f, "prepend_scheme", &scheme, NULL);
    else if (!prefix)
        scheme = "never";
    if (status) return status;
    *out = !strcmp(scheme, "always")  ? RP_PREPEND_ALWAYS
           : !strcmp(scheme, "first") ? RP_PREPEND_FIRST
                                      : RP_PREPEND_NEVER;
    if (*out == RP_PREPEND_NEVER && strcmp(scheme, "never"))
        status = rp_field_bad(f, "prepend_scheme", "always, first or never");
    if (!status && !prefix && *out != RP_PREPEND_NEVER)
        status = rp_field_bad(f, "add_prefix_space", "true, as prepend_scheme puts a space in front");
    return status;
}

static rp_status read_pre(const rp_fields *f, const char *type) {
    static const char *const kinds[] = {
        "BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Metaspace", "Punctuation", "Digits", "Split"};
    rp_pretokenizer *p = &f->t->pretokenizer;
    size_t i = 0;
    bool single = false;
    rp_status status;
    while (i < RP_COUNT(kinds) && strcmp(kinds[i], type)) i++;
    if (i == RP_COUNT(kinds)) return rp_field_unserved(f, "the pre-tokenizer", type);
    rp_pre *step = new_step(f, (void **)&p->steps, &p->count, &p->capacity, sizeof *step, &status);
    if (!step) return status;
    step->kind = (rp_pre_kind)i;
    switch (step->kind) {
    case RP_PRE_METASPACE:
        status = rp_field_char(f, "replacement", &step->replacement);
        if (!status) status = read_prepend(f, &step->prepend);
        return status ? status : rp_field_flag_or(f, "split", true, &step->split);
    case RP_PRE_PUNCTUATION:
        return read_behavior(f, false, &step->behavior);
    case RP_PRE_DIGITS:
        status = rp_field_flag(f, "individual_digits", &single);
        step->behavior = single ? RP_BEHAVIOR_ISOLATED : RP_BEHAVIOR_CONTIGUOUS;
        return status;
    case RP_PRE_SPLIT:
        status = rp_field_pattern(f, "pattern", &step->pattern);
        if (!status) status = read_behavior(f, true, &step->behavior);
        return status ? status : rp_field_flag(f, "invert", &step->invert);
    default:
        return RP_OK;
    }
}

/* ---- decoders ---- */

static rp_status read_decode(const rp_fields *f, const char *type) {
    static const char *const kinds[] = {"WordPiece", "Metaspace", "Replace", "ByteFallback", "Fuse", "Strip"};
    rp_decoder *d = &f->t->decoder;
    rp_prepend prepend;
    size_t i = 0;
    rp_status status;
    while (i < RP_COUNT(kinds) && strcmp(kinds[i], type)) i++;
    if (i == RP_COUNT(kinds)) { /* only decoding needs it */
        if (!d->unsupported) d->unsupported = rp_arena_copy(&f->t->arena, type, strlen(type));
        return d->unsupported ? RP_OK : rp_fail_memory(f->err, rp_path_shown(f->path), strlen(type));
    }
    rp_decode_step *step = new_step(f, (void **)&d->steps, &d->count, &d->capacity, sizeof *step, &status);
    if (!step) return status;
    step->kind = (rp_decode_kind)i;
    switch (step->kind) {
    case RP_DECODE_WORDPIECE:
        status = rp_field_copy(f, "prefix", &step->text, &step->size);
        return status ? status : rp_field_flag(f, "cleanup", &step->cleanup);
    case RP_DECODE_METASPACE:
        status = rp_field_char(f, "replacement", &step->code);
        if (!status) status = read_prepend(f, &prepend);
        step->first_stays = !status && prepend == RP_PREPEND_NEVER;
        return status;
    case RP_DECODE_REPLACE:
        status = rp_field_pattern(f, "pattern", &step->pattern);
        return status ? status : rp_field_copy(f, "content", &step->text, &step->size);
    case RP_DECODE_STRIP:
        status = rp_field_char(f, "content", &step->code);
        if (!status) status = rp_field_number(f, "start", &step->start);
        return status ? status : rp_field_number(f, "stop", &step->stop);
    default:
        return RP_OK;
    }
}

/* ---- the whole ---- */

rp_status rp_tokenizer_parts_read(rp_tokenizer *t, const rp_json *root, const char *path, rp_error *err) {
    static const part parts[] = {
        {"normalizer", "normalizers", read_normal},
        {"pre_tokenizer", "pretokenizers", read_pre},
        {"decoder", "decoders", read_decode},
    };
    const rp_fields top = {t, path, err, root, ""};
    for (size_t i = 0; i < RP_COUNT(parts); i++) {
        const rp_json *value = rp_json_get(root, parts[i].field);
        rp_fields f;
        bool none = !value || value->type == RP_JSON_NULL;
        if (parts[i].read == read_decode) t->decoder.none = none;
        if (none) continue;
        rp_status status = rp_field_enter(&top, parts[i].field, -1, value, &f);
        if (!status) status = read_part(&f, &parts[i], 0);
        if (status) return status;
    }
    return RP_OK;
}
