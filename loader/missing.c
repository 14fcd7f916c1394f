#include "loader/missing.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "loader/hub_cache.h"
#include "loader/json.h"

enum { MAX_ENTRIES = 1 << 14, NAME_SIZE = 256, ADVICE_SIZE = 288, PATH_BYTES = 4096 };

/* A kind of file that people have in place of what is read, and what to do with it. */
typedef struct kind {
    const char
        *pattern; /* of its name; the one "*" stands for anything, and of two for what is between them */
    const char *what;
    const char *advice; /* NULL: the original model is to be fetched */
    bool weights;       /* it tells nothing where the configuration is what is missing */
} kind;

static const char merge[] = "merge it into its model in Python (peft: merge_and_unload, save_pretrained)";
static const char beside[] = "what a training left beside the weights";
static const char rename_bin[] = "call it pytorch_model.bin if it is";

static const kind weight_kinds[] = {
    {"adapter_model.*", "an adapter", merge, false},
    {"adapter_config.json", "an adapter", merge, false},
    {"tf_model.h5", "weights of Keras",
     "convert them in Python: AutoModel.from_pretrained(DIR, from_tf=True).save_pretrained(DIR)", true},
    {"flax_model.msgpack", "weights of Flax",
     "convert them in Python: AutoModel.from_pretrained(DIR, from_flax=True).save_pretrained(DIR)", true},
    {"model-*.safetensors", "a shard", "copy model.safetensors.index.json, which lists the shards, there too",
     true},
    {"pytorch_model-*.bin", "a shard", "copy pytorch_model.bin.index.json, which lists the shards, there too",
     true},
    {"*.data-*", "a part of a TensorFlow checkpoint", "copy its .index file there too", true},
    {"*.safetensors", "weights by another name", "call them model.safetensors if they are the model's", true},
    {"training_args.bin", beside, NULL, true},
    {"optimizer.*", beside, NULL, true},
    {"scheduler.*", beside, NULL, true},
    {"scaler.*", beside, NULL, true},
    {"rng_state*.pth", beside, NULL, true},
    {"openvino_model.bin", "a model for OpenVINO", NULL, false},
    {"*.bin", "perhaps weights by another name", rename_bin, true},
    {"*.pt", "perhaps weights by another name", rename_bin, true},
    {"*.pth", "perhaps weights by another name", rename_bin, true},
    {"*.gguf", "a model for llama.cpp", NULL, false},
    {"*.onnx", "a model for ONNX", NULL, false},
    {"onnx/", "models for ONNX", NULL, false},
    {"*.ot", "weights for Rust", NULL, true},
    {"*.tflite", "a model for TensorFlow Lite", NULL, false},
    {"saved_model.pb", "a graph of TensorFlow", NULL, false},
    {"openvino_model.xml", "a model for OpenVINO", NULL, false},
    {"openvino/", "models for OpenVINO", NULL, false},
    {"*.mlmodel", "a model for Core ML", NULL, false},
    {"*.msgpack", "weights of Flax", NULL, true},
    {"*.h5", "weights of Keras", NULL, true},
    {"*.keras", "a model of Keras", NULL, false},
};

static const kind tokenizer_kinds[] = {
    {"merges.txt", "of a byte-pair tokenizer", "models with one are of other families, which do not run",
     false},
    {"sentencepiece.bpe.model", "XLM-RoBERTa's tokenizer", "that family does not run", false},
    {"vocab.json", "of a byte-pair tokenizer", "models with one are of other families, which do not run",
     false},
};

/* ---- looking ---- */

/* True when `name` is what `pattern` says, which has one "*" at most. */
static bool fits(const char *name, const char *pattern) {
    size_t size = strlen(name), before = strcspn(pattern, "*");
    if (!pattern[before]) return !strcmp(name, pattern);
    const char *second = strchr(pattern + before + 1, '*'), *end = pattern + before + 1;
    if (second) { /* "*.data-*" */
        char middle[32];
        snprintf(middle, sizeof middle, "%.*s", (int)(second - end), end);
        return strstr(name, middle) != NULL;
    }
    return size >= before + strlen(end) && !strncmp(name, pattern, before) &&
           !strcmp(name + size - strlen(end), end);
}

/* What is looked for. */
typedef struct wanted {
    const char *missing; /* for the message */
    const kind *kinds;
    size_t count;
    bool weights; /* kinds that tell of weights too */
} wanted;

/* What was found: the first kind of the list, of its files the first by name; folders inside that have a
 * config.json, and the first of them. */
