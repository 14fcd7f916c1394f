/* A dialogue of one line at a time: what a text wants (its intent), the answer to it from a list of questions
 * with their answers, and what is named in it (slots). Whatever is not known well enough is refused, and not
 * guessed.
 *
 *     rp_chat *chat = NULL;
 *     rp_result *result = NULL;
 *     rp_chat_params params = {.model = model, .faq = "faq.csv"};
 *     rp_text text = RP_TEXT("my card was stolen");
 *     if (rp_chat_open(&params, &chat, &err) || rp_chat_say(chat, &text, 1, NULL, &result, &err))
 *         fprintf(stderr, "%s\n", err.message);
 *     else if (rp_result_reply(result, 0)->intent)
 *         puts(rp_result_reply(result, 0)->intent);
 */
#ifndef REPRISE_CHAT_H
#define REPRISE_CHAT_H

#include "tasks.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A dialogue. It keeps the last intent and the slots, and nothing else of what was said. Used by one thread
 * at a time; several dialogues may share models. */
typedef struct rp_chat rp_chat;

/* Models stay open until the dialogue is closed. */
typedef struct rp_chat_params {
    rp_model *model;      /* with a sequence classification head: its labels are the intents. With a question
                             answering head: `reader`. With no head of a task: `embedder` */
    const char *examples; /* file of texts with their intents, as rp_finetune reads it (CSV, TSV, JSONL; the
                             label's column may be called intent or category too): an intent is that of the
                             nearest example, by vectors of `embedder`. NULL: by the classifier */
    const char
        *faq; /* file of questions and answers: CSV, TSV or JSONL with question and answer. NULL: none */
    const char *index;  /* file that keeps the vectors of examples and questions, float16: it is made where it
                           is missing, and anew where the texts or the embedder are others. NULL: none, and
                           vectors are made by each rp_chat_open */
    rp_model *embedder; /* makes vectors (rp_embed). NULL: `model`, if it has no head */
    rp_model *reader;   /* marks the part of an answer that says it. NULL: `model`, if it can */
    rp_model *tagger;   /* finds slots (rp_tag). NULL: there are none */
    bool has_threshold; /* an intent with a lower score than `threshold` is refused; else that which
                           thresholds.json in the folder of `model` has, {"intent": {"threshold": 0.97}} as
                           rp_eval_params.calibrate writes it, else 0.9; of examples 0.55 */
    float threshold;
    bool has_faq_threshold; /* the same for an answer; else 0.5 */
    float faq_threshold;
    const rp_call *call; /* for rp_chat_open; NULL: none. Its inputs are the texts that it makes vectors of */
    uint64_t reserved[8]; /* zero; see reprise.h */
} rp_chat_params;

/* Begin a dialogue: read the files, and make vectors of what is in them. Questions of `faq` are found by the
 * cosine of vectors where there is an embedder, else by BM25 (documents.h), whose score is what share of the
 * words' weights (idf) the question and its answer have, at most 1. RP_ERROR_ARGUMENT: there is no model, or
 * nothing to answer with; RP_ERROR_HEAD: `model` has no classifier, and there are neither examples nor faq,
 * or the reader or the tagger has not its head; RP_ERROR_FORMAT and RP_ERROR_FILE name the file and the line.
 * On success the caller owns `*out`. */
RP_API rp_status rp_chat_open(const rp_chat_params *params, rp_chat **out, rp_error *err);

/* End it and set `*chat` to NULL. NULL and a pointer to NULL are allowed. */
RP_API void rp_chat_close(rp_chat **chat);

/* What was named. */
typedef struct rp_chat_slot {
    const char *name, *value; /* label of the entity; as it stands in the text */
} rp_chat_slot;

typedef struct rp_reply {
    const char *intent; /* NULL: refused */
    float score;        /* of the intent, refused or not: of examples the cosine; of a classifier how far its
                           probabilities are from being equal, 1 - labels * their geometric mean, from 0 to 1; of
                           a multi-label one the largest probability. Without intents that of the answer */
    const char *answer; /* of the list; NULL: none is near enough */
    uint64_t row;       /* of the file that the answer is of, from 1; 0: none */
    const char *question;      /* that stands there; NULL: none */
    float found;               /* score of that question */
    rp_span marked;            /* bytes of `answer` that say it, as the reader finds; {0,0}: none */
    float marked_score;        /* probability */
    const rp_chat_slot *slots; /* [slot_count] of the dialogue so far: of each name the value that was named
                             last. Another intent than the one before clears them */
    size_t slot_count;
} rp_reply;

/* Reply to texts, which follow one another. The result is as those of tasks.h; rp_result_json writes
 *
 *   {"intent", "score", "answer", "source"}, where source is {"row", "question", "score"}; intent, answer and
 *   source are null where there is none; with a reader "marked", {"start", "end", "text", "score"} or null;
 *   with a tagger "slots", {"name": "value"}
 *
 * A text that cannot be used fails its entry, and changes nothing of the dialogue; so does a call that fails.
 * `call` may be NULL. */
RP_API rp_status rp_chat_say(rp_chat *chat, const rp_text *texts, size_t count, const rp_call *call,
                             rp_result **out, rp_error *err);

/* The reply of entry i, NULL when the entry failed or is none. */
RP_API const rp_reply *rp_result_reply(const rp_result *result, size_t i);

/* The last intent that was not refused, NULL at the beginning; and forget it and the slots. */
RP_API const char *rp_chat_intent(const rp_chat *chat);
RP_API void rp_chat_forget(rp_chat *chat);

#ifdef __cplusplus
}
#endif
#endif
