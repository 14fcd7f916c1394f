/* From texts to the sequences of one run. */
#include "loader/json.h"
#include "task.h"

uint32_t rp_task_max_tokens(const rp_model *model) {
    uint32_t model_takes = rp_model_get_info(model)->max_tokens;
    uint32_t tokenizer_takes = rp_tokenizer_max_tokens(rp_model_get_tokenizer(model));
    return tokenizer_takes && tokenizer_takes < model_takes ? tokenizer_takes : model_takes;
}

rp_status rp_task_tokenize(const rp_model *model, rp_text text, rp_text pair,
                           const rp_tokenize_params *params, rp_encoding *out, rp_error *err) {
    const rp_tokenizer *tokenizer = rp_model_get_tokenizer(model);
    uint32_t rows = rp_model_get_info(model)->vocab_size;
    rp_status status = rp_call_check(err);
    if (!status) status = rp_tokenize(tokenizer, text, pair, params, out, err);
    for (size_t i = 0; !status && i < out->count; i++) {
        if ((uint32_t)out->ids[i] < rows) continue;
        const char *piece = rp_tokenizer_piece(tokenizer, out->ids[i]);
        status = rp_fail(err, RP_ERROR_TEXT,
                         "the text holds the token \"%.*s\" (id %d), but the model has embeddings for %u ids "
                         "only (vocab_size of config.json): leave it out, or take a model that was trained "
                         "with it",
                         rp_text_fit(piece ? piece : "", 100), piece ? piece : "", (int)out->ids[i], rows);
        rp_encoding_free(out);
        return status;
    }
    return status;
}

rp_status rp_tokenized_push(rp_tokenized *tokenized, size_t entry, rp_encoding *encoding, rp_error *err) {
    size_t needed = tokenized->count + 1;
    if (!rp_grow((void **)&tokenized->encodings, &tokenized->encoding_capacity, needed,
                 sizeof *tokenized->encodings) ||
        !rp_grow((void **)&tokenized->sequences, &tokenized->sequence_capacity, needed,
                 sizeof *tokenized->sequences) ||
        !rp_grow((void **)&tokenized->entries, &tokenized->entry_capacity, needed,
                 sizeof *tokenized->entries)) {
        rp_encoding_free(encoding);
        return rp_fail_memory(err, "the sequences of a run", (unsigned long long)needed * sizeof *encoding);
    }
    tokenized->encodings[tokenized->count] = *encoding;
    tokenized->sequences[tokenized->count] = (rp_sequence){
        .ids = encoding->ids, .type_ids = encoding->type_ids, .count = (uint32_t)encoding->count};
    tokenized->entries[tokenized->count] = entry;
    tokenized->count = needed;
    *encoding = (rp_encoding){0};
    return RP_OK;
}

rp_status rp_tokenized_add(rp_tokenized *tokenized, const rp_model *model, rp_text text, rp_text pair,
                           size_t entry, rp_result *result, rp_error *err) {
    rp_encoding encoding = {0};
    rp_error why = {0};
    rp_tokenize_params params = {.max_tokens = tokenized->max_tokens ? tokenized->max_tokens
                                                                     : rp_task_max_tokens(model)};
    rp_status status = pair.data ? rp_task_check_pairs(model, &why) : RP_OK;
    if (!status) status = rp_task_tokenize(model, text, pair, &params, &encoding, &why);
    if (!status && !encoding.count) {
        rp_encoding_free(&encoding);
        status = rp_fail(&why, RP_ERROR_TEXT,
                         "the text has no tokens, and the tokenizer puts none around it; give it a word");
    }
    if (status) return rp_result_blame(result, entry, status, &why, err);
    rp_result_count_tokens(result, entry, &encoding);
    return rp_tokenized_push(tokenized, entry, &encoding, err);
}

rp_status rp_tokenized_run(const rp_tokenized *tokenized, rp_model *model, rp_output output,
                           rp_result *result, float **out, rp_error *err) {
    rp_run_params params = {.output = output, .patience = tokenized->patience};
    *out = NULL;
    if (!tokenized->count) return RP_OK;
    size_t floats = rp_model_output_size(model, tokenized->sequences, tokenized->count, &params);
    float *values = rp_new_array(float, floats);
    if (!values)
        return rp_fail_memory(err, "the outputs of a run", (unsigned long long)floats * sizeof(float));
    params.layers = params.patience ? rp_new_array(uint32_t, tokenized->count) : NULL;
    if (params.patience && !params.layers) {
        free(values);
        return rp_fail_memory(err, "the layers of a run", tokenized->count * sizeof *params.layers);
    }
    rp_visit *visit = rp_visit_current();
    visit->inputs = tokenized->entries;
    visit->after = tokenized->entries[tokenized->count - 1] + !tokenized->partial;
    rp_status status = rp_model_run_inside(model, tokenized->sequences, tokenized->count, &params, values,
                                           floats, NULL, err);
    for (size_t s = 0; !status && params.layers && s < tokenized->count; s++)
        result->entries[tokenized->entries[s]].layers = params.layers[s];
    free(params.layers);
    if (status) {
        free(values);
        return status;
    }
    *out = values;
    for (size_t s = 0; s < tokenized->count; s++) {
        size_t count = rp_model_output_size(model, &tokenized->sequences[s], 1, &params);
        rp_result_check(result, tokenized->entries[s], values, count);
        values += count;
    }
    return RP_OK;
}

void rp_tokenized_cut(rp_tokenized *tokenized, size_t count) {
    while (tokenized->count > count) rp_encoding_free(&tokenized->encodings[--tokenized->count]);
}

void rp_tokenized_finish(rp_tokenized *tokenized) {
    rp_tokenized_cut(tokenized, 0);
    free(tokenized->encodings);
    free(tokenized->sequences);
    free(tokenized->entries);
    *tokenized = (rp_tokenized){0};
}
