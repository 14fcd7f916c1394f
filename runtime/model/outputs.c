/* What a model is, and which outputs it has. */
#include "model/model.h"

const rp_model_info *rp_model_get_info(const rp_model *model) {
    return model ? &model->info : NULL;
}

const rp_tokenizer *rp_model_get_tokenizer(const rp_model *model) {
    return model ? model->tokenizer : NULL;
}

unsigned rp_output_head(rp_output output) {
    static const unsigned needs[RP_OUTPUT_COUNT] = {
        [RP_OUTPUT_POOLED] = RP_HEAD_POOLER, [RP_OUTPUT_CLASSES] = RP_HEAD_CLASSIFIER,
        [RP_OUTPUT_TOKENS] = RP_HEAD_TOKENS, [RP_OUTPUT_SPANS] = RP_HEAD_SPANS,
        [RP_OUTPUT_CHOICE] = RP_HEAD_CHOICE, [RP_OUTPUT_MASKED_LM] = RP_HEAD_MASKED_LM,
        [RP_OUTPUT_ORDER] = RP_HEAD_ORDER,
    };
    return needs[output];
}

bool rp_output_available(const rp_model *model, rp_output output) {
    if ((unsigned)output >= RP_OUTPUT_COUNT) return false;
    unsigned head = rp_output_head(output);
    return (model->info.heads & head) == head;
}

uint32_t rp_output_width(const rp_model *model, rp_output output) {
    switch (output) {
    case RP_OUTPUT_CLASSES:
    case RP_OUTPUT_TOKENS:
        return model->config.label_count;
    case RP_OUTPUT_SPANS:
    case RP_OUTPUT_ORDER:
        return 2;
    case RP_OUTPUT_CHOICE:
        return 1;
    case RP_OUTPUT_MASKED_LM:
        return model->config.vocab_size;
    default:
        return model->config.hidden_size;
    }
}

rp_count rp_output_rows(rp_output output) {
    switch (output) {
    case RP_OUTPUT_HIDDEN:
    case RP_OUTPUT_TOKENS:
    case RP_OUTPUT_SPANS:
        return RP_COUNT_TOKENS;
    case RP_OUTPUT_MASKED_LM:
        return RP_COUNT_ROWS;
    default:
        return RP_COUNT_SEQUENCES;
    }
}
