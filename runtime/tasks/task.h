/* What the tasks share: results, and the way from texts to the sequences of one run. */
#ifndef RP_TASKS_TASK_H
#define RP_TASKS_TASK_H

#include "base/alloc.h"
#include "loader/json_write.h"
#include "model/model.h"
#include "reprise/tasks.h"

/* ---- results (result.c) ---- */

/* Candidates for one mask. */
typedef struct rp_mask_fills {
    rp_fill *items; // [count]
    size_t count;
} rp_mask_fills;

/* A span of bytes counted otherwise. */
typedef struct rp_place {
    rp_span points, units; // code points; units of UTF-16
} rp_place;

/* The answer to one input. Only the fields of its task are set; arrays are in the result's arena. */
typedef struct rp_entry {
    rp_status status;
    const char *message; // "" when the status is RP_OK
    bool truncated;
    uint32_t tokens, taken; // of the input, and those of them that the model was given
    uint32_t layers;        // that it went through, where it could leave early; else 0
    rp_label *labels;
    rp_word *words; // of an explanation; [word_count]
    size_t word_count;
    rp_mask_fills *masks;
    rp_entity *entities;
    rp_answer *answers;
    rp_place *places; // of the spans of entities, answers or words
    size_t count;     // of labels, masks, entities or answers
    float *vectors;   // [rows, columns]
    size_t rows, columns;
    float in_order;
    float none;         // of a question: the probability that it has no answer
    float starts, ends; // of rp_answer_logits: logarithm of the sum of exp of all logits
    void *app;          // what an application answers, which result->write knows
} rp_entry;

/* One answer on its way to JSON (json.c). */
typedef struct rp_answer_writer {
    rp_json_writer json;
    const rp_result *result;
    rp_offsets offsets;
    bool not_finite; // a number was left out that JSON cannot hold
} rp_answer_writer;

/* Writes the answer of an entry that did not fail as one value, to w->json. */
typedef void rp_answer_write(rp_answer_writer *w, const rp_entry *entry);

struct rp_result {
    rp_entry *entries; // [count]
    size_t count;
    rp_arena arena;
    float *floats; // what the run wrote; `vectors` may point into it
    /* What rp_result_json has to know of the task; the model may be closed by then. */
    rp_answer_write *write; // of an application; NULL: a task, as `head` and `many` say
    unsigned head;          // the rp_head that it needs; 0: vectors
    bool many;              // more than one answer was asked for, or a vector for each token
    bool explained;         // labels have words beside them
    rp_aggregation aggregation;
    bool *bare;         // [label_count] the label is no string in id2label; NULL: all are strings
    char **label_names; // [label_count] with `bare`
    uint32_t label_count;
};

/* A call of a task. The first fields are its arguments. */
typedef struct rp_task {
    rp_model *model;
    unsigned head;          // one bit of rp_head; 0: none needed
    const char *command;    // the task's name in the command line, for messages
    rp_answer_write *write; // of an application: how its answers become JSON; NULL: it is a task
    const void *inputs;     // [count]
    size_t count;
    rp_result **out;
    const rp_call *call; // these three by RP_TASK_PARAMS; zero: the caller gave no params
    const uint64_t *reserved;
    size_t reserved_count;
    rp_visit visit;
} rp_task;

/* Take from `params`, which may be NULL, what all params structs have. */
#define RP_TASK_PARAMS(task, params)                          \
    do {                                                      \
        if (!(params)) break;                                 \
        (task).call = (params)->call;                         \
        (task).reserved = (params)->reserved;                 \
        (task).reserved_count = RP_COUNT((params)->reserved); \
    } while (0)

/* Begin the call: check what it needs (the model, its tokenizer, the head), begin its visit (base/call.h) and
 * make an empty result. Where it fails there is nothing to end. RP_ERROR_HEAD says what the folder holds, or
 * why a head of it was left out, and which commands it can serve. */
