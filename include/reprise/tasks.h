/* The upper level of the API: texts in, results out, as Hugging Face's pipelines give them.
 *
 * Every task takes an array of inputs and makes one rp_result with an entry for each input, in order. An
 * input that cannot be used (invalid UTF-8, a missing [MASK]) fails alone: its entry holds the status and the
 * message, the others are answered, and the call returns RP_OK. The call itself fails when nothing can be
 * answered: the model has no such head, no tokenizer, or the device failed.
 *
 * Ownership: inputs and params are borrowed for the call, and params may be NULL, the defaults. On success
 * `*out` is owned by the caller (rp_result_free); on failure it is NULL.
 *
 * Thread-safety: every task may be called from any thread; calls on one model take turns, batch by batch
 * (model.h). A result is read-only and may be read by several threads.
 *
 * Each params struct has `call`, which may be NULL: when the call is to end, and who is told how it goes
 * (call.h). A call that ends early returns RP_ERROR_CANCELLED or RP_ERROR_DEADLINE and no result. */
#ifndef REPRISE_TASKS_H
#define REPRISE_TASKS_H

#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The answers to one call. Owned by the caller, freed by one call; everything its accessors return lives as
 * long. Thread-safety: read-only; several threads may read it, none while one frees it. */
typedef struct rp_result rp_result;

/* Free a result and set `*result` to NULL. NULL and a pointer to NULL are allowed. */
RP_API void rp_result_free(rp_result **result);

/* The number of entries: the number of inputs. */
RP_API size_t rp_result_count(const rp_result *result);

/* The status of entry i; `*message` (may be NULL) gets the reason, "" for RP_OK. */
RP_API rp_status rp_result_status(const rp_result *result, size_t i, const char **message);

/* True when input i was longer than the model takes and was cut (of a question with its context: the
 * question). */
RP_API bool rp_result_truncated(const rp_result *result, size_t i);

/* The tokens of input i, those included that were cut (of a question with its context: those of the question;
 * of choices: those of the longest with its text). `*taken` (may be NULL) gets how many of them the model was
 * given: fewer when the input was cut. 0 when the entry failed. */
RP_API uint32_t rp_result_tokens(const rp_result *result, size_t i, uint32_t *taken);

/* How rp_result_json counts "start" and "end". */
typedef enum rp_offsets {
    RP_OFFSETS_POINTS = 0, /* code points, as Python counts */
    RP_OFFSETS_BYTES,      /* bytes of the UTF-8 text, as rp_span has them */
    RP_OFFSETS_UTF16,      /* units of UTF-16, as Java and JavaScript count */
} rp_offsets;