typedef struct found {
    const kind *kind;
    char name[NAME_SIZE], folder[NAME_SIZE];
    size_t entries;
    bool cache; /* folders of models in a hub's cache */
} found;

static void note_kind(found *f, const char *name, const wanted *w) {
    size_t i = 0;
    while (i < w->count && !fits(name, w->kinds[i].pattern)) i++;
    const kind *is = &w->kinds[i];
    if (i == w->count || (is->weights && !w->weights)) return;
    if (f->kind && (is > f->kind || (is == f->kind && strcmp(name, f->name) >= 0))) return;
    f->kind = is;
    snprintf(f->name, sizeof f->name, "%.*s", NAME_SIZE - 1, name);
}

/* A listing that goes on. */
typedef struct look {
    const char *dir;
    const wanted *w;
    found *f;
} look;

static rp_status note(void *context, const char *entry, rp_error *err) {
    const look *l = context;
    found *f = l->f;
    char name[NAME_SIZE + 1], path[PATH_BYTES];
    (void)err;
    if (!strcmp(entry, ".") || !strcmp(entry, "..") || strlen(entry) >= NAME_SIZE - 1) return RP_OK;
    if (f->entries++ == MAX_ENTRIES) return RP_ERROR_STOPPED;
    int size = snprintf(path, sizeof path, "%s/%s/", l->dir, entry);
    bool folder = size < PATH_BYTES && !rp_folder_check(path, NULL);
    if (folder && !strncmp(entry, "models--", 8)) f->cache = true;
    if (folder && snprintf(path, sizeof path, "%s/%s/config.json", l->dir, entry) < PATH_BYTES &&
        rp_path_exists(path) && (!f->folder[0] || strcmp(entry, f->folder) < 0))
        snprintf(f->folder, sizeof f->folder, "%s", entry);
    snprintf(name, sizeof name, "%s%s", entry, folder ? "/" : "");
    note_kind(f, name, l->w);
    return RP_OK;
}

/* ---- saying ---- */

/* What would bring it. */
static void advise(const char *dir, const found *f, char out[ADVICE_SIZE]) {
    char id[RP_HUB_NAME_BYTES + 1];
    bool known = rp_hub_id_of(dir, id);
    if (rp_records_used())
        snprintf(out, ADVICE_SIZE, "pass a record of each file that the model's folder has");
    else if (f->cache)
        snprintf(out, ADVICE_SIZE, "it is a cache of models: name one by ORG/NAME");
    else if (f->kind && f->kind->advice)
        snprintf(out, ADVICE_SIZE, "%s", f->kind->advice);
    else if (known)
        snprintf(out, ADVICE_SIZE, "fetch what is missing with `reprise pull %s`", id);
    else if (f->folder[0])
        snprintf(out, ADVICE_SIZE, "name the folder %.100s in it if that is the model", f->folder);
    else
        snprintf(out, ADVICE_SIZE, "fetch %s with `reprise pull ORG/NAME`, or copy what is missing there",
                 f->kind ? "the original model" : "the model");
}

static rp_status fail_missing(const char *dir, const wanted *w, rp_error *err) {
    found f = {.kind = NULL};
    look l = {dir, w, &f};
    char there[NAME_SIZE + 96] = "", advice[ADVICE_SIZE];
    rp_model_folder_list(dir, note, &l, NULL);
    advise(dir, &f, advice);
    if (f.kind)
        snprintf(there, sizeof there, ", but %.*s, %s", rp_text_fit(f.name, 80), f.name, f.kind->what);
    else if (!f.entries)
        snprintf(there, sizeof there, ", as the folder is empty");
    return rp_fail(err, f.kind ? RP_ERROR_UNSUPPORTED : RP_ERROR_FILE, "%s: no %s%s; %s", rp_path_shown(dir),
                   w->missing, there, advice);
}

rp_status rp_fail_no_config(const char *dir, rp_error *err) {
    const wanted w = {"config.json, nor another *config*.json with the fields of a model", weight_kinds,
                      RP_COUNT(weight_kinds), false};
    return fail_missing(dir, &w, err);
}

rp_status rp_fail_no_weights(const char *dir, rp_error *err) {
    const wanted w = {"weights (model.safetensors, pytorch_model.bin or a TensorFlow checkpoint)",
                      weight_kinds, RP_COUNT(weight_kinds), true};
    return fail_missing(dir, &w, err);
}

rp_status rp_fail_no_tokenizer(const char *dir, rp_error *err) {
    const wanted w = {"tokenizer (tokenizer.json, spiece.model or vocab.txt)", tokenizer_kinds,
                      RP_COUNT(tokenizer_kinds), true};
    return fail_missing(dir, &w, err);
}