rp_status rp_task_begin(rp_task *task, rp_error *err);

/* End it with `status`, which is returned: tell the caller that all inputs are done or, where it failed, free
 * the result. */
rp_status rp_task_end(rp_task *task, rp_status status);

/* Make an empty result of an application that needs no model: `count` entries, which `write` writes. The
 * caller owns `*out`. */
rp_status rp_result_make(size_t count, rp_answer_write *write, rp_result **out, rp_error *err);

/* entry.app of entry i, [entry.count], of a result that `write` writes, and that number. NULL: there is none.
 */
const void *rp_result_app(const rp_result *result, size_t i, rp_answer_write *write, size_t *count);

/* Give entry `i` what went wrong with its input alone. */
void rp_result_fail(rp_result *result, size_t i, const rp_error *why);

/* Note the tokens of an input, or of the longest of several of one entry, and whether they were cut. */
void rp_result_count_tokens(rp_result *result, size_t i, const rp_encoding *encoding);

/* Where `status` and `*why` are the fault of input `i`, fail its entry and return RP_OK; running out of
 * memory and the end of the call are no input's, and are passed on. */
rp_status rp_result_blame(rp_result *result, size_t i, rp_status status, const rp_error *why, rp_error *err);

/* Numbers that the model computed for input `i`. Where one is not finite its entry fails, and all of them
 * become 0, so that whoever reads them need not care. */
void rp_result_check(rp_result *result, size_t i, float *values, size_t count);

/* Copies into the result's arena. NULL, with the message, when out of memory. */
char *rp_result_text(rp_result *result, const char *data, size_t size, rp_error *err);
void *rp_result_array(rp_result *result, const void *items, size_t count, size_t size, rp_error *err);

/* Count the spans of entry `i`, entities or answers in `text`, in code points and in UTF-16 too (json.c). */
rp_status rp_result_place(rp_result *result, size_t i, rp_text text, rp_error *err);

/* The same of `count` spans of `text`, bytes; in the result's arena. NULL, with the message, when out of
 * memory. */
rp_place *rp_result_places(rp_result *result, const rp_span *spans, size_t count, rp_text text,
                           rp_error *err);

/* For rp_answer_write: a score, as rp_result_json has it; "start" and "end" of a span, as it was asked to
 * count. `key` NULL: in a list. */
void rp_answer_float(rp_answer_writer *w, const char *key, float value);
void rp_answer_span(rp_answer_writer *w, rp_span bytes, const rp_place *place);

/* RP_ERROR_UNSUPPORTED when the tokenizer gives the texts of a pair a type that the model has none for. */
rp_status rp_task_check_pairs(const rp_model *model, rp_error *err);

/* Tokenize a text of the task, or a pair of them, for the model, unless the call is to end. RP_ERROR_TEXT,
 * too, when it holds a token that the model has no embedding for. */
rp_status rp_task_tokenize(const rp_model *model, rp_text text, rp_text pair,
                           const rp_tokenize_params *params, rp_encoding *out, rp_error *err);

/* The same as rp_embed does it, without a prompt: stripped, in lower case where the folder says so, and cut
 * to `max_tokens` or, where rp_embed takes fewer, to that; 0: to that (embed.c). */
rp_status rp_embed_tokenize(const rp_model *model, rp_text text, uint32_t max_tokens, rp_encoding *out,
                            rp_error *err);

/* rp_answer_questions with logits for scores, of a start plus of an end, also entry.none; sets entry.starts
 * and .ends. So the scores of several contexts can be compared. */
rp_status rp_answer_logits(rp_model *model, const rp_question *questions, size_t count,
                           const rp_answer_params *params, rp_result **out, rp_error *err);

/* ---- sequences (tokenized.c) ---- */

