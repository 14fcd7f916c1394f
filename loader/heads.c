/* Which heads a folder has, and their weights. A head that is not whole is no reason to refuse the folder: it
 * is left out, and what asks for it gets the reason. */
#include <stdio.h>

#include "loader/json.h"
#include "loader/weights_slots.h"

enum {
    SHARED =
        RP_HEAD_CLASSIFIER | RP_HEAD_TOKENS | RP_HEAD_SPANS | RP_HEAD_CHOICE, /* a model has one of them */
    ON_POOLER = RP_HEAD_CLASSIFIER | RP_HEAD_CHOICE | RP_HEAD_ORDER,
    MOST_ROWS = 1 << 17,
};

/* ---- what is there ---- */

typedef struct search {
    const rp_weights_reading *r;
    bool found;
} search;

static rp_status search_slot(const rp_slot *slot, void *context) {
    search *s = context;
    rp_tensor_file *file = NULL;
    s->found = s->found || rp_weights_find_slot(s->r, slot, &file);
    return RP_OK;
}

static rp_tensor_entry *find(const rp_weights_reading *r, const char *name) {
    rp_tensor_file *file = NULL;
    return rp_weights_find(r, name, false, &file);
}

/* True when at least one tensor of `head` is in the files. */
static bool has_head(const rp_weights_reading *r, unsigned head) {
    const rp_family_names *names = rp_names_of(r->config->family);
    search s = {.r = r};
    rp_slots_each(r->config, r->out, head, search_slot, &s);
    for (size_t i = 0; head == RP_HEAD_MASKED_LM && !s.found && i < RP_COUNT(names->lm_biases); i++)
        s.found = names->lm_biases[i] && find(r, names->lm_biases[i]);
    return s.found || (head == RP_HEAD_MASKED_LM && find(r, names->decoder));
}

/* Rows of classifier.weight, or of the first internal classifier; 0: there is none, or it is no matrix that
 * could be one. */
static uint32_t classifier_rows(const rp_weights_reading *r) {
    const rp_tensor_entry *entry = find(r, "classifier.weight");
    if (!entry) entry = find(r, "classifiers.0.weight");
    bool fits = entry && entry->rank == 2 && entry->dims[0] >= 1 && entry->dims[0] <= MOST_ROWS;
    return fits ? (uint32_t)entry->dims[0] : 0;
}

/* ---- what is left out ---- */

static rp_error *reason_of(rp_weights *weights, unsigned head) {
    unsigned place = 0;
    while (1u << place != head) place++;
    return &weights->left_out[place];
}

/* Keep `text`, which says what is wrong with `head`, and `fix`, what to do about it. */
static void leave_out(rp_weights_reading *r, unsigned head, const char *text, const char *fix) {
    rp_fail(reason_of(r->out, head), RP_ERROR_HEAD, "%s%s%s", text, *fix ? "; " : "", fix);
}

/* The same for a classifier of which the tensors do not tell whose it is. */
static void leave_open(rp_weights_reading *r, unsigned head, const char *text) {
    rp_fail(reason_of(r->out, head), RP_ERROR_HEAD, "%s: classifier.weight: %s",
            rp_path_shown(r->out->files->path), text);
}

static rp_status clear_slot(const rp_slot *slot, void *context) {
    (void)context;
    *slot->tensor = (rp_tensor){0};
    return RP_OK;
}

/* What to do about a head that was just refused with `status`. */
static const char *fix_of(const rp_weights_reading *r, unsigned head, rp_status status) {
    if (r->missing && r->out->files->missing) return "";
    if (r->missing && head == RP_HEAD_POOLER)
        return "transformers would fill this layer with random numbers: fetch a folder that has it";
    if (r->missing && has_head(r, head)) return "others of this head are there: fetch the file again";
    if (r->missing) return "fetch a folder that was saved with this head";
    if (status == RP_ERROR_UNSUPPORTED) return "";
    if (head == r->config->head) return "say another head, or fetch the weights and their config.json again";
    if (head & (RP_HEAD_CLASSIFIER | RP_HEAD_TOKENS) && !r->config->labels_given)
        return "config.json names no labels, which means 2: name them in id2label, or say --head to number "
               "them";
    return "fetch the weights and their config.json again";
}

/* ---- reading ---- */

