/* The labels that data have, and the rows of a classifier that they stand for. */
#ifndef RP_LOADER_LABELS_H
#define RP_LOADER_LABELS_H

#include "base/alloc.h"
#include "reprise/tokenizer.h"

enum { RP_LABELS_MAX = 65536, RP_LABEL_BYTES_MAX = 4096 };

/* Different labels. Zero-initialise; rp_labels_finish. */
typedef struct rp_labels {
    const char **names; /* [count] each NUL-terminated; by their bytes until rp_labels_sort */
    size_t count, capacity;
    rp_arena arena;
} rp_labels;

/* RP_ERROR_FORMAT, without a file, for a label that is empty, too long or holds a NUL. */
rp_status rp_label_check(rp_text label, rp_error *err);

/* Add a label, which rp_label_check has passed, unless it is there. RP_ERROR_UNSUPPORTED when there are too
 * many; RP_ERROR_HOST_MEMORY. */
rp_status rp_labels_add(rp_labels *labels, rp_text label, rp_error *err);

/* In the order in which they are numbered: whole numbers by their value when all are, else by their bytes.
 * Add no more then. */
void rp_labels_sort(rp_labels *labels);
void rp_labels_finish(rp_labels *labels);

/* From a label to its row. Zero-initialise; rp_label_map_finish. */
typedef struct rp_label_map {
    uint32_t *order; /* [count] rows, by name; NULL: labels are the numbers of rows */
    const char *const *names;
    uint32_t count;
} rp_label_map;

/* Find every label of `labels` among the `count` `names`, which are borrowed as long as the map lives: by
 * name or, unless all have one, by number. RP_ERROR_FORMAT, without a file, names a label that is neither,
 * which is `*missing` then (one of `labels`; NULL: nobody asks). */
rp_status rp_label_map_make(rp_label_map *map, const rp_labels *labels, const char *const *names,
                            uint32_t count, const char **missing, rp_error *err);

/* UINT32_MAX: there is none. */
uint32_t rp_label_map_find(const rp_label_map *map, rp_text label);
void rp_label_map_finish(rp_label_map *map);

/* How many bytes of `label` to print with "%.*s": never half of a UTF-8 character. */
int rp_label_fit(rp_text label);

/* A whole number of decimal digits, at most `most`; false: it is none. */
bool rp_label_whole(rp_text label, uint32_t most, uint32_t *out);

/* A finite number as JSON, Python and C write it. RP_ERROR_FORMAT, without a file: it is none;
 * RP_ERROR_HOST_MEMORY. */
rp_status rp_label_number(rp_text label, double *out, rp_error *err);

#endif
