/* Ids and pieces back to text. */
#include "loader/tokenizer.h"

static rp_status check_decoder(const rp_tokenizer *t, rp_error *err) {
    if (!t->decoder.unsupported) return RP_OK;
    return rp_fail(err, RP_ERROR_UNSUPPORTED,
                   "%s/%s: decoder.type: the decoder \"%.*s\" is not supported: tokens cannot be made text "
                   "again",
                   rp_path_shown(t->dir), t->file, rp_text_fit(t->decoder.unsupported, 40),
                   t->decoder.unsupported);
}

rp_status rp_tokenizer_join(const rp_tokenizer *t, const rp_text *pieces, size_t count, char **out,
                            rp_error *err) {
    size_t size = 0;
    *out = NULL;
    rp_status status = check_decoder(t, err);
    return status ? status : rp_decode(&t->decoder, pieces, count, out, &size, err);
}

rp_status rp_tokenizer_decode(const rp_tokenizer *tokenizer, const int32_t *ids, size_t count,
                              bool skip_special_tokens, char **out, rp_error *err) {
    if (out) *out = NULL;
    if (!tokenizer || !out || (!ids && count))
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_tokenizer_decode: the tokenizer, ids or out is NULL");
    rp_status status = check_decoder(tokenizer, err);
    rp_text *pieces = status ? NULL : rp_new_array(rp_text, count);
    if (!status && !pieces) status = rp_fail_memory(err, "the pieces of a text", count * sizeof *pieces);
    size_t kept = 0, size = 0;
    for (size_t i = 0; !status && i < count; i++) {
        const char *piece = rp_tokenizer_piece(tokenizer, ids[i]);
        if (ids[i] < 0)
            status =
                rp_fail(err, RP_ERROR_ARGUMENT, "id %zu to decode is %d; ids are from 0 on", i, (int)ids[i]);
        if (!piece) continue; /* nothing has this id */
        rp_text text = {piece, strlen(piece)};
        if (skip_special_tokens && rp_added_skipped(&tokenizer->added, text.data, text.size)) continue;
        pieces[kept++] = text;
    }
    if (!status) status = rp_decode(&tokenizer->decoder, pieces, kept, out, &size, err);
    if (!status && tokenizer->clean_up) rp_decode_clean_up(*out, &size);
    free(pieces);
    return status;
}

void rp_string_free(char **string) {
    if (!string) return;
    free(*string);
    *string = NULL;
}
