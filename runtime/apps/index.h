/* An open index, and what tells whether a model made it. */
#ifndef RP_APPS_INDEX_H
#define RP_APPS_INDEX_H

#include "apps/index_file.h"
#include "apps/scan.h"
#include "model/model.h"

struct rp_index {
    rp_index_file file;
    rp_index_info info;
    rp_scan *scan;  /* NULL: the processor searches */
    rp_turns turns; /* of searches: the thread that has the turn uses `scan` */
    rp_gate gate;   /* calls on this index are inside */
    long owner;
};

/* A number of what decides which vectors a model makes: its shape, its pooling, and a sample of its weights,
 * of every layer. Not 0. The caller keeps the model open. */
uint64_t rp_index_identify(const rp_model *model);

/* The last part of its folder's name, cut to fit; bytes that are not UTF-8 are question marks. */
void rp_index_name(const rp_model *model, char out[RP_INDEX_NAME]);

/* The prompt that rp_embed puts before texts with these params; "": none. */
const char *rp_index_prompt(const rp_model *model, const rp_embed_params *params);

#endif
