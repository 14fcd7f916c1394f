/* An index file. The first byte says whether its checksums are made right, for what lies behind them: 0 no, 1
 * those of the head, the table and the rows, 2 those of the texts, too. Whatever opens can be searched, and
 * every answer is JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "apps/index.h"
#include "fuzz.h"

/* The bytes from `at` on, where the file has so many. */
static uint8_t *part(uint8_t *file, size_t size, uint64_t at, uint64_t bytes) {
    return at <= size && bytes <= size - at ? file + at : NULL;
}

static void right_texts(uint8_t *file, size_t size, const rp_index_head *h, uint8_t *table) {
    for (uint64_t i = 0; i < h->count; i++) {
        rp_index_entry entry, next;
        memcpy(&entry, table + i * sizeof entry, sizeof entry);
        memcpy(&next, table + (i + 1) * sizeof entry, sizeof entry);
        if (h->texts_at > size || entry.at > size || next.at < entry.at) return;
        const uint8_t *text = part(file, size, h->texts_at + entry.at, next.at - entry.at);
        if (!text) return;
        entry.check = (uint32_t)rp_index_hash(text, (size_t)(next.at - entry.at), 0);
        memcpy(table + i * sizeof entry, &entry, sizeof entry);
    }
}

static void make_right(uint8_t *file, size_t size, bool texts) {
    rp_index_head h;
    if (size < sizeof h) return;
    memcpy(&h, file, sizeof h);
    h.size = size;
    if (h.count < size && h.width < size) {
        uint8_t *table = part(file, size, h.table_at, rp_index_table_bytes(h.count)),
                *checks = part(file, size, h.checks_at, rp_index_check_bytes(h.count)),
                *rows = part(file, size, RP_INDEX_HEAD, rp_index_vector_bytes(h.count, h.width));
        if (table && texts) right_texts(file, size, &h, table);
        if (table) h.table_check = rp_index_hash(table, (size_t)rp_index_table_bytes(h.count), 0);
        if (checks && rows && h.count <= RP_INDEX_BLOCK) {
            uint64_t check = rp_index_hash(rows, (size_t)rp_index_vector_bytes(h.count, h.width), 0);
            if (h.count) memcpy(checks, &check, sizeof check);
        }
        if (checks) h.checks_check = rp_index_hash(checks, (size_t)rp_index_check_bytes(h.count), 0);
    }
    h.check = rp_index_hash(&h, offsetof(rp_index_head, check), 0);
    memcpy(file, &h, sizeof h);
}

static void check_answer(const rp_result *result) {
    rp_error err = {0};
    char *json = NULL;
    size_t bytes, count;
    FUZZ_CHECK(!rp_result_json(result, 0, NULL, &json, &bytes, &err));
    json_t *value = json_loadb(json, bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    FUZZ_CHECK(value);
    json_decref(value);
    rp_string_free(&json);
    const rp_hit *hits = rp_result_hits(result, 0, &count);
    for (size_t i = 0; i < count; i++)
        FUZZ_CHECK(isfinite(hits[i].score) && hits[i].id.data && hits[i].text.data);
}

static void use(const char *path) {
    rp_error err = {0};
    rp_index *index = NULL;
    rp_result *result = NULL;
    if (fuzz_status(rp_index_open(NULL, path, NULL, &index, &err), &err)) return;
    const rp_index_info *info = rp_index_get_info(index);
    FUZZ_CHECK(info->count && info->width && info->width <= RP_INDEX_WIDTH_MAX);
    float *query = calloc(info->width, sizeof *query);
    for (uint32_t i = 0; i < info->width; i++) query[i] = (float)i - 3;
    const rp_search_params params = {.top_k = 20};
    if (!fuzz_status(rp_search_vectors(index, query, 1, &params, &result, &err), &err)) check_answer(result);
    rp_result_free(&result);
    for (uint64_t i = 0; i < info->count && i < 40; i++) {
        rp_document document;
        fuzz_status(rp_index_document(index, i, &document, &err), &err);
        fuzz_status(rp_index_vector(index, i, query, &err), &err);
    }
    free(query);
    rp_index_close(&index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[512];
    if (!size || size > 1 << 16) return 0;
    uint8_t *file = malloc(size);
    memcpy(file, data + 1, size - 1);
    if (data[0] % 3) make_right(file, size - 1, data[0] % 3 == 2);
    fuzz_file("index", file, size - 1);
    free(file);
    snprintf(path, sizeof path, "%s/index", fuzz_folder());
    use(path);
    return 0;
}
