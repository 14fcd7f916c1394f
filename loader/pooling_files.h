/* What reading the files of sentence-transformers takes; for loader/pooling*.c alone. */
#ifndef RP_LOADER_POOLING_FILES_H
#define RP_LOADER_POOLING_FILES_H

#include "loader/json.h"
#include "loader/pooling.h"

/* A JSON file that is open. Zero-initialise; rp_side_file_close. */
typedef struct rp_side_file {
    char *path;
    const char *shown; /* the path, short enough for a message */
    rp_json_document document;
    const rp_json *root; /* NULL: the file does not exist */
} rp_side_file;

/* Load `dir`/`name` if it is there; it must hold a value of `type`, an object or an array. */
rp_status rp_side_file_open(const char *dir, const char *name, rp_json_type type, rp_side_file *out,
                            rp_error *err);
void rp_side_file_close(rp_side_file *file);

/* Read the weights and settings of the Dense or LayerNorm module in the folder `dir`, behind `columns`
 * columns, into `out`, whose kind is set. */
rp_status rp_module_load(const char *dir, uint32_t columns, rp_module *out, rp_arena *arena, rp_error *err);

#endif
