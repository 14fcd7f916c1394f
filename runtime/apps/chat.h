/* What a dialogue works with. */
#ifndef RP_APPS_CHAT_H
#define RP_APPS_CHAT_H

#include "apps/passages.h"
#include "loader/json_tree.h"
#include "loader/labels.h"
#include "reprise/chat.h"
#include "tasks/task.h"

/* A row of the list of questions and answers. */
typedef struct rp_chat_row {
    const char *question, *answer;
} rp_chat_row;

struct rp_chat {
    rp_model *model, *embedder, *reader, *tagger; /* NULL: none */
    bool classifies;                              /* intents are the labels of `model` */
    float threshold, faq_threshold;
    rp_arena strings;
    rp_labels intents;         /* of examples */
    uint32_t *example_intents; /* [example_count] */
    float *vectors;            /* of examples, and behind them of questions; NULL: none */
    const float *examples;     /* [example_count, width] of length 1 */
    size_t example_count;
    rp_chat_row *rows; /* [row_count] */
    size_t row_count;
    const float *questions; /* [row_count, width] of length 1; NULL: by words */
    size_t width;
    void *image; /* of the words of questions and answers; NULL: by vectors */
    size_t image_size;
    rp_passages passages;
    /* What is kept of the dialogue. Names of slots and of intents are the models'; values are owned. */
    char *intent;
    rp_chat_slot *slots; /* [slot_count] each owned */
    size_t slot_count;
};

/* ---- chat_files.c ---- */

/* Read the examples and the list, and make their vectors or count their words. */
rp_status rp_chat_read(rp_chat *chat, const rp_chat_params *params, rp_error *err);

/* The threshold of intents that `root`, the document of the file `path`, says; without one `*out` stays. */
rp_status rp_chat_threshold(const rp_json *root, const char *path, double *out, rp_error *err);

/* Vectors of length 1 of `count` texts, [count, chat->width], owned by the caller; `status[i]` (NULL: any
 * failure is the call's) is that of text i, whose vector is zeros where it failed, and its message goes to
 * `result`. */
rp_status rp_chat_vectors(rp_chat *chat, const rp_text *texts, size_t count, const rp_call *call,
                          rp_result *result, float **out, rp_error *err);

#endif
