/* The public functions: opening a folder, tokenizing texts and pairs, and asking about ids. */
#include <stdio.h>
#include <unistd.h>

#include "loader/find_model.h"
#include "loader/folder.h"
#include "loader/json.h"
#include "loader/missing.h"
#include "loader/tokenizer.h"

enum { MAX_FILE_BYTES = 1 << 28 };

/* ---- opening ---- */

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

/* The whole file `dir`/`name`, which must not be empty. */
static rp_status read_vocabulary(rp_tokenizer *t, const char *name, char **data, size_t *size,
                                 rp_error *err) {
    t->file = rp_arena_copy(&t->arena, name, strlen(name));
    if (!t->file) return rp_fail_memory(err, "a path", strlen(name));
    return rp_tokenizer_read(t->dir, name, data, size, err);
}

static rp_status load_full(rp_tokenizer *t, const rp_tokenizer_files *files, rp_error *err) {
    const rp_tokenizer_class *class = NULL;
    t->file = "tokenizer.json";
    rp_status status = rp_tokenizer_class_of(t->dir, files, false, false, &class, err);
    if (!status) status = rp_tokenizer_json_read(t, &files->full.root, files->full_path, err);
    return status ? status : rp_tokenizer_setup(t, class, files, false, err);
}

static rp_status load_vocab(rp_tokenizer *t, const rp_tokenizer_class *class, const char *name,
                            const rp_tokenizer_files *files, rp_error *err) {
    char *data = NULL;
    size_t size = 0;
    rp_status status = read_vocabulary(t, name, &data, &size, err);
    if (!status) status = rp_wordpiece_read(t, data, size, err);
    free(data);
    if (!status) status = rp_tokenizer_bert(t, err);
    return status ? status : rp_tokenizer_setup(t, class, files, true, err);
}

static rp_status load_spiece(rp_tokenizer *t, const char *name, const rp_tokenizer_files *files,
                             rp_error *err) {
    char *data = NULL;
    size_t size = 0;
    t->kind = RP_MODEL_ALBERT;
    rp_status status = read_vocabulary(t, name, &data, &size, err);
    if (!status) status = rp_albert_open(t, name, data, size, err);
    return status ? status : rp_albert_configure(t, files, err);
}

/* tokenizer.json where there is one; else what the class asks for. */
static rp_status load_from(rp_tokenizer *t, const rp_tokenizer_files *files, rp_error *err) {
    char spiece[RP_FOLDER_NAME], vocab[RP_FOLDER_NAME];
    const rp_tokenizer_class *class = NULL;
    rp_status status = rp_tokenizer_settings(t, files, err);
    if (status) return status;
    if (files->full.root.type == RP_JSON_OBJECT) return load_full(t, files, err);
    status = rp_folder_spiece(t->dir, spiece, err);
    if (!status) status = rp_folder_vocab(t->dir, vocab, err);
    if (!status && !*spiece && !*vocab) status = rp_fail_no_tokenizer(t->dir, err);
    if (!status) status = rp_tokenizer_class_of(t->dir, files, *spiece, *vocab, &class, err);
    if (status) return status;
    return class->bert ? load_vocab(t, class, vocab, files, err) : load_spiece(t, spiece, files, err);
}

static rp_status load(rp_tokenizer *t, rp_error *err) {
    rp_tokenizer_files files = {0};
    rp_status status = rp_tokenizer_files_load(t->dir, &files, err);
    if (!status) status = load_from(t, &files, err);
    rp_tokenizer_files_finish(&files);
    return status;
}

rp_status rp_tokenizer_exists(const char *dir, bool *has, rp_error *err) {
    char spiece[RP_FOLDER_NAME] = "", vocab[RP_FOLDER_NAME] = "";
    char *full = rp_path_join(dir, "tokenizer.json");
    if (!full) return rp_fail_memory(err, "a path", strlen(dir));
    *has = rp_path_exists(full);
    free(full);
    rp_status status = *has ? RP_OK : rp_folder_spiece(dir, spiece, err);
    if (!status && !*has) status = rp_folder_vocab(dir, vocab, err);
    *has = *has || *spiece || *vocab;
    return status;
}

rp_status rp_tokenizer_check_ids(const rp_tokenizer *t, uint32_t embeddings, rp_error *err) {
    for (size_t i = 0; i < t->single.count; i++) {
        int32_t id = t->single.pieces[i].id;
        if (t->single.pieces[i].sequence >= 0 || (uint32_t)id < embeddings) continue;
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s/%s: the token \"%.*s\" that stands around every text has the id %d, but the model "
                       "has embeddings for %u ids only (vocab_size of config.json); the files belong to "
                       "different models",
                       rp_path_shown(t->dir), t->file, rp_text_fit(rp_tokenizer_piece(t, id), 40),
                       rp_tokenizer_piece(t, id), (int)id, embeddings);
    }
    return RP_OK;
}