/* Tokenized texts, each a sequence of one run. Zero-initialise; rp_tokenized_finish. */
typedef struct rp_tokenized {
    rp_encoding *encodings; // [count]
    rp_sequence *sequences; // [count] views of the encodings
    size_t *entries;        // [count] the input that each belongs to
    size_t count, encoding_capacity, sequence_capacity, entry_capacity;
    uint32_t max_tokens; // longest sequence, special tokens included; 0: rp_task_max_tokens
    uint32_t patience;   // of the run (rp_run_params.patience)
    bool partial;        // the last input has more sequences, which are run later
} rp_tokenized;

/* The longest input that the model and its tokenizer take, special tokens included. */
uint32_t rp_task_max_tokens(const rp_model *model);

/* Add an encoding that belongs to input `entry`. `tokenized` owns its arrays then, and `*encoding` is zeroed;
 * on failure too. */
rp_status rp_tokenized_push(rp_tokenized *tokenized, size_t entry, rp_encoding *encoding, rp_error *err);

/* Tokenize `text` (and `pair`, unless its data is NULL) of input `entry`, cut to the longest input, and add
 * it. A text that cannot be used fails its entry of `result`, adds nothing, and returns RP_OK. */
rp_status rp_tokenized_add(rp_tokenized *tokenized, const rp_model *model, rp_text text, rp_text pair,
                           size_t entry, rp_result *result, rp_error *err);

/* Run every sequence, and check what comes out (rp_result_check). `*out` (malloc, owned by the caller) gets
 * the output. No sequences: RP_OK and NULL. */
rp_status rp_tokenized_run(const rp_tokenized *tokenized, rp_model *model, rp_output output,
                           rp_result *result, float **out, rp_error *err);

/* Drop the sequences from number `count` on. */
void rp_tokenized_cut(rp_tokenized *tokenized, size_t count);

void rp_tokenized_finish(rp_tokenized *tokenized);

/* ---- windows (windows.c) ---- */

/* A part of a long text that the model reads at once, such as [CLS] text [SEP], or [CLS] lead [SEP] text
 * [SEP]. */
typedef struct rp_window {
    size_t entry;                       // the input that it belongs to
    const struct rp_template *template; // the tokenizer's, for one text or for two
    const rp_encoding *lead;            // what stands before every window of it; NULL: nothing
    const rp_encoding *text;            // the whole text, without special tokens, as `lead`
    uint32_t first, count;              // the tokens of `text` in this window
    uint32_t at;                        // where the first of them stands in the sequence
    uint32_t size;                      // tokens of the sequence
    bool last;                          // no window of the same input follows
} rp_window;

/* Zero-initialise; free `items`. The encodings are borrowed. */
typedef struct rp_windows {
    rp_window *items; // [count]
    size_t count, capacity;
} rp_windows;

/* Cut `text` into windows of at most `max_tokens` tokens, special ones and `lead` included, where neighbours
 * share `stride` tokens, or half of the room there is where that is less. A text without tokens is one
 * window. RP_ERROR_TEXT when `lead` leaves no room. */
rp_status rp_windows_add(rp_windows *windows, const rp_model *model, size_t entry, const rp_encoding *lead,
                         const rp_encoding *text, uint32_t max_tokens, uint32_t stride, rp_error *err);

/* How many windows it makes of a text of so many tokens, with the tokenizer of the folder `dir`. */
rp_status rp_windows_count(const rp_tokenizer *tokenizer, const char *dir, const rp_encoding *lead,
                           size_t tokens, uint32_t max_tokens, uint32_t stride, uint64_t *out, rp_error *err);

/* Write the sequence of a window, special tokens and all, to `ids` and `types`, [window->size] each; `typed`:
 * types are the template's, else 0. Returns what follows it in `ids`. */
int32_t *rp_window_write(const rp_window *window, bool typed, int32_t *ids, int32_t *types);

/* Takes what the model computed for a window: `rows` are [size, columns] or, for RP_OUTPUT_CLASSES,
 * [columns]. Called in order. */
