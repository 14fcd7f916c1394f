/* Documents and their index. The first byte chooses: an index as it is; an index whose hash is made right, so
 * that what it points to is what is looked at; a text that is cut; or lines of JSON. What opens can be
 * searched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/passages.h"
#include "fuzz.h"
#include "loader/unicode.h"

static void search(const char *path, const char *index) {
    const rp_documents_params params = {.index = index, .passage_words = 7};
    rp_documents *documents = NULL;
    rp_error err = {0};
    if (fuzz_status(rp_documents_open(path, &params, &documents, &err), &err)) {
        FUZZ_CHECK(!documents && err.message[0]);
        return;
    }
    static const rp_text questions[] = {RP_TEXT("a b owls"), RP_TEXT("the \xc3\xa9t\xc3\xa9 1 2 3")};
    for (size_t i = 0; i < 2; i++) {
        rp_passage found[8];
        size_t count;
        FUZZ_CHECK(!rp_documents_find(documents, questions[i], found, 8, &count, &err));
        for (size_t k = 0; k < count; k++) {
            FUZZ_CHECK(strlen(found[k].document) < 1 << 20);
            FUZZ_CHECK(rp_utf8_check(found[k].text.data, found[k].text.size) == found[k].text.size);
            FUZZ_CHECK(rp_utf8_check(found[k].text.data - found[k].start, (size_t)found[k].start) ==
                       found[k].start);
        }
    }
    rp_documents_close(&documents);
}

static void seal(uint8_t *image, size_t size) {
    rp_passages_header header;
    if (size < sizeof header) return;
    memcpy(&header, image, sizeof header);
    header.size = size;
    memcpy(image, &header, sizeof header);
    uint64_t *aligned = malloc(size);
    if (!aligned) return;
    memcpy(aligned, image, size);
    rp_passages_seal(aligned, size);
    memcpy(image, aligned, size);
    free(aligned);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"index", "index", "text", "a.jsonl"};
    char path[512];
    if (!size) return 0;
    const uint8_t kind = data[0] % 4;
    uint8_t *copy = malloc(size);
    if (!copy) return 0;
    memcpy(copy, data + 1, size - 1);
    if (kind == 1) seal(copy, size - 1);
    fuzz_file(names[kind], copy, size - 1);
    free(copy);
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), names[kind]);
    search(kind < 2 ? NULL : path, kind < 2 ? path : NULL);
    fuzz_file(names[kind], NULL, 0);
    return 0;
}