/* The same bytes, so that keeping one copy changes nothing. */
static bool same_tensor(const rp_tensor *a, const rp_tensor *b) {
    size_t bytes = (size_t)a->rows * a->columns * (a->dtype == RP_F32 ? 4 : 2);
    return a->dtype == b->dtype && memcmp(a->data, b->data, bytes) == 0;
}

static rp_status read_lm_bias(rp_weights_reading *r) {
    const char *const *names = rp_names_of(r->config->family)->lm_biases;
    rp_tensor_file *file = NULL;
    rp_tensor_entry *found = rp_weights_find(r, names[0], false, &file);
    if (!found && names[1]) found = rp_weights_find(r, names[1], false, &file);
    if (!found) return rp_weights_fail_missing(r, names[names[1] != NULL], false);
    r->out->parameters += r->config->vocab_size;
    return rp_tensor_file_view(file, found, 1, 1, r->config->vocab_size, "vocab_size", &r->out->lm_bias,
                               r->err);
}

/* What of a masked language model rp_slots_each leaves out. */
static rp_status read_lm(rp_weights_reading *r) {
    const rp_config *c = r->config;
    const char *name = rp_names_of(c->family)->decoder;
    rp_tensor *decoder = &r->out->lm_decoder;
    rp_tensor_file *file = NULL;
    rp_status status = read_lm_bias(r);
    if (status || c->tie_word_embeddings) return status;
    rp_tensor_entry *found = rp_weights_find(r, name, false, &file);
    if (!found) return rp_weights_fail_missing(r, name, false);
    status = rp_tensor_file_view(file, found, 2, c->vocab_size, c->embedding_size,
                                 "vocab_size, embedding_size", decoder, r->err);
    if (status) return status;
    if (same_tensor(decoder, &r->out->word))
        *decoder = (rp_tensor){0};
    else
        r->out->parameters += (uint64_t)c->vocab_size * c->embedding_size;
    return RP_OK;
}

/* One tensor of an internal classifier. */
static rp_status read_exit(rp_weights_reading *r, uint32_t layer, bool bias, rp_tensor *out) {
    const rp_config *c = r->config;
    char name[64];
    rp_tensor_file *file = NULL;
    snprintf(name, sizeof name, "classifiers.%u.%s", layer, bias ? "bias" : "weight");
    rp_tensor_entry *found = rp_weights_find(r, name, false, &file);
    if (!found) return rp_weights_fail_missing(r, name, false);
    return rp_tensor_file_view(
        file, found, bias ? 1 : 2, bias ? 1 : c->label_count, bias ? c->label_count : c->hidden_size,
        bias ? "id2label or num_labels" : "id2label or num_labels, hidden_size", out, r->err);
}

/* The internal classifiers, where the first one is there: then all of them must be. */
static rp_status read_exits(rp_weights_reading *r) {
    rp_weights *w = r->out;
    const rp_config *c = r->config;
    rp_status status = RP_OK;
    if (!find(r, "classifiers.0.weight")) return RP_OK;
    w->exits = rp_new_array(rp_exit_weights, c->layers);
    if (!w->exits) return rp_fail_memory(r->err, "internal classifiers", c->layers * sizeof *w->exits);
    for (uint32_t i = 0; !status && i < c->layers; i++) {
        status = read_exit(r, i, false, &w->exits[i].weight);
        if (!status) status = read_exit(r, i, true, &w->exits[i].bias);
        if (!status && i + 1 < c->layers) w->parameters += c->label_count * (c->hidden_size + 1ull);
    }
    return status;
}

/* Read `head`, or leave it out. What stands on the pooler comes after it. */
static rp_status read_head(rp_weights_reading *r, unsigned head) {
    rp_weights *w = r->out;
    bool lm = head == RP_HEAD_MASKED_LM;
    uint64_t parameters = w->parameters;
    r->head = head;
    r->missing = false;
    rp_status status = rp_weights_read_part(r, head);
    if (!status && lm) status = read_lm(r);
    if (!status && head == RP_HEAD_CLASSIFIER) status = read_exits(r);
    bool stands = !(head & ON_POOLER) || w->heads & RP_HEAD_POOLER;
    if (!status && stands) {
        w->heads |= head;
        return RP_OK;
    }
    if (status == RP_ERROR_HOST_MEMORY) return status;
    if (status)
        leave_out(r, head, r->err->message, fix_of(r, head, status));
    else
        leave_out(r, head, reason_of(w, RP_HEAD_POOLER)->message, "");
    rp_slots_each(r->config, w, head, clear_slot, NULL);
    if (lm) w->lm_bias = w->lm_decoder = (rp_tensor){0};
    if (head == RP_HEAD_CLASSIFIER) {
        free(w->exits);
        w->exits = NULL;
    }
    w->parameters = parameters;
    return RP_OK;
}

