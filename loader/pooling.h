/* What sentence-transformers' side files say: modules.json, 1_Pooling/config.json, sentence_bert_config.json.
 */
#ifndef RP_LOADER_POOLING_H
#define RP_LOADER_POOLING_H

#include "reprise/tasks.h"

typedef struct rp_pooling_config {
    rp_pooling pooling;      /* RP_POOLING_MEAN when the folder does not say */
    bool normalize;          /* modules.json lists a Normalize module */
    uint32_t max_seq_length; /* 0: not given */
    bool do_lower_case;      /* sentence_bert_config.json; false when not given */
} rp_pooling_config;

/* Read them where they exist. Missing files are no error; damaged ones are, and so is a Pooling module that
 * modules.json lists without its settings. RP_ERROR_UNSUPPORTED for other modules and other ways of pooling;
 * the limits of sentence_bert_config.json are read even then. */
rp_status rp_pooling_load(const char *dir, rp_pooling_config *out, rp_error *err);

#endif