typedef rp_status (*rp_window_read)(void *task, const rp_window *window, const float *rows, rp_error *err);

/* Run `output`, which has a row for each token or is RP_OUTPUT_CLASSES, on every window, one submission's
 * worth at a time, and check what comes out (rp_result_check). */
rp_status rp_windows_run(const rp_windows *windows, rp_model *model, rp_output output, rp_result *result,
                         rp_window_read read, void *task, rp_error *err);

/* ---- labels of texts of any length (scorer.c) ---- */

/* Inputs whose labels are scored in one go. Set the first five fields; rp_scorer_finish. */
typedef struct rp_scorer {
    rp_model *model;
    rp_result *result;
    rp_long_texts how;          // RP_LONG_CUT: of the one window that is left of a cut text
    uint32_t stride;            // as rp_windows_add has it
    bool parts;                 // inputs are parts of entries, whose tokens are counted already
    rp_encoding *texts, *leads; // [count] ids alone; a lead without ids: the input is no pair
    size_t *entries, *tags;     // [count]
    size_t count, text_capacity, lead_capacity, entry_capacity, tag_capacity;
    size_t tokens; // of all texts
} rp_scorer;

/* Tokenize an input whole, which belongs to `entry` of the result, and keep `tag` with it. An input that
 * cannot be used fails its entry, adds nothing, and returns RP_OK. */
rp_status rp_scorer_add(rp_scorer *scorer, const rp_input *input, size_t entry, size_t tag, rp_error *err);

/* Score all of them. `*out`, [count, labels], is the caller's (free); behind it stand, [count, labels], the
 * means over the windows. */
rp_status rp_scorer_run(const rp_scorer *scorer, float **out, rp_error *err);

/* Forget the inputs; and all. */
void rp_scorer_clear(rp_scorer *scorer);
void rp_scorer_finish(rp_scorer *scorer);

/* Logits become what rp_label.score is, in place (labels.c). */
void rp_label_scores(const rp_model_info *info, float *logits);

/* Make the labels of entry `i`, best first, of their names and scores, [count]; of equal ones by `others`,
 * which may be NULL, and then by their rows (labels.c). */
rp_status rp_rank_labels(const char *const *names, uint32_t count, const float *scores, const float *others,
                         uint32_t top_k, rp_result *result, size_t i, rp_error *err);

/* Say which words of each input speak for its best label (explain.c). `read`: what the model has read of each
 * text. */
rp_status rp_explain(rp_model *model, const rp_input *inputs, const rp_span *read, size_t count,
                     uint32_t most_parts, rp_result *result, rp_error *err);

/* ---- scores (scores.c): computed in double, as sums of many small terms must not depend on their order ----
 */

/* values[i] = exp(values[i]) / sum of exp. */
void rp_softmax(float *values, size_t count);
float rp_sigmoid(float value);

/* How far the probabilities of `count` labels are from being equal: 1 - count * their geometric mean; `logs`
 * is the sum of log(probability + RP_CERTAINTY_LEAST). That is 1 - 1 / e to the power of what the energy (the
 * logarithm of the sum of exp of all logits) is above that of equal logits. It tells what no label is for
 * better than the largest probability does (tools/models/QUALITY.md), and like that one is 0 when nothing is
 * known and at most 1. */
float rp_certainty(double logs, size_t count);
#define RP_CERTAINTY_LEAST 1e-30

/* The place of the largest value, the first of equals. */
uint32_t rp_argmax(const float *values, uint32_t count);

/* The best `room` of a stream of scores; of equal scores the one with the lower key is better. */
typedef struct rp_scored {
    float score;
    uint64_t key;
} rp_scored;

typedef struct rp_best {
    rp_scored *items; // [count] a heap, worst first, until it is sorted
    size_t count, room;
} rp_best;

void rp_best_offer(rp_best *best, float score, uint64_t key);
void rp_best_sort(rp_best *best); // best first; offer no more then

#endif