rp_status rp_tokenizer_open(const char *dir, rp_tokenizer **out, rp_error *err) {
    if (!out) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_tokenizer_open: out is NULL");
    *out = NULL;
    char *folder = NULL;
    rp_status status = rp_find_model(dir, &folder, err);
    if (status) return status;
    rp_tokenizer *t = rp_new(rp_tokenizer);
    if (!t) {
        free(folder);
        return rp_fail_memory(err, "a tokenizer", sizeof *t);
    }
    t->dir = folder;
    t->ids = (rp_special_ids){-1, -1, -1, -1, -1};
    status = load(t, err);
    if (status) rp_tokenizer_close(&t);
    *out = t;
    return status;
}

void rp_tokenizer_close(rp_tokenizer **tokenizer) {
    if (!tokenizer || !*tokenizer) return;
    rp_tokenizer *t = *tokenizer;
    *tokenizer = NULL;
    for (size_t i = 0; i < t->normalizer.count; i++) rp_pattern_finish(&t->normalizer.steps[i].pattern);
    for (size_t i = 0; i < t->pretokenizer.count; i++) rp_pattern_finish(&t->pretokenizer.steps[i].pattern);
    for (size_t i = 0; i < t->decoder.count; i++) rp_pattern_finish(&t->decoder.steps[i].pattern);
    free(t->normalizer.steps);
    free(t->pretokenizer.steps);
    free(t->decoder.steps);
    free(t->single.pieces);
    free(t->pair.pieces);
    free(t->special);
    rp_added_finish(&t->added);
    rp_unigram_close(&t->unigram);
    rp_spiece_close(t->spiece);
    free(t->model.pieces);
    free(t->model_bytes);
    free(t->albert.added);
    free(t->dir);
    rp_vocab_finish(&t->vocab);
    rp_arena_finish(&t->arena);
    free(t);
}

/* ---- asking ---- */

uint32_t rp_tokenizer_vocab_size(const rp_tokenizer *tokenizer) {
    return tokenizer ? tokenizer->id_count : 0;
}

const char *rp_tokenizer_piece(const rp_tokenizer *tokenizer, int32_t id) {
    if (!tokenizer || id < 0) return NULL;
    const rp_added *added = rp_added_of(&tokenizer->added, id);
    if (added) return added->text;
    return (size_t)id < tokenizer->vocab.count ? tokenizer->vocab.entries[id].text : NULL;
}

bool rp_tokenizer_is_special(const rp_tokenizer *tokenizer, int32_t id) {
    return tokenizer && id >= 0 && (uint32_t)id < tokenizer->id_count && tokenizer->special[id];
}

rp_special_ids rp_tokenizer_special_ids(const rp_tokenizer *tokenizer) {
    return tokenizer ? tokenizer->ids : (rp_special_ids){-1, -1, -1, -1, -1};
}

uint32_t rp_tokenizer_max_tokens(const rp_tokenizer *tokenizer) {
    return tokenizer ? tokenizer->max_tokens : 0;
}

/* ---- tokenizing ---- */

static rp_status tokenize_text(const rp_tokenizer *t, rp_text text, const char *name, rp_tokens *out,
                               rp_error *err) {
    if (!text.data) text = (rp_text){"", 0};
    if (text.size > RP_TEXT_BYTES_MAX)
        return rp_fail(err, RP_ERROR_TEXT,
                       "%s is %zu bytes long; at most %d can be tokenized at once: cut it into parts", name,
                       text.size, RP_TEXT_BYTES_MAX);
    size_t bad = rp_utf8_check(text.data, text.size);
    if (bad < text.size)
        return rp_fail(err, RP_ERROR_TEXT, "%s is not valid UTF-8 at byte %zu (0x%02x); convert it to UTF-8",
                       name, bad, (unsigned char)text.data[bad]);
    return t->kind == RP_MODEL_ALBERT ? rp_albert_split(t, text, out, err)
                                      : rp_pipeline_encode(t, text, out, err);
}

/* How many tokens each of the two texts loses, as truncation=True decides. Where both lose some and an odd
 * number is left, the longer one (the second of equals) keeps one more: so do the fast tokenizers, which the
 * pipelines use; the slow ones favour the first. */
static void plan_cut(size_t first, size_t second, size_t excess, size_t *cut_first, size_t *cut_second) {
    size_t left = first + second - excess, shorter = first < second ? first : second;
    size_t keep_shorter = shorter <= left / 2 ? shorter : left / 2, keep_longer = left - keep_shorter;
    *cut_first = first - (first > second ? keep_longer : keep_shorter);
    *cut_second = second - (first > second ? keep_shorter : keep_longer);
}

