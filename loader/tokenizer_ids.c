/* What a tokenizer knows of ids. */
#include "loader/tokenizer.h"

uint32_t rp_tokenizer_vocab_size(const rp_tokenizer *tokenizer) {
    return tokenizer ? tokenizer->id_count : 0;
}

const char *rp_tokenizer_piece(const rp_tokenizer *tokenizer, int32_t id) {
    if (!tokenizer || id < 0) return NULL;
    const rp_added *added = rp_added_of(&tokenizer->added, id);
    if (added) return added->text;
    return (size_t)id < tokenizer->vocab.count ? tokenizer->vocab.entries[id].text : NULL;
}

bool rp_tokenizer_is_special(const rp_tokenizer *tokenizer, int32_t id) {
    return tokenizer && id >= 0 && (uint32_t)id < tokenizer->id_count && tokenizer->special[id];
}

rp_special_ids rp_tokenizer_special_ids(const rp_tokenizer *tokenizer) {
    return tokenizer ? tokenizer->ids : (rp_special_ids){-1, -1, -1, -1, -1};
}

uint32_t rp_tokenizer_max_tokens(const rp_tokenizer *tokenizer) {
    return tokenizer ? tokenizer->max_tokens : 0;
}
