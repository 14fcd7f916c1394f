/* Tokenizers, and what opens from records. */
#include "bridge.h"

#include <stdlib.h>

/* Records: a name, the memory or 0, the size, the offset and the descriptor of each. The caller frees the
 * array. */
static rp_record *read_records(rp_java_in *in, size_t *count, rp_error *err) {
    *count = rp_java_count(in, 32);
    rp_record *records = rp_java_array(*count, sizeof *records, err);
    for (size_t i = 0; records && i < *count; i++) {
        records[i].name = rp_java_name(in);
        records[i].memory = rp_java_handle(in);
        records[i].size = (uint64_t)rp_java_i64(in);
        records[i].offset = (uint64_t)rp_java_i64(in);
        records[i].descriptor = rp_java_i32(in);
    }
    return records;
}

rp_status rp_java_model_open_records(rp_java_call *c, rp_error *err) {
    rp_device *device = rp_java_handle(&c->in);
    rp_model_params params = {.call = c->call};
    params.max_batch_tokens = (uint32_t)rp_java_i32(&c->in);
    params.precision = (rp_precision)rp_java_i32(&c->in);
    params.head = (rp_head)rp_java_i32(&c->in);
    size_t count;
    rp_model *model = NULL;
    rp_record *records = read_records(&c->in, &count, err);
    if (!records) return err->status;
    rp_status status = rp_java_done(&c->in, err);
    if (!status) status = rp_model_open_records(device, records, count, &params, &model, err);
    free(records);
    if (!status) rp_java_put_handle(&c->out, model);
    return status;
}

rp_status rp_java_tokenizer_open(rp_java_call *c, rp_error *err) {
    const char *dir = rp_java_name(&c->in);
    rp_tokenizer *tokenizer = NULL;
    if (rp_java_done(&c->in, err) || rp_tokenizer_open(dir, &tokenizer, err)) return err->status;
    rp_java_put_handle(&c->out, tokenizer);
    return RP_OK;
}

rp_status rp_java_tokenizer_open_records(rp_java_call *c, rp_error *err) {
    size_t count;
    rp_tokenizer *tokenizer = NULL;
    rp_record *records = read_records(&c->in, &count, err);
    if (!records) return err->status;
    rp_status status = rp_java_done(&c->in, err);
    if (!status) status = rp_tokenizer_open_records(records, count, &tokenizer, err);
    free(records);
    if (!status) rp_java_put_handle(&c->out, tokenizer);
    return status;
}

rp_status rp_java_tokenizer_close(rp_java_call *c, rp_error *err) {
    rp_tokenizer *tokenizer = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    rp_tokenizer_close(&tokenizer);
    return RP_OK;
}

rp_status rp_java_tokenizer_info(rp_java_call *c, rp_error *err) {
    const rp_tokenizer *tokenizer = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    const rp_special_ids ids = rp_tokenizer_special_ids(tokenizer);
    rp_java_put_i32(&c->out, (int32_t)rp_tokenizer_vocab_size(tokenizer));
    rp_java_put_i32(&c->out, (int32_t)rp_tokenizer_max_tokens(tokenizer));
    rp_java_put_i32(&c->out, ids.cls);
    rp_java_put_i32(&c->out, ids.sep);
    rp_java_put_i32(&c->out, ids.mask);
    rp_java_put_i32(&c->out, ids.pad);
    rp_java_put_i32(&c->out, ids.unk);
    return RP_OK;
}

rp_status rp_java_tokenizer_piece(rp_java_call *c, rp_error *err) {
    const rp_tokenizer *tokenizer = rp_java_handle(&c->in);
    const int32_t id = rp_java_i32(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    rp_java_put_name(&c->out, rp_tokenizer_piece(tokenizer, id));
    rp_java_put_i32(&c->out, rp_tokenizer_is_special(tokenizer, id));
    return RP_OK;
}

rp_status rp_java_tokenize(rp_java_call *c, rp_error *err) {
    const rp_tokenizer *tokenizer = rp_java_handle(&c->in);
    rp_tokenize_params params = {0};
    params.no_special_tokens = rp_java_bool(&c->in);
    params.max_tokens = (uint32_t)rp_java_i32(&c->in);
    params.truncation = (rp_truncation)rp_java_i32(&c->in);
    const rp_text text = rp_java_text(&c->in), pair = rp_java_text(&c->in);
    rp_encoding made;
    if (rp_java_done(&c->in, err) || rp_tokenize(tokenizer, text, pair, &params, &made, err))
        return err->status;
    rp_java_put_i32(&c->out, (int32_t)made.count);
    rp_java_put_i32(&c->out, (int32_t)made.left_out);
    for (size_t i = 0; i < made.count; i++) {
        rp_java_put_i32(&c->out, made.ids[i]);
        rp_java_put_i32(&c->out, made.type_ids[i]);
        rp_java_put_span(&c->out, made.offsets[i]);
        rp_java_put_i32(&c->out, made.sequence[i]);
        rp_java_put_i32(&c->out, made.words[i]);
    }
    rp_encoding_free(&made);
    return RP_OK;
}

rp_status rp_java_decode(rp_java_call *c, rp_error *err) {
    const rp_tokenizer *tokenizer = rp_java_handle(&c->in);
    const bool skip = rp_java_bool(&c->in);
    const size_t count = rp_java_count(&c->in, 4);
    int32_t *ids = rp_java_array(count, sizeof *ids, err);
    if (!ids) return err->status;
    for (size_t i = 0; i < count; i++) ids[i] = rp_java_i32(&c->in);
    char *text = NULL;
    rp_status status = rp_java_done(&c->in, err);
    if (!status) status = rp_tokenizer_decode(tokenizer, ids, count, skip, &text, err);
    free(ids);
    if (!status) rp_java_put_name(&c->out, text);
    rp_string_free(&text);
    return status;
}
