/* The tokenizer's files, and tokenizer.json of a folder that has spiece.model alone. */
#include <stdio.h>

#include "base/os.h"
#include "loader/convert.h"
#include "loader/folder.h"
#include "loader/json.h"
#include "loader/json_write.h"
#include "loader/spiece.h"
#include "loader/tokenizer.h"

static const char metaspace[] = "\xe2\x96\x81"; /* U+2581, which stands for a space */

/* ---- the normaliser ---- */

static void write_replace(rp_json_writer *w, const char *kind, const char *pattern, const char *content) {
    rp_json_write_open(w, NULL, '{');
    rp_json_write_string(w, "type", "Replace");
    rp_json_write_open(w, "pattern", '{');
    rp_json_write_string(w, kind, pattern);
    rp_json_write_close(w, '}');
    rp_json_write_string(w, "content", content);
    rp_json_write_close(w, '}');
}

static void write_type(rp_json_writer *w, const char *type) {
    rp_json_write_open(w, NULL, '{');
    rp_json_write_string(w, "type", type);
    rp_json_write_close(w, '}');
}

/* The bytes of the character map as they stand in the file, in base64; NULL when out of memory. */
static char *map_text(const rp_charsmap *map, size_t *size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t bytes = 4 + 4 * map->unit_count + map->block_size; // its length stands before the units
    const unsigned char *from = map->units - 4;
    char *text = malloc(4 * rp_div_up(bytes, 3) + 1), *to = text;
    if (!text) return NULL;
    for (size_t i = 0; i < bytes; i += 3) {
        size_t some = bytes - i < 3 ? bytes - i : 3;
        uint32_t bits = (uint32_t)from[i] << 16 | (some > 1 ? (uint32_t)from[i + 1] << 8 : 0) |
                        (some > 2 ? from[i + 2] : 0);
        for (size_t k = 0; k < 4; k++) *to++ = k > some ? '=' : digits[bits >> (18 - 6 * k) & 63];
    }
    *size = (size_t)(to - text);
    return text;
}

static void write_normalizer(rp_json_writer *w, const rp_charsmap *map, bool lower, bool keep_accents) {
    rp_json_write_open(w, "normalizer", '{');
    rp_json_write_string(w, "type", "Sequence");
    rp_json_write_open(w, "normalizers", '[');
    write_replace(w, "String", "``", "\"");
    write_replace(w, "String", "''", "\"");
    if (!keep_accents) {
        write_type(w, "NFKD");
        write_type(w, "StripAccents");
    }
    if (lower) write_type(w, "Lowercase");
    if (map->units) {
        size_t size = 0;
        char *text = map_text(map, &size);
        rp_json_write_open(w, NULL, '{');
        rp_json_write_string(w, "type", "Precompiled");
        if (text) rp_json_write_text(w, "precompiled_charsmap", text, size);
        w->broken = w->broken || !text;
        rp_json_write_close(w, '}');
        free(text);
    }
    write_replace(w, "Regex", " {2,}", " ");
    rp_json_write_close(w, ']');
    rp_json_write_close(w, '}');
}

/* ---- the other parts ---- */

static void write_metaspace(rp_json_writer *w, const char *key) {
    rp_json_write_open(w, key, '{');
    rp_json_write_string(w, "type", "Metaspace");
    rp_json_write_string(w, "replacement", metaspace);
    rp_json_write_string(w, "prepend_scheme", "always");
    rp_json_write_bool(w, "split", true);
    rp_json_write_close(w, '}');
}

static void write_pre_tokenizer(rp_json_writer *w) {
    rp_json_write_open(w, "pre_tokenizer", '{');
    rp_json_write_string(w, "type", "Sequence");
    rp_json_write_open(w, "pretokenizers", '[');
    write_type(w, "WhitespaceSplit");
    write_metaspace(w, NULL);
    rp_json_write_close(w, ']');
    rp_json_write_close(w, '}');
}

/* A comma behind a digit stands alone in the original algorithm. Pieces that hold both are scored so low that
 * they are taken for nothing else. */
static double score_of(const rp_piece *piece) {
    const char *end = piece->text + piece->size;
    bool both = piece->size >= 2 && end[-1] == ',' && end[-2] >= '0' && end[-2] <= '9';
    return both ? (double)piece->score - 100 : (double)piece->score;
}

static void write_model(rp_json_writer *w, const rp_spiece_file *file) {
    rp_json_write_open(w, "model", '{');
    rp_json_write_string(w, "type", "Unigram");
    rp_json_write_integer(w, "unk_id", file->unknown);
    rp_json_write_open(w, "vocab", '[');
    for (size_t i = 0; i < file->piece_count; i++) {
        rp_json_write_open(w, NULL, '[');
        w->compact = true;
        rp_json_write_text(w, NULL, file->pieces[i].text, file->pieces[i].size);
        rp_json_write_real(w, NULL, score_of(&file->pieces[i]));
        rp_json_write_close(w, ']');
        w->compact = false;
    }
    rp_json_write_close(w, ']');
    rp_json_write_bool(w, "byte_fallback", false);
    rp_json_write_close(w, '}');
}

