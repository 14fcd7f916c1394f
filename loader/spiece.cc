// The only C++ of the loader: libsentencepiece behind C functions. No exception leaves this file.
#include "loader/spiece.h"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include <sentencepiece_processor.h>

struct rp_spiece {
    sentencepiece::SentencePieceProcessor processor;
    std::string path;
};

// That `act` failed on valid UTF-8: the file's doing, however it got past its checks.
static rp_status fail_with(const rp_spiece *spiece, const char *act, const char *why, rp_error *err) {
    return rp_fail(err, RP_ERROR_FORMAT,
                   "%s: libsentencepiece cannot %s with it (%s); take a fresh copy of the file",
                   spiece->path.c_str(), act, why);
}

rp_status rp_spiece_open(const char *path, const void *data, size_t size, rp_spiece **out, rp_error *err) {
    rp_spiece *spiece = nullptr;
    try {
        spiece = new rp_spiece;
        spiece->path = path;
        const auto status = spiece->processor.LoadFromSerializedProto(
            absl::string_view(static_cast<const char *>(data), size));
        if (status.ok()) {
            *out = spiece;
            return RP_OK;
        }
        delete spiece;
        return rp_fail(err, RP_ERROR_FORMAT, "%s: %s; take a fresh copy of the file", path,
                       status.error_message());
    } catch (const std::bad_alloc &) {
        delete spiece;
        return rp_fail_memory(err, path, size);
    } catch (const std::exception &e) {
        delete spiece;
        return rp_fail(err, RP_ERROR_FORMAT, "%s: %s; take a fresh copy of the file", path, e.what());
    } catch (...) {
        delete spiece;
        return rp_fail(err, RP_ERROR_FORMAT, "%s: libsentencepiece cannot load it; take a fresh copy", path);
    }
}

void rp_spiece_close(rp_spiece *spiece) {
    delete spiece;
}

static rp_status copy_tokens(const sentencepiece::ImmutableSentencePieceText &encoded, rp_spiece_tokens *out,
                             rp_error *err) {
    const size_t count = encoded.pieces_size();
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += encoded.pieces(static_cast<int>(i)).piece().size();
    out->items = static_cast<rp_spiece_token *>(calloc(count ? count : 1, sizeof *out->items));
    out->text = static_cast<char *>(malloc(bytes ? bytes : 1));
    if (!out->items || !out->text) {
        rp_spiece_tokens_finish(out);
        return rp_fail_memory(err, "the pieces of a text", count * sizeof *out->items + bytes);
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const auto piece = encoded.pieces(static_cast<int>(i));
        const std::string &text = piece.piece();
        memcpy(out->text + at, text.data(), text.size());
        out->items[i] = {static_cast<int32_t>(piece.id()), piece.begin(), piece.end(), at, text.size()};
        at += text.size();
    }
    out->count = count;
    return RP_OK;
}

rp_status rp_spiece_encode(const rp_spiece *spiece, const char *text, size_t size, rp_spiece_tokens *out,
                           rp_error *err) {
    *out = {};
    try {
        sentencepiece::ImmutableSentencePieceText encoded;
        const auto status = spiece->processor.Encode(absl::string_view(text, size), encoded.mutable_proto());
        if (!status.ok()) return fail_with(spiece, "encode a text", status.error_message(), err);
        return copy_tokens(encoded, out, err);
    } catch (const std::bad_alloc &) {
        return rp_fail_memory(err, "encoding a text", size);
    } catch (const std::exception &e) {
        return fail_with(spiece, "encode a text", e.what(), err);
    } catch (...) {
        return fail_with(spiece, "encode a text", "an unknown exception", err);
    }
}

void rp_spiece_tokens_finish(rp_spiece_tokens *tokens) {
    free(tokens->items);
    free(tokens->text);
    *tokens = {};
}

rp_status rp_spiece_decode(const rp_spiece *spiece, const rp_text *pieces, size_t count, char **out,
                           size_t *size, rp_error *err) {
    try {
        std::vector<std::string> list;
        list.reserve(count);
        for (size_t i = 0; i < count; i++) list.emplace_back(pieces[i].data, pieces[i].size);
        std::string text;
        const auto status = spiece->processor.Decode(list, &text);
        if (!status.ok()) return fail_with(spiece, "decode tokens", status.error_message(), err);
        *out = static_cast<char *>(malloc(text.size() + 1));
        if (!*out) return rp_fail_memory(err, "a text", text.size() + 1);
        memcpy(*out, text.c_str(), text.size() + 1);
        *size = text.size();
        return RP_OK;
    } catch (const std::bad_alloc &) {
        return rp_fail_memory(err, "decoding tokens", count);
    } catch (const std::exception &e) {
        return fail_with(spiece, "decode tokens", e.what(), err);
    } catch (...) {
        return fail_with(spiece, "decode tokens", "an unknown exception", err);
    }
}
