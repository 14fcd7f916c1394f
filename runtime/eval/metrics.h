/* Metrics in plain C, equal to those of the implementations that eval.h names. Nothing here knows a model. */
#ifndef RP_EVAL_METRICS_H
#define RP_EVAL_METRICS_H

#include "base/alloc.h"
#include "reprise/eval.h"

/* ---- classes (metrics.c) ---- */

/* What was said and what is right, counted for each class. Zero-initialise; rp_classes_finish. */
typedef struct rp_classes {
    uint64_t *said, *right, *both; /* [count] rows of which a class was said, is right, and both */
    uint32_t count;
    uint64_t rows, correct;
} rp_classes;

rp_status rp_classes_init(rp_classes *c, uint32_t count, rp_error *err);
void rp_classes_finish(rp_classes *c);
void rp_classes_add(rp_classes *c, uint32_t right, uint32_t said); /* a row with one label */
/* A row with any number of them: [count] each. */
void rp_classes_add_many(rp_classes *c, const bool *right, const bool *said);

double rp_accuracy(const rp_classes *c);
double rp_f1(const rp_classes *c, uint32_t positive);
double rp_f1_micro(const rp_classes *c);
double rp_f1_macro(const rp_classes *c, bool all); /* the mean of all classes, or of those that occur */
double rp_matthews(const rp_classes *c);

/* ---- numbers (metrics.c) ---- */

/* Pairs of numbers. Zero-initialise; free both. */
typedef struct rp_numbers {
    double *right, *said; /* [count] */
    size_t count, right_capacity, said_capacity;
} rp_numbers;

rp_status rp_numbers_add(rp_numbers *n, double right, double said, rp_error *err);
double rp_mean_square(const rp_numbers *n);
double rp_pearson(const double *x, const double *y, size_t count);
/* RP_ERROR_HOST_MEMORY. */
rp_status rp_spearman(const double *x, const double *y, size_t count, double *out, rp_error *err);

/* ---- tags (metrics.c) ---- */

/* How far the tags of one side are. */
typedef struct rp_chunker {
    uint32_t tag;     /* of the token before: the first character */
    const char *type; /* and what follows it, behind a dash */
    uint64_t begin;   /* of the last entity */
} rp_chunker;

/* Entities of one type. */
typedef struct rp_entity_type {
    const char *name;
    uint64_t right, said, both;
} rp_entity_type;

/* Entities on both sides. Zero-initialise; free `types`. */
typedef struct rp_entities {
    rp_entity_type *types; /* [type_count] by their names; room for type_room, and further types are not told
                              apart */
    size_t type_count, type_room;
    rp_chunker right, said;
    uint64_t at; /* tokens so far, with one between sentences */
    uint64_t right_count, said_count, both;
    uint64_t tokens, correct;
} rp_entities;

/* One token: its tags, such as "B-PER", which live as long as `e` is used. */
void rp_entities_add(rp_entities *e, const char *right, const char *said);
void rp_entities_end(rp_entities *e); /* of a sentence */

/* ---- answers (squad.c) ---- */

typedef struct rp_answer_item {
    double none; /* the score of no answer less that of the best answer */
    double f1;
    bool exact, has, empty; /* the question has an answer; the best answer has no text */
} rp_answer_item;

/* Questions and what was answered. Zero-initialise; free `items`. */
typedef struct rp_answers {
    rp_answer_item *items; /* [count] */
    size_t count, capacity;
} rp_answers;

/* Compare the best answer of a question, no answer apart, with the `count` right ones, which are UTF-8. */
rp_status rp_answers_add(rp_answers *a, const rp_text *right, size_t count, rp_text best, double none,
                         rp_error *err);

/* ---- the list of them ---- */

enum { RP_METRICS_MAX = 16 };

typedef struct rp_metrics {
    rp_metric items[RP_METRICS_MAX];
    size_t count;
} rp_metrics;

static inline void rp_metrics_add(rp_metrics *m, const char *name, double value) {
    if (m->count < RP_METRICS_MAX) m->items[m->count++] = (rp_metric){name, value};
}

/* Of SQuAD 2.0 where `none`, no answer being said where its score is above 0; else of 1.1. */
rp_status rp_answers_metrics(const rp_answers *a, bool none, rp_metrics *out, rp_error *err);

#endif