typedef struct rp_json_params {
    rp_offsets offsets;
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_json_params;

/* Entry i as one JSON value on one line, in the shape of Hugging Face's pipelines:
 *
 *   classify   [{"label", "score"}, ...], best first; a label that is a number in id2label is a number. With
 *              explain {"labels": that list, "words": [{"word", "start", "end", "weight"}, ...]}
 *   fill-mask  [{"score", "token", "token_str", "sequence"}, ...]; a list of such lists for several masks
 *   tag        [{"entity_group", "score", "word", "start", "end"}, ...]; with RP_AGGREGATE_NONE
 *              [{"entity", "score", "index", "word", "start", "end"}, ...]
 *   answer     {"score", "start", "end", "answer"}; a list of them where params.top_k was above 1
 *   embed      [numbers]; with RP_POOLING_NONE a list of such lists, one a token
 *   coherence  {"label": "in_order" or "swapped", "score"}
 *   choose     [numbers], the probability of each choice
 *
 * and {"error": "message"} for an entry that failed. A score is the shortest decimal number that reads back
 * as the same float32. The inputs and the model are not needed any more.
 *
 * `*out` is NUL-terminated valid UTF-8 without a line end, owned by the caller and freed by rp_string_free of
 * tokenizer.h; `*size` (may be NULL) gets its bytes. `params` may be NULL, the defaults. RP_ERROR_ARGUMENT
 * when there is no such entry, RP_ERROR_FORMAT when a number of it is not finite, RP_ERROR_HOST_MEMORY; then
 * `*out` is NULL. Thread-safety: as the accessors; several threads may write one result. */
RP_API rp_status rp_result_json(const rp_result *result, size_t i, const rp_json_params *params, char **out,
                                size_t *size, rp_error *err);

/* ---- classify: sequence classification, sentiment, moderation ---- */

/* A text and, for pair tasks, a second one (pair.data NULL: none). Borrowed for the call. */
typedef struct rp_input {
    rp_text text, pair;
} rp_input;

/* What becomes of a text that is longer than the model takes. With all but the first it is read in windows,
 * each with its special tokens, of which neighbours share `stride` tokens: as Hugging Face's tokenizers cut
 * it with return_overflowing_tokens. Of a pair the second text is read in windows, each behind the whole
 * first text (truncation="only_second"); a first text that leaves no room for it is RP_ERROR_TEXT. */
typedef enum rp_long_texts {
    RP_LONG_CUT = 0, /* it is cut as truncation=True cuts it */
    RP_LONG_MEAN,    /* the mean of the windows' scores (not of their logits) */
    RP_LONG_MAX,     /* the largest score that each label has in any window: these need not add up to 1 */
    RP_LONG_VOTE,    /* the share of windows whose best label it is or, with several labels a text, that give
                        it 0.5 or more; of equal shares the larger mean comes first. Not for a regression:
                        RP_ERROR_UNSUPPORTED */
} rp_long_texts;

typedef struct rp_classify_params {
    uint32_t top_k;           /* labels returned, best first; 0: all */
    const rp_call *call;      /* NULL: none */
    rp_long_texts long_texts; /* RP_ERROR_ARGUMENT for a value that there is not */
    uint32_t stride;      /* tokens shared by neighbouring windows; 0: 64. A stride that leaves no room for
                             new tokens is half a window */
    bool explain;         /* say which words speak for the best label (rp_result_words). Not with long_texts:
                             RP_ERROR_ARGUMENT. An input with a pair is RP_ERROR_TEXT */
    uint32_t most_parts;  /* with explain: a text with more words is explained in so many parts, each some
                             words that follow one another and have their weight together; 0: 256 */
    uint32_t patience;    /* early exit, as in rp_run_params; 0: all layers. Not with explain or long_texts:
                             RP_ERROR_ARGUMENT */
    uint64_t reserved[1]; /* zero; see reprise.h */
} rp_classify_params;

typedef struct rp_label {
    const char *label; /* from the config's id2label */
    uint32_t index;    /* row of the classifier */
    float score;       /* softmax or sigmoid probability, or the raw value of a regression */
} rp_label;

/* The labels of each text or pair, best first. params->long_texts says what becomes of a text that is longer
 * than the model takes. */
RP_API rp_status rp_classify(rp_model *model, const rp_input *inputs, size_t count,
                             const rp_classify_params *params, rp_result **out, rp_error *err);

/* Labels of entry i, best first; `*count` gets their number. NULL when the entry failed. */
RP_API const rp_label *rp_result_labels(const rp_result *result, size_t i, size_t *count);

/* How many layers entry i went through, with rp_classify_params.patience; else, and when the entry failed, 0.
 */
RP_API uint32_t rp_result_layers(const rp_result *result, size_t i);

/* A word of a text that was explained: letters, digits and marks with ' or - between them, an ideograph, or
 * what stands between words and is no white space. */
typedef struct rp_word {
    const char *word; /* NUL-terminated */
    rp_span span;     /* bytes of the text */
    float weight;     /* by how much the score of the best label falls when the word is left out (or the part
                         of the text that it is in): above 0 it speaks for that label, below 0 against it */
} rp_word;

/* With rp_classify_params.explain the words of entry i in the order of the text; of a text that was cut,
 * those that the model has read. NULL when the entry failed, was not explained or has none. */
RP_API const rp_word *rp_result_words(const rp_result *result, size_t i, size_t *count);

/* ---- classify with labels of your own ---- */

typedef struct rp_zero_shot_params {
    const char *const *labels; /* [label_count] NUL-terminated UTF-8, none of them empty */
    size_t label_count;        /* at least 1 */
    const char *hypothesis;    /* with "{}" where the label goes; NULL: "This example is {}." */
    bool multi_label;          /* each label is true or not, whatever the others are */
    uint32_t top_k;            /* labels returned, best first; 0: all */
    const rp_call *call;       /* NULL: none */
    uint64_t reserved[4];      /* zero; see reprise.h */
} rp_zero_shot_params;

/* Which of `params->labels` fits each text: labels that the model has not been taught.
 *
 * A classifier whose id2label has a label that begins with "entail" (of natural language inference) is asked
 * whether each text entails the hypothesis with each label, as Hugging Face's zero-shot-classification
 * pipeline does: the score is the softmax over the labels of that label's logit; with multi_label, or one
 * label, the softmax over it and the contradiction's (row 0, or the last one where entailment is row 0). A
 * text that is too long is cut so that the hypothesis stays whole; one that leaves no room for it is
 * RP_ERROR_TEXT. With any other model the score is the cosine of the vectors (rp_embed with the folder's
 * defaults) of the text and the hypothesis, multi_label or not; 0 where one of them is all zero.
 *
 * The result has labels (rp_result_labels), whose `index` is the place in `params->labels`.
 * RP_ERROR_ARGUMENT: no labels, an empty one, or a hypothesis without "{}". Else as the tasks of this header.
 */
RP_API rp_status rp_zero_shot(rp_model *model, const rp_text *texts, size_t count,
                              const rp_zero_shot_params *params, rp_result **out, rp_error *err);

/* ---- fill-mask: masked language model ---- */

typedef struct rp_fill_params {
    uint32_t top_k;       /* candidates for each [MASK]; 0: 5 */
    const rp_call *call;  /* NULL: none */
    uint64_t reserved[3]; /* zero; see reprise.h */
} rp_fill_params;

typedef struct rp_fill {
    float score;          /* probability over the whole vocabulary */
    int32_t token;        /* id */
    const char *piece;    /* the token decoded alone: "token_str" */
    const char *sequence; /* the text with this mask filled, decoded: "sequence" */
} rp_fill;

/* Each text holds the mask token ("[MASK]") at least once, also when it has to be cut; otherwise its entry is
 * RP_ERROR_TEXT. RP_ERROR_UNSUPPORTED when the vocabulary has no mask token. */
RP_API rp_status rp_fill_mask(rp_model *model, const rp_text *texts, size_t count,
                              const rp_fill_params *params, rp_result **out, rp_error *err);

/* The number of masks in entry i; 0 when the entry failed. */
RP_API size_t rp_result_mask_count(const rp_result *result, size_t i);

/* Candidates for mask number `mask` of entry i, best first. NULL when there is none. */
RP_API const rp_fill *rp_result_fills(const rp_result *result, size_t i, size_t mask, size_t *count);

/* ---- tag: token classification, named entities ---- */

typedef enum rp_aggregation {
    RP_AGGREGATE_SIMPLE = 0, /* neighbouring tokens of one type become one entity */
    RP_AGGREGATE_NONE,       /* one entity a token */
    RP_AGGREGATE_FIRST,      /* a word takes its first token's label */
    RP_AGGREGATE_AVERAGE,    /* a word takes the label of the mean score */
    RP_AGGREGATE_MAX,        /* a word takes the label of its surest token */
} rp_aggregation;

typedef struct rp_tag_params {
    rp_aggregation aggregation;
    uint32_t stride; /* tokens shared by neighbouring windows of a text longer than the model; 0: 64. A stride
                        that leaves no room for new tokens is half a window */
    const rp_call *call; /* NULL: none */
    bool cut; /* a longer text is cut, as Hugging Face's pipeline cuts it without a stride: no entity comes
                 from what is left out. false: it is read in windows */
    bool outside;         /* tokens labelled "O" are entities like those of any other label */
    uint64_t reserved[2]; /* zero; see reprise.h */
} rp_tag_params;

typedef struct rp_entity {
    const char *label; /* "PER", or "B-PER" without aggregation */
    float score;       /* probability */
    uint32_t index;    /* position of the token in the tokenized text, without aggregation; else 0 */
    const char *word;  /* decoded tokens */
    rp_span span;      /* bytes of the text */
} rp_entity;

/* Tokens labelled "O" are left out, but for params->outside. A long text is read in overlapping windows:
 * nothing is lost, but for params->cut. */
RP_API rp_status rp_tag(rp_model *model, const rp_text *texts, size_t count, const rp_tag_params *params,
                        rp_result **out, rp_error *err);

/* Entities of entry i in reading order. NULL when the entry failed or has none. */
RP_API const rp_entity *rp_result_entities(const rp_result *result, size_t i, size_t *count);

/* ---- answer: extractive question answering ---- */

typedef struct rp_question {
    rp_text question, context;
} rp_question;

typedef struct rp_answer_params {
    uint32_t top_k;      /* answers for each question; 0: 1 */
    uint32_t max_tokens; /* longest window, question included; 0: 384; at most what the model takes */
    uint32_t stride;     /* context tokens shared by neighbouring windows; 0: 128, or half of max_tokens.
                            A stride that leaves no room for new tokens is half of the room there is */
    uint32_t max_question_tokens; /* longer questions are cut; 0: 64 */
    uint32_t max_answer_tokens;   /* longest answer; 0: 15 */
    bool allow_no_answer;         /* an empty answer may win */
    const rp_call *call;          /* NULL: none */
    uint64_t reserved[3];         /* zero; see reprise.h */
} rp_answer_params;

typedef struct rp_answer {
    float score;      /* probability of start times probability of end */
    rp_span span;     /* bytes of the context; {0,0} for no answer */
    const char *text; /* that part of the context, NUL-terminated */
} rp_answer;

/* An empty question or context, and a question that leaves no room for the context, are RP_ERROR_TEXT. Like
 * in Hugging Face's pipeline, what two windows share can give the same answer twice. */
RP_API rp_status rp_answer_questions(rp_model *model, const rp_question *questions, size_t count,
                                     const rp_answer_params *params, rp_result **out, rp_error *err);

/* Answers of entry i, best first. NULL when the entry failed. */
RP_API const rp_answer *rp_result_answers(const rp_result *result, size_t i, size_t *count);

/* ---- embed: sentence and token vectors ---- */

typedef enum rp_pooling {
    RP_POOLING_DEFAULT = 0, /* the folder's Pooling, which may join several ways, with the Dense and LayerNorm
                               behind it; mean where the folder has none */
    RP_POOLING_MEAN, /* this and what follows stand in place of the folder's Pooling, Dense and LayerNorm */
    RP_POOLING_CLS,
    RP_POOLING_MAX,
    RP_POOLING_NONE, /* the last hidden state of every token, special tokens included */
} rp_pooling;

typedef enum rp_normalize {
    RP_NORMALIZE_DEFAULT = 0, /* as the folder's modules.json says, else no; no for RP_POOLING_NONE */
    RP_NORMALIZE_YES,
    RP_NORMALIZE_NO, /* leaves out the Normalize at the end of modules.json */
} rp_normalize;

typedef struct rp_embed_params {
    rp_pooling pooling;
    rp_normalize normalize; /* to length 1 */
    const char
        *prompt_name; /* which prompt of config_sentence_transformers.json is put before every text; NULL: the
                         folder's default_prompt_name, if it has one. NUL-terminated UTF-8, like `prompt` */
    const char *prompt; /* the text to put there instead, whatever the folder says; "": none; NULL: by name */
    uint32_t dimensions;  /* keep so many columns (of a model trained for that, "Matryoshka"), and normalize
                             what is left where vectors are normalized; 0: all */
    const rp_call *call;  /* NULL: none */
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_embed_params;

/* Vectors as sentence-transformers 3.0.1 gives them: modules.json with Transformer, Pooling, Dense,
 * Normalize, LayerNorm and Dropout. Hidden states are pooled on the device by mean, CLS or max, and otherwise
 * by the caller's thread, which also computes Dense and LayerNorm. Texts longer than
 * sentence_bert_config.json's max_seq_length, or than the model takes, are cut. Where the folder asks for
 * what is not supported, its defaults are RP_ERROR_UNSUPPORTED and a pooling with a normalization of your
 * choice works. RP_ERROR_ARGUMENT for a prompt that the folder does not have (the message lists those that it
 * has), and for more dimensions than there are. */
RP_API rp_status rp_embed(rp_model *model, const rp_text *texts, size_t count, const rp_embed_params *params,
                          rp_result **out, rp_error *err);

/* Vectors of entry i: [*rows, *columns], row after row. One row unless the pooling is RP_POOLING_NONE.
 * NULL when the entry failed. Serves rp_choose too: one row with the probability of each choice. */
RP_API const float *rp_result_vectors(const rp_result *result, size_t i, size_t *rows, size_t *columns);

/* ---- coherence: sentence order prediction ---- */

typedef struct rp_coherence_params {
    const rp_call *call;  /* NULL: none */
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_coherence_params;

/* Is `pair` the text that follows `text`? Inputs without a pair are RP_ERROR_TEXT. */
RP_API rp_status rp_coherence(rp_model *model, const rp_input *inputs, size_t count,
                              const rp_coherence_params *params, rp_result **out, rp_error *err);

/* Probability that entry i is in order; -1 when the entry failed. */
RP_API float rp_result_in_order(const rp_result *result, size_t i);

/* ---- choose: multiple choice ---- */

typedef struct rp_choice {
    rp_text text;
    const rp_text *choices; /* [choice_count] */
    size_t choice_count;    /* at least 1 */
} rp_choice;

typedef struct rp_choose_params {
    const rp_call *call;  /* NULL: none */
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_choose_params;

/* The probability of each choice: rp_result_vectors, one row of choice_count. Without a choice, or with one
 * that cannot be used, the entry fails. */
RP_API rp_status rp_choose(rp_model *model, const rp_choice *inputs, size_t count,
                           const rp_choose_params *params, rp_result **out, rp_error *err);

#ifdef __cplusplus
}
#endif
#endif
