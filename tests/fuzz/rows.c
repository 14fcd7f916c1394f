/* Rows of tables through the command: whatever they are, what is written is a table of the same shape. The
 * first byte chooses the separator and the kind of inputs; the header is a good one. */
#define _GNU_SOURCE
#include "tools/cli/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

enum { COLUMNS = 4 };

/* A file of the header and the bytes. Its name lives until the next call. */
static const char *make_file(char separator, const uint8_t *data, size_t size) {
    static int fd = -1;
    static char path[64];
    char header[64];
    int length =
        snprintf(header, sizeof header, "text%ctext_pair%cid%cchoice1\n", separator, separator, separator);
    if (fd < 0) fd = memfd_create("rows", MFD_CLOEXEC);
    if (ftruncate(fd, 0) || pwrite(fd, header, (size_t)length, 0) != length ||
        pwrite(fd, data, size, length) != (ssize_t)size)
        exit(1);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

/* Every row of what was written has the columns of the input, the answer and the error. */
static void check_table(const rp_cli_buffer *out, char separator, bool literal, size_t rows) {
    rp_table table = {.separator = separator, .literal = literal};
    rp_table_row row;
    size_t at = 0, taken;
    while (rp_table_next(&table, out->data + at, out->size - at, true, &row, &taken) == RP_TABLE_ROW) {
        FUZZ_CHECK(!row.mistake[0] && row.count == COLUMNS + 2 && rows-- > 0);
        at += taken;
    }
    FUZZ_CHECK(!rows && at == out->size);
    rp_table_finish(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const rp_cli_shape shapes[] = {RP_CLI_SHAPE_TEXT, RP_CLI_SHAPE_MAYBE_PAIR, RP_CLI_SHAPE_PAIR,
                                          RP_CLI_SHAPE_CHOICES};
    static const char separators[] = {'\t', ',', ';', '\t'};
    if (!size) return 0;
    char separator = separators[data[0] & 3];
    const char *const files[] = {make_file(separator, data + 1, size - 1)};
    rp_cli_options options = {.files = files, .file_count = 1, .csv = data[0] & 3, .tsv = !(data[0] & 3)};
    rp_cli_input input;
    rp_cli_items items = {0};
    rp_cli_buffer out = {0};
    bool failed = false;
    size_t rows = 1;
    if (rp_cli_input_open(&input, "fuzz", shapes[data[0] / 4 % 4], &options)) exit(1);
    rp_cli_put(&out, input.table->header.data, input.table->header.size);
    while (rp_cli_input_batch(&input, &items, 8, 128, &failed)) {
        for (size_t i = 0; i < items.count; i++, rows++) {
            const rp_cli_item *item = &items.list[i];
            FUZZ_CHECK(item->failed || item->text.data);
            rp_cli_table_failure(item, item->failed ? item->error : "why, \"and\"\thow", &out);
        }
        rp_cli_items_clear(&items);
    }
    FUZZ_CHECK(!failed && !out.cut);
    check_table(&out, separator, options.tsv, rows);
    free(items.list);
    free(out.data);
    rp_cli_input_close(&input);
    return 0;
}
