/* What a model is, and which outputs it has. */
#include "model/model.h"

const rp_model_info *rp_model_get_info(const rp_model *model) {
    return model ? &model->info : NULL;
}

const rp_tokenizer *rp_model_get_tokenizer(const rp_model *model) {
    return model ? model->tokenizer : NULL;
}

/* Of each output: the bit of rp_head that it needs, what it has a row for, and the columns of a row. */
enum { HIDDEN, LABELS, VOCABULARY, ONE, TWO };
static const struct {
    unsigned head;
    rp_count rows;
    int columns;
} outputs[RP_OUTPUT_COUNT] = {[RP_OUTPUT_HIDDEN] = {0, RP_COUNT_TOKENS, HIDDEN},
                              [RP_OUTPUT_CLS] = {0, RP_COUNT_SEQUENCES, HIDDEN},
                              [RP_OUTPUT_MEAN] = {0, RP_COUNT_SEQUENCES, HIDDEN},
                              [RP_OUTPUT_MAX] = {0, RP_COUNT_SEQUENCES, HIDDEN},
                              [RP_OUTPUT_POOLED] = {RP_HEAD_POOLER, RP_COUNT_SEQUENCES, HIDDEN},
                              [RP_OUTPUT_CLASSES] = {RP_HEAD_CLASSIFIER, RP_COUNT_SEQUENCES, LABELS},
                              [RP_OUTPUT_TOKENS] = {RP_HEAD_TOKENS, RP_COUNT_TOKENS, LABELS},
                              [RP_OUTPUT_SPANS] = {RP_HEAD_SPANS, RP_COUNT_TOKENS, TWO},
                              [RP_OUTPUT_CHOICE] = {RP_HEAD_CHOICE, RP_COUNT_SEQUENCES, ONE},
                              [RP_OUTPUT_MASKED_LM] = {RP_HEAD_MASKED_LM, RP_COUNT_ROWS, VOCABULARY},
                              [RP_OUTPUT_ORDER] = {RP_HEAD_ORDER, RP_COUNT_SEQUENCES, TWO}};

unsigned rp_output_head(rp_output output) {
    return outputs[output].head;
}

bool rp_output_available(const rp_model *model, rp_output output) {
    return (unsigned)output < RP_OUTPUT_COUNT && !(outputs[output].head & ~model->info.heads);
}

uint32_t rp_output_width(const rp_model *model, rp_output output) {
    const rp_config *c = &model->config;
    const uint32_t columns[] = {c->hidden_size, c->label_count, c->vocab_size, 1, 2};
    return columns[outputs[output].columns];
}

rp_count rp_output_rows(rp_output output) {
    return outputs[output].rows;
}

size_t rp_rows_of(const rp_run_params *params, size_t first, size_t i) {
    size_t end = first;
    if (rp_output_rows(params->output) != RP_COUNT_ROWS) return 0;
    while (end < params->row_count && params->rows[end].sequence == i) end++;
    return end - first;
}
