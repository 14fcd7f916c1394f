/* Labelled data for training and measuring: the rows of one file, in any order, over an index of 8 bytes a
 * row. The file itself is read a piece at a time, so that its size does not matter; SQuAD's JSON alone is
 * held whole. */
#ifndef RP_LOADER_DATA_H
#define RP_LOADER_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "loader/labels.h"
#include "reprise/tokenizer.h"

typedef enum rp_data_format {
    RP_DATA_BY_NAME = 0, /* by the end of the file's name, and of .json and .tsv by what they begin with */
    RP_DATA_TSV,         /* tabs, a header, quotes that are characters; GLUE's */
    RP_DATA_CSV,         /* a header, quotes; separated by commas, semicolons or tabs */
    RP_DATA_COLA,        /* GLUE's CoLA: no header; source, label, mark, sentence */
    RP_DATA_JSONL,       /* an object a line */
    RP_DATA_CONLL,       /* a token a line, the tag in the last column, empty lines between sentences */
    RP_DATA_SQUAD,       /* SQuAD 1.1 and 2.0 */
} rp_data_format;

typedef enum rp_data_kind {
    RP_DATA_ANY = 0, /* of params: whatever the file holds */
    RP_DATA_TEXT,    /* a text, perhaps a second one, and what they are: labels or a number */
    RP_DATA_TOKENS,  /* tokens with a tag each */
    RP_DATA_QUESTION,
    RP_DATA_CHOICES,
    RP_DATA_INSTANCE, /* of pre-training; in JSONL alone */
} rp_data_kind;

/* Tokens of which some are to be predicted: a line {"input_ids": [...], "token_type_ids": [...],
 * "masked_positions": [...], "masked_ids": [...], "order": 0}. token_type_ids and order may be missing. */
typedef struct rp_instance {
    const int32_t *ids;               /* [count] 0 or more, special tokens included */
    const int32_t *types;             /* [count] 0 or more; NULL: all 0 */
    uint32_t count;                   /* at least 1 */
    uint32_t masked;                  /* tokens to be predicted */
    const uint32_t *masked_positions; /* [masked] of ids, each once */
    const int32_t *masked_ids;        /* [masked] what stood there; below 0: not learnt */
    int32_t order;                    /* 0: in order, 1: swapped; -1: not said */
} rp_instance;

/* One row. What it points to lives until the next row is read. */
typedef struct rp_data_row {
    rp_data_kind kind;
    rp_text text;  /* the first text; of a question: the question. data NULL for tokens */
    rp_text pair;  /* the second text; of a question: the context. data NULL: none */
    rp_text id;    /* of a question, where it has one; else data NULL */
    bool labelled; /* what follows is said, be it that there are no labels, or that there is no answer */
    const rp_text *labels; /* [label_count] names, or numbers in decimal; of tokens: a tag for each */
    size_t label_count;    /* of choices: 1, the number of the right one, from 0 */
    const rp_text *items;  /* [item_count] tokens, answers or choices */
    const int64_t
        *starts; /* [item_count] of answers: the byte of the context where each begins; -1: not said */
    size_t item_count;
    rp_instance instance; /* of that kind */
} rp_data_row;

/* The zero value takes every file as it is. */
typedef struct rp_data_params {
    rp_data_format format;
    const char *text_column, *pair_column, *label_column; /* of tables, and keys of JSONL; NULL: as usual */
    rp_data_kind kind;                                    /* that every row must have */
    bool labelled;                                        /* every row must be */
    bool numbers;                                         /* the label of a text is a number */
    bool many;     /* a text has any number of labels; in a table there are commas between them */
    bool fixed;    /* who calls cannot name other columns */
    bool skip_bad; /* rows that cannot be used are counted, and are no error */
    uint32_t max_tokens, vocab_size, type_vocab_size; /* what an instance must keep to; 0: anything */
    rp_labels *labels; /* gets every label of the data, sorted; NULL: nobody wants them. Zeroed by the caller,
                          who frees it */
} rp_data_params;

typedef struct rp_data rp_data;

/* The format of that name: "tsv", "csv", "cola", "jsonl", "conll" or "squad". False: there is none. */
bool rp_data_format_of(const char *name, rp_data_format *out);

/* Read the file once: find its rows and check each of them. `params` is borrowed for the call. On success the
 * caller owns `*out`. RP_ERROR_FORMAT names the file, the line and what is wrong there; RP_ERROR_FILE,
 * RP_ERROR_HOST_MEMORY; RP_ERROR_CANCELLED and RP_ERROR_DEADLINE where the call of this thread is to end. */
rp_status rp_data_open(const char *path, const rp_data_params *params, rp_data **out, rp_error *err);
void rp_data_close(rp_data **data);

uint64_t rp_data_count(const rp_data *data);   /* good rows */
uint64_t rp_data_skipped(const rp_data *data); /* bad ones */
rp_data_kind rp_data_kind_of(const rp_data *data);

/* Read row `i` of rp_data_count, in any order; one after the other is fastest. RP_ERROR_FILE: the file is not
 * any more what it was. Used by one thread at a time. */
rp_status rp_data_read(rp_data *data, uint64_t i, rp_data_row *row, rp_error *err);

/* Close the file, and free what is held of it, until the next row is read: where many files are open. */
void rp_data_rest(rp_data *data);

/* The line of row `i`, from 1, for messages: reads the file up to there. 0 for SQuAD's JSON. */
uint64_t rp_data_line(rp_data *data, uint64_t i);

/* rp_label_map_make for the labels of this file: its message names the file and the first line that has the
 * label which is not found. */
rp_status rp_data_map_labels(rp_data *data, const rp_labels *labels, const char *const *names, uint32_t count,
                             rp_label_map *map, rp_error *err);

/* Place `i` of an order of 0..count - 1 that looks random and is the same for the same seed and epoch. Takes
 * no memory. i < count. */
uint64_t rp_data_permute(uint64_t i, uint64_t count, uint64_t seed, uint64_t epoch);

#endif