/* The tokens [*from, *to) that stay of `count` when `cut` go. */
static void keep(const rp_tokenizer *t, size_t count, size_t cut, size_t *from, size_t *to) {
    *from = t->truncate_left ? cut : 0;
    *to = t->truncate_left ? count : count - cut;
}

static void push(rp_encoding *out, int32_t id, int32_t type, int8_t sequence, int32_t word, rp_span span) {
    out->ids[out->count] = id;
    out->type_ids[out->count] = type;
    out->sequence[out->count] = sequence;
    out->words[out->count] = word;
    out->offsets[out->count++] = span;
}

static rp_status alloc_encoding(rp_encoding *out, size_t count, rp_error *err) {
    out->ids = rp_new_array(int32_t, count);
    out->type_ids = rp_new_array(int32_t, count);
    out->offsets = rp_new_array(rp_span, count);
    out->sequence = rp_new_array(int8_t, count);
    out->words = rp_new_array(int32_t, count);
    if (out->ids && out->type_ids && out->offsets && out->sequence && out->words) return RP_OK;
    rp_encoding_free(out);
    return rp_fail_memory(err, "the tokens of a text", count * 21);
}

/* How many tokens of each text are cut so that the whole fits. */
static rp_status plan_cuts(const rp_tokens tokens[2], bool pair, size_t specials,
                           const rp_tokenize_params *params, size_t cut[2], rp_error *err) {
    size_t total = tokens[0].count + tokens[1].count + specials;
    if (!params->max_tokens || params->truncation == RP_TRUNCATE_NONE || total <= params->max_tokens)
        return RP_OK;
    if (params->max_tokens < specials)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "max_tokens is %u, but %s needs %zu special tokens; allow more tokens",
                       params->max_tokens, pair ? "a pair" : "a text", specials);
    size_t excess = total - params->max_tokens;
    if (pair)
        plan_cut(tokens[0].count, tokens[1].count, excess, &cut[0], &cut[1]);
    else
        cut[0] = excess;
    return RP_OK;
}

/* What the template makes of the texts, cut to fit. */
static rp_status assemble(const rp_tokenizer *t, const rp_tokens tokens[2], bool pair,
                          const rp_tokenize_params *params, rp_encoding *out, rp_error *err) {
    const rp_template *template = pair ? &t->pair : &t->single;
    size_t specials = params->no_special_tokens ? 0 : template->specials, cut[2] = {0, 0}, from, to;
    rp_status status = plan_cuts(tokens, pair, specials, params, cut, err);
    if (!status)
        status = alloc_encoding(out, tokens[0].count + tokens[1].count - cut[0] - cut[1] + specials, err);
    if (status) return status;
    out->truncated = cut[0] || cut[1];
    for (size_t k = 0; k < template->count; k++) {
        rp_template_piece piece = template->pieces[k];
        int32_t type = t->without_types ? 0 : piece.type;
        if (piece.sequence < 0) {
            if (specials) push(out, piece.id, type, -1, -1, (rp_span){0, 0});
            continue;
        }
        keep(t, tokens[piece.sequence].count, cut[piece.sequence], &from, &to);
        for (; from < to; from++) {
            const rp_token *token = &tokens[piece.sequence].items[from];
            push(out, token->id, type, piece.sequence, token->word, token->span);
        }
    }
    return RP_OK;
}

rp_status rp_tokenize(const rp_tokenizer *tokenizer, rp_text text, rp_text pair,
                      const rp_tokenize_params *params, rp_encoding *out, rp_error *err) {
    const rp_tokenize_params defaults = {0};
    if (out) *out = (rp_encoding){0};
    if (!tokenizer || !out)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_tokenize: the tokenizer or out is NULL");
    rp_status status = rp_check_reserved(params ? params->reserved : NULL, 4, "rp_tokenize", err);
    if (status) return status;
    if (params && (unsigned)params->truncation > RP_TRUNCATE_NONE)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_tokenize: truncation %d is not one of rp_truncation",
                       (int)params->truncation);
    if (!text.data && text.size) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_tokenize: text.data is NULL");
    rp_tokens tokens[2] = {{0}, {0}};
    status = tokenize_text(tokenizer, text, "the text", &tokens[0], err);
    if (!status && pair.data) status = tokenize_text(tokenizer, pair, "the second text", &tokens[1], err);
    if (!status)
        status = assemble(tokenizer, tokens, pair.data != NULL, params ? params : &defaults, out, err);
    free(tokens[0].items);
    free(tokens[1].items);
    return status;
}

void rp_encoding_free(rp_encoding *encoding) {
    if (!encoding) return;
    free(encoding->ids);
    free(encoding->type_ids);
    free(encoding->offsets);
    free(encoding->sequence);
    free(encoding->words);
    *encoding = (rp_encoding){0};
}