/* ---- which heads ---- */

/* Which of SHARED the tensors tell of; 0: none. */
static unsigned told_by_tensors(rp_weights_reading *r) {
    static const char one_row[] = "has one row, which a sequence classifier with one label and a multiple "
                                  "choice head have; say which it is with --head classify or --head choose";
    bool labels = r->config->labels_given;
    if (!has_head(r, RP_HEAD_CLASSIFIER)) return has_head(r, RP_HEAD_SPANS) ? RP_HEAD_SPANS : 0;
    if (!has_head(r, RP_HEAD_POOLER)) {
        if (classifier_rows(r) == 2)
            leave_open(
                r, RP_HEAD_SPANS,
                "is taken for a token classifier's, as there is no pooler; if it is a question answering "
                "head's, say so with --head answer");
        return RP_HEAD_TOKENS;
    }
    if (classifier_rows(r) == 1 && r->config->label_count > 1) {
        if (labels) return RP_HEAD_CHOICE;
        leave_open(r, RP_HEAD_CLASSIFIER, one_row);
        leave_open(r, RP_HEAD_CHOICE, one_row);
        return 0;
    }
    leave_open(
        r, RP_HEAD_TOKENS,
        "is taken for a sequence classifier's, as there is a pooler; if it is a token classifier's, say "
        "so with --head tag");
    return RP_HEAD_CLASSIFIER;
}

/* Heads that are there and that no code of this library knows. */
static void leave_unserved(rp_weights_reading *r) {
    const rp_weight_files *files = r->out->files;
    if (files->unserved && !(r->out->heads & RP_HEAD_SPANS))
        rp_fail(reason_of(r->out, RP_HEAD_SPANS), RP_ERROR_HEAD,
                "%s: %s: ALBERT's head of SQuAD 2 is not supported; use a model with one layer qa_outputs "
                "(cls/squad)",
                rp_path_shown(files->path), files->unserved);
}

/* The caller's wish must be met. */
static rp_status check_wish(const rp_weights_reading *r) {
    static const char *const names[] = {[RP_HEAD_CLASSIFIER] = "classify",
                                        [RP_HEAD_TOKENS] = "tag",
                                        [RP_HEAD_SPANS] = "answer",
                                        [RP_HEAD_CHOICE] = "choose"};
    unsigned wish = r->config->head;
    if (!wish || r->out->heads & wish) return RP_OK;
    return rp_fail(r->err, RP_ERROR_HEAD, "--head %s (rp_model_params.head) cannot be served: %s",
                   names[wish], reason_of(r->out, wish)->message);
}

rp_status rp_heads_read(rp_weights_reading *r) {
    static const unsigned order[] = {RP_HEAD_POOLER, SHARED, RP_HEAD_ORDER, RP_HEAD_MASKED_LM};
    rp_config *c = r->config;
    unsigned named = rp_heads_of_architecture(c);
    if (named == RP_HEAD_POOLER) named = 0; // the bare model may have been saved with or without it
    unsigned shared = c->head ? c->head : named & SHARED ? named & SHARED : told_by_tensors(r);
    unsigned wanted = (named & ~(unsigned)SHARED) | shared;
    uint32_t rows = classifier_rows(r);
    rp_status status = RP_OK;
    for (size_t i = 0; i < RP_COUNT(order); i++)
        if (order[i] != SHARED && has_head(r, order[i])) wanted |= order[i];
    if (wanted & ON_POOLER) wanted |= RP_HEAD_POOLER;
    // transformers leaves two labels out of the config.json that it writes, and no other number of them
    bool counts = c->head || !(named & SHARED);
    if (counts && shared & (RP_HEAD_CLASSIFIER | RP_HEAD_TOKENS) && !c->labels_given && rows)
        status = rp_config_number_labels(c, rows, r->err);
    for (size_t i = 0; !status && i < RP_COUNT(order); i++)
        if (wanted & order[i]) status = read_head(r, wanted & order[i]);
    if (!status) leave_unserved(r);
    return status ? status : check_wish(r);
}
