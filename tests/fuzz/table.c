/* Rows of CSV and TSV. The first byte chooses the separator and whether quotes count, the second the longest
 * row, the third how the rest is cut into calls. */
#include "loader/table.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

/* What rows say, one behind the other: the same bytes for the same rows. */
typedef struct told {
    unsigned char *bytes;
    size_t size, room;
} told;

static void tell(told *out, const void *data, size_t size) {
    if (out->size + size + sizeof size > out->room) {
        out->room = 2 * (out->size + size + sizeof size);
        out->bytes = realloc(out->bytes, out->room);
        if (!out->bytes) exit(1);
    }
    memcpy(out->bytes + out->size, &size, sizeof size);
    if (size) memcpy(out->bytes + out->size + sizeof size, data, size);
    out->size += sizeof size + size;
}

static void tell_row(told *out, const rp_table_row *row) {
    tell(out, &row->line, sizeof row->line);
    tell(out, &row->offset, sizeof row->offset);
    tell(out, row->data, row->size);
    tell(out, row->mistake, strlen(row->mistake));
    if (row->mistake[0]) return;
    for (size_t i = 0; i < row->count; i++) tell(out, row->fields[i].data, row->fields[i].size);
}

/* A good row is the same when it alone is read. */
static void read_again(const rp_table *table, const uint8_t *data, size_t size, const rp_table_row *row) {
    rp_table alone = {.separator = table->separator,
                      .literal = table->literal,
                      .columns = table->columns,
                      .longest = table->longest};
    rp_table_row again;
    told once = {0}, twice = {0};
    size_t taken;
    rp_table_seek(&alone, row->offset, row->line);
    const char *from = (const char *)data + row->offset;
    FUZZ_CHECK(rp_table_next(&alone, from, size - row->offset, true, &again, &taken) == RP_TABLE_ROW);
    tell_row(&once, row);
    tell_row(&twice, &again);
    FUZZ_CHECK(once.size == twice.size && !memcmp(once.bytes, twice.bytes, once.size));
    free(once.bytes);
    free(twice.bytes);
    rp_table_finish(&alone);
}

/* Read all of data[0..size), `cut` bytes more at a time, from memory of just the size that is needed. */
static void read_all(rp_table table, const uint8_t *data, size_t size, size_t cut, told *out) {
    size_t begin = 0, end = 0, taken, again = 0;
    const size_t longest = table.longest;
    for (;;) {
        char *held = malloc(end - begin + 1);
        if (!held) exit(1);
        memcpy(held, data + begin, end - begin);
        rp_table_row row;
        rp_table_step step = rp_table_next(&table, held, end - begin, end == size, &row, &taken);
        FUZZ_CHECK(taken <= end - begin && step != RP_TABLE_MEMORY);
        begin += taken;
        if (step == RP_TABLE_ROW) {
            FUZZ_CHECK(row.size <= longest && row.offset + row.size + row.end_size <= begin);
            FUZZ_CHECK(row.mistake[0] || (row.count == table.columns && row.size));
            tell_row(out, &row);
            if (!row.mistake[0] && again++ < 8) read_again(&table, data, size, &row);
        }
        free(held);
        if (step == RP_TABLE_END) break;
        if (step != RP_TABLE_MORE) continue;
        FUZZ_CHECK(end < size && end - begin <= longest + 2);
        end = cut < size - end ? end + cut : size;
    }
    FUZZ_CHECK(begin == size && table.offset == size);
    rp_table_finish(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char separators[] = {0, ',', ';', '\t'};
    if (size < 3) return 0;
    const rp_table table = {.separator = separators[data[0] & 3],
                            .literal = data[0] & 4,
                            .columns = data[0] >> 3 & 3,
                            .longest = 4 + (size_t)data[1]};
    told whole = {0}, cut = {0};
    read_all(table, data + 3, size - 3, size, &whole);
    read_all(table, data + 3, size - 3, 1 + data[2] % 8, &cut);
    FUZZ_CHECK(whole.size == cut.size && (!whole.size || !memcmp(whole.bytes, cut.bytes, cut.size)));
    free(whole.bytes);
    free(cut.bytes);
    return 0;
}