/* The special tokens, and no other piece: one of the vocabulary that is added as well would be cut out of
 * words. */
static void write_added(rp_json_writer *w, const rp_tokenizer *t, size_t pieces) {
    int32_t mask = rp_tokenizer_special_ids(t).mask;
    rp_json_write_open(w, "added_tokens", '[');
    for (uint32_t id = 0; id < rp_tokenizer_vocab_size(t); id++) {
        const char *text = rp_tokenizer_piece(t, (int32_t)id);
        bool special = rp_tokenizer_is_special(t, (int32_t)id);
        if (!text || (!special && id < pieces)) continue;
        rp_json_write_open(w, NULL, '{');
        rp_json_write_integer(w, "id", id);
        rp_json_write_string(w, "content", text);
        rp_json_write_bool(w, "single_word", false);
        rp_json_write_bool(w, "lstrip", (int32_t)id == mask);
        rp_json_write_bool(w, "rstrip", false);
        rp_json_write_bool(w, "normalized", !special);
        rp_json_write_bool(w, "special", special);
        rp_json_write_close(w, '}');
    }
    rp_json_write_close(w, ']');
}

static void write_part(rp_json_writer *w, const char *kind, const char *id, int type) {
    rp_json_write_open(w, NULL, '{');
    rp_json_write_open(w, kind, '{');
    rp_json_write_string(w, "id", id);
    rp_json_write_integer(w, "type_id", type);
    rp_json_write_close(w, '}');
    rp_json_write_close(w, '}');
}

static void write_template(rp_json_writer *w, const rp_tokenizer *t) {
    rp_special_ids ids = rp_tokenizer_special_ids(t);
    const int32_t special[] = {ids.cls, ids.sep};
    const char *names[] = {rp_tokenizer_piece(t, ids.cls), rp_tokenizer_piece(t, ids.sep)};
    rp_json_write_open(w, "post_processor", '{');
    rp_json_write_string(w, "type", "TemplateProcessing");
    for (int pair = 0; pair < 2; pair++) {
        rp_json_write_open(w, pair ? "pair" : "single", '[');
        write_part(w, "SpecialToken", names[0], 0);
        for (int i = 0; i <= pair; i++) {
            write_part(w, "Sequence", i ? "B" : "A", i);
            write_part(w, "SpecialToken", names[1], i);
        }
        rp_json_write_close(w, ']');
    }
    rp_json_write_open(w, "special_tokens", '{');
    for (int i = 0; i < 2; i++) {
        rp_json_write_open(w, names[i], '{');
        rp_json_write_string(w, "id", names[i]);
        rp_json_write_open(w, "ids", '[');
        rp_json_write_integer(w, NULL, special[i]);
        rp_json_write_close(w, ']');
        rp_json_write_open(w, "tokens", '[');
        rp_json_write_string(w, NULL, names[i]);
        rp_json_write_close(w, ']');
        rp_json_write_close(w, '}');
    }
    rp_json_write_close(w, '}');
    rp_json_write_close(w, '}');
}

/* ---- the files ---- */

static char *tokenizer_text(const rp_tokenizer *t, const rp_spiece_file *file, bool lower, bool keep_accents,
                            size_t *size) {
    rp_json_writer w = {0};
    rp_json_write_open(&w, NULL, '{');
    rp_json_write_string(&w, "version", "1.0");
    rp_json_write_null(&w, "truncation");
    rp_json_write_null(&w, "padding");
    write_added(&w, t, file->piece_count);
    write_normalizer(&w, &file->normalizer.charsmap, lower, keep_accents);
    write_pre_tokenizer(&w);
    write_template(&w, t);
    write_metaspace(&w, "decoder");
    write_model(&w, file);
    rp_json_write_close(&w, '}');
    return rp_json_writer_finish(&w, size);
}

/* tokenizer_config.json for a vocabulary that comes without one. */
static char *config_text(const rp_tokenizer *t, const char *class, uint32_t positions, size_t *size) {
    rp_special_ids ids = rp_tokenizer_special_ids(t);
    const struct {
        const char *key;
        int32_t id;
    } roles[] = {{"unk_token", ids.unk},
                 {"sep_token", ids.sep},
                 {"pad_token", ids.pad},
                 {"cls_token", ids.cls},
                 {"mask_token", ids.mask}};
    rp_json_writer w = {0};
    rp_json_write_open(&w, NULL, '{');
    rp_json_write_string(&w, "tokenizer_class", class);
    rp_json_write_bool(&w, "do_lower_case", true);
    rp_json_write_integer(&w, "model_max_length", positions);
    for (size_t i = 0; i < RP_COUNT(roles); i++)
        if (rp_tokenizer_piece(t, roles[i].id))
            rp_json_write_string(&w, roles[i].key, rp_tokenizer_piece(t, roles[i].id));
    rp_json_write_close(&w, '}');
    return rp_json_writer_finish(&w, size);
}

