/* Labelled data. The first byte says the format, the second what is asked of the rows; the rest is the file.
 * Every good row can be read, in any order, and is what the pass over the file found. */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"

#include "loader/data.h"

/* A sum over all that a row points to. */
static uint64_t sum_of(const rp_data_row *row) {
    uint64_t sum = row->kind + 7 * row->labelled;
    const rp_text *lists[] = {&row->text, &row->pair, &row->id, row->labels, row->items};
    const size_t counts[] = {1, 1, 1, row->label_count, row->item_count};
    for (size_t l = 0; l < 5; l++)
        for (size_t i = 0; i < counts[l]; i++)
            for (size_t k = 0; k < lists[l][i].size; k++)
                sum = 31 * sum + (unsigned char)lists[l][i].data[k] + l;
    for (size_t i = 0; row->starts && i < row->item_count; i++) {
        if (row->starts[i] < 0) continue;
        FUZZ_CHECK((size_t)row->starts[i] + row->items[i].size <= row->pair.size);
        FUZZ_CHECK(!memcmp(row->pair.data + row->starts[i], row->items[i].data, row->items[i].size));
    }
    const rp_instance *in = &row->instance;
    for (uint32_t i = 0; i < in->count; i++)
        sum = 31 * sum + (uint32_t)in->ids[i] + (in->types ? (uint32_t)in->types[i] : 0);
    for (uint32_t i = 0; i < in->masked; i++) {
        FUZZ_CHECK(in->masked_positions[i] < in->count);
        sum = 31 * sum + in->masked_positions[i] + (uint32_t)in->masked_ids[i];
    }
    return sum + (uint32_t)in->order;
}

static void read_rows(rp_data *data) {
    uint64_t sums[64], count = rp_data_count(data);
    rp_data_row row;
    rp_error err;
    FUZZ_CHECK(count > 0);
    if (count > 64) count = 64;
    for (uint64_t i = 0; i < count; i++) {
        FUZZ_CHECK(!rp_data_read(data, i, &row, &err));
        FUZZ_CHECK(row.kind == rp_data_kind_of(data));
        sums[i] = sum_of(&row);
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = rp_data_permute(i, count, 3, 1);
        FUZZ_CHECK(!rp_data_read(data, at, &row, &err));
        FUZZ_CHECK(sums[at] == sum_of(&row));
    }
    rp_data_line(data, count - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"a.json", "a.tsv", "a.csv", "a.cola", "a.jsonl", "a.conll", "b.json"};
    if (size < 2) return 0;
    uint8_t format = data[0] % 7, asked = data[1];
    rp_labels labels = {0};
    rp_data_params params = {.format = (rp_data_format)format,
                             .labelled = asked & 1,
                             .numbers = asked & 2,
                             .many = asked & 4,
                             .skip_bad = asked & 8,
                             .labels = asked & 16 ? &labels : NULL,
                             .label_column = asked & 32 ? "l" : NULL};
    char path[512];
    fuzz_file(names[format], data + 2, size - 2);
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), names[format]);
    rp_data *rows = NULL;
    rp_error err = {0};
    rp_status status = fuzz_status(rp_data_open(path, &params, &rows, &err), &err);
    if (status)
        FUZZ_CHECK(!rows && err.message[0]);
    else
        read_rows(rows);
    rp_data_close(&rows);
    rp_labels_finish(&labels);
    return 0;
}
