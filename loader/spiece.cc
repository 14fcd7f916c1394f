// The only C++ of the loader: libsentencepiece behind C functions. No exception leaves this file.
//
// The protocol buffers inside libsentencepiece do not survive it when operator new throws: their destructors
// then run over what is half made, and crash. So each call sets aside beforehand what it may need, or fails
// in order; when operator new finds no memory in spite of that, a new handler gives it back, and operator new
// tries again.
#include "loader/spiece.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include <pthread.h>
#include <sentencepiece_processor.h>

struct rp_spiece {
    sentencepiece::SentencePieceProcessor processor;
    std::string path;
};

// ---- memory that is set aside ----

namespace {

// What this thread has set aside: not in thread_local, which may itself need memory, and end the process
// without.
pthread_key_t own;
bool ready;
std::atomic<std::new_handler> other; // the program's, from before

void give_back() {
    void **reserve = static_cast<void **>(pthread_getspecific(own));
    if (reserve && *reserve) {
        free(*reserve);
        *reserve = nullptr;
    } else if (const std::new_handler next = other) {
        next();
    } else {
        throw std::bad_alloc();
    }
}

// Once, and until the library is unloaded: a handler that comes and goes would be seen by other threads.
void prepare() {
    if (pthread_key_create(&own, nullptr)) return;
    other = std::set_new_handler(give_back);
    ready = true;
}

__attribute__((destructor)) void unload() {
    if (!ready) return;
    if (std::get_new_handler() == give_back) std::set_new_handler(other);
    pthread_key_delete(own);
}

class Reserve {
  public:
    // Some of it where not all is to be had: few texts take as much as they could.
    explicit Reserve(size_t bytes) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, prepare);
        for (size_t want = bytes; ready && !memory && want >= bytes / LEAST; want /= 2) memory = malloc(want);
        set = memory && !pthread_setspecific(own, &memory);
    }
    ~Reserve() {
        if (set) pthread_setspecific(own, nullptr);
        free(memory);
    }
    Reserve(const Reserve &) = delete;
    Reserve &operator=(const Reserve &) = delete;
    bool good() const { return set; }

  private:
    enum { LEAST = 8 };
    void *memory = nullptr;
    bool set = false;
};

// Bytes. Seen at most: 57,000 for an empty vocabulary and 44 more for a byte of its file (all single
// characters), 880 for a byte of a text (U+FDFA, which is rewritten as 18 characters; 100 to 300 for others),
// 260 for a piece to decode.
enum : size_t {
    FILE_BASE = 1 << 18,
    PER_FILE_BYTE = 64,
    TEXT_BASE = 16384,
    PER_TEXT_BYTE = 1024,
    PER_TOKEN = 512,
    PER_TOKEN_BYTE = 8
};

} // namespace

// ---- the functions ----

// That `act` failed on valid UTF-8: the file's doing, however it got past its checks.
static rp_status fail_with(const rp_spiece *spiece, const char *act, const char *why, rp_error *err) {
    return rp_fail(err, RP_ERROR_FORMAT,
                   "%s: libsentencepiece cannot %s with it (%s); take a fresh copy of the file",
                   spiece->path.c_str(), act, why);
}

rp_status rp_spiece_open(const char *path, const void *data, size_t size, rp_spiece **out, rp_error *err) {
    rp_spiece *spiece = nullptr;
    const size_t bytes = FILE_BASE + PER_FILE_BYTE * size;
    const Reserve reserve(bytes);
    if (!reserve.good()) return rp_fail_memory(err, path, bytes);
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
    const size_t bytes = TEXT_BASE + PER_TEXT_BYTE * size;
    const Reserve reserve(bytes);
    *out = {};
    if (!reserve.good()) return rp_fail_memory(err, "encoding a text", bytes);
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
    size_t bytes = TEXT_BASE + PER_TOKEN * count;
    for (size_t i = 0; i < count; i++) bytes += PER_TOKEN_BYTE * pieces[i].size;
    const Reserve reserve(bytes);
    if (!reserve.good()) return rp_fail_memory(err, "decoding tokens", bytes);
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