/* How the tokenizer's configuration has the text rewritten; as ALBERT's has it where there is none. */
static rp_status read_flags(rp_conversion *c, bool *lower, bool *keep_accents) {
    char *path = rp_path_join(c->dir, "tokenizer_config.json");
    rp_json_document document = {0};
    rp_status status = path ? RP_OK : rp_fail_memory(c->err, "a path", strlen(c->dir));
    if (!status && rp_path_exists(path)) status = rp_json_load_reals(path, &document, c->err);
    if (!status) status = rp_json_bool(&document.root, path, "do_lower_case", true, lower, c->err);
    if (!status) status = rp_json_bool(&document.root, path, "keep_accents", false, keep_accents, c->err);
    rp_json_finish(&document);
    free(path);
    return status;
}

static rp_status write_tokenizer(rp_conversion *c, const rp_tokenizer *t, const char *spiece) {
    rp_spiece_file file = {0};
    char *data = NULL;
    bool lower, keep_accents;
    size_t size = 0;
    rp_status status = read_flags(c, &lower, &keep_accents);
    if (!status) status = rp_tokenizer_read(c->dir, spiece, &data, &size, c->err);
    if (!status) status = rp_spiece_read(spiece, data, size, &file, c->err);
    if (!status) {
        char *text = tokenizer_text(t, &file, lower, keep_accents, &size);
        status = rp_staging_text(&c->staging, c->sub, "tokenizer.json", text, size, c->err);
    }
    free(file.pieces);
    free(data);
    return status;
}

/* What Hugging Face's libraries need beside the vocabulary: `spiece` is its name, or "" for a list of word
 * pieces. */
static rp_status write_own(rp_conversion *c, const char *spiece, bool has_config) {
    const char *class = *spiece ? "AlbertTokenizer" : "BertTokenizer";
    rp_tokenizer *t = NULL;
    size_t size = 0;
    rp_status status = rp_tokenizer_open(c->dir, &t, c->err);
    if (!status && *spiece) status = write_tokenizer(c, t, spiece);
    if (!status && !has_config) {
        char *text = config_text(t, class, c->config.max_positions, &size);
        status = rp_staging_text(&c->staging, c->sub, "tokenizer_config.json", text, size, c->err);
    }
    rp_tokenizer_close(&t);
    return status;
}

/* Copy the file `from` of the folder, where it is there, as `name`. */
static rp_status copy(rp_conversion *c, const char *from, const char *name, bool *copied) {
    char full[RP_NAME_SIZE], *path = rp_path_join(c->dir, from);
    if (!path) return rp_fail_memory(c->err, "a path", strlen(c->dir));
    rp_status status = RP_OK;
    snprintf(full, sizeof full, "%s%s", c->sub, name);
    *copied = *from && rp_path_exists(path);
    if (*copied) status = rp_staging_copy(&c->staging, path, full, c->err);
    free(path);
    return status;
}

rp_status rp_convert_tokenizer(rp_conversion *c) {
    static const char *const others[] = {"special_tokens_map.json", "added_tokens.json",
                                         "sentence_bert_config.json"};
    char spiece[RP_FOLDER_NAME], vocab[RP_FOLDER_NAME];
    bool has_spiece, has_vocab, has_config, has_whole, copied;
    rp_status status = rp_folder_spiece(c->dir, spiece, c->err);
    if (!status) status = rp_folder_vocab(c->dir, vocab, c->err);
    if (!status) status = copy(c, spiece, "spiece.model", &has_spiece);
    if (!status) status = copy(c, vocab, "vocab.txt", &has_vocab);
    if (!status) status = copy(c, "tokenizer_config.json", "tokenizer_config.json", &has_config);
    if (!status) status = copy(c, "tokenizer.json", "tokenizer.json", &has_whole);
    for (size_t i = 0; !status && i < RP_COUNT(others); i++) status = copy(c, others[i], others[i], &copied);
    if (status || has_whole || (!has_spiece && !has_vocab)) return status;
    bool pieces = has_spiece && (!has_vocab || c->config.family == RP_FAMILY_ALBERT);
    return pieces || !has_config ? write_own(c, pieces ? spiece : "", has_config) : RP_OK;
}

/* What the file holds: JSON, a protocol buffer (which begins with its first piece), or lines. */
static rp_status kind_of(const char *path, const char **name, rp_error *err) {
    char first = 0;
    uint64_t size = 0;
    int fd = -1;
    rp_status status = rp_file_open(path, &fd, &size, err);
    if (status) return status;
    bool empty = rp_os_read(fd, &first, 1) != 1;
    rp_os_close(fd);
    *name = first == '\n' ? "spiece.model" : first == '{' ? "tokenizer.json" : "vocab.txt";
    return empty ? rp_fail(err, RP_ERROR_FORMAT,
                           "%s: is empty; name a spiece.model, a vocab.txt or a tokenizer.json",
                           rp_path_shown(path))
                 : RP_OK;
}

rp_status rp_convert_vocabulary(rp_conversion *c, const char *path) {
    const char *name = NULL;
    rp_status status = kind_of(path, &name, c->err);
    if (!status) status = rp_staging_copy(&c->staging, path, name, c->err);
    if (status || !strcmp(name, "tokenizer.json")) return status;
    c->dir = c->staging.dir; /* which holds the vocabulary alone */
    return write_own(c, !strcmp(name, "spiece.model") ? name : "", false);
}
