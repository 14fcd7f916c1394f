#include "oracle_spiece.h"

#include <memory>
#include <string>

#include <sentencepiece_processor.h>

struct oracle_spiece {
    sentencepiece::SentencePieceProcessor processor;
    std::unique_ptr<sentencepiece::ImmutableSentencePieceText> encoded;
    std::string piece;
};

oracle_spiece *oracle_spiece_open(const void *data, size_t size) {
    auto *oracle = new oracle_spiece;
    if (oracle->processor.LoadFromSerializedProto(absl::string_view(static_cast<const char *>(data), size))
            .ok())
        return oracle;
    delete oracle;
    return nullptr;
}

void oracle_spiece_close(oracle_spiece *oracle) {
    delete oracle;
}

size_t oracle_spiece_encode(oracle_spiece *oracle, const char *text, size_t size) {
    oracle->encoded.reset(new sentencepiece::ImmutableSentencePieceText);
    if (!oracle->processor.Encode(absl::string_view(text, size), oracle->encoded->mutable_proto()).ok())
        return SIZE_MAX;
    return oracle->encoded->pieces_size();
}

const char *oracle_spiece_token(oracle_spiece *oracle, size_t i, int32_t *id, uint32_t *begin, uint32_t *end,
                                size_t *length) {
    const auto token = oracle->encoded->pieces(static_cast<int>(i));
    *id = static_cast<int32_t>(token.id());
    *begin = token.begin();
    *end = token.end();
    oracle->piece = token.piece();
    *length = oracle->piece.size();
    return oracle->piece.data();
}
