/* The inputs of the command: JSON lines and plain ones. The first byte chooses the shape and the kind. */
#define _GNU_SOURCE
#include "tools/cli/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "loader/json_read.h"

/* Sanitizers look at every byte that is read. */
static void read_all(rp_text text) {
    volatile unsigned char byte;
    for (size_t i = 0; i < text.size; i++) byte = (unsigned char)text.data[i];
    (void)byte;
}

/* What is kept of an object are members of one. */
static void look_at_kept(const rp_cli_item *item) {
    rp_cli_buffer object = {0};
    rp_json_document document;
    rp_json_mistake mistake;
    const rp_json_flags flags = {.nul = true, .large = true};
    rp_cli_puts(&object, "{");
    rp_cli_put(&object, item->before, item->before_size);
    rp_cli_puts(&object, "}");
    FUZZ_CHECK(rp_json_read(object.data, object.size, flags, &document, &mistake));
    FUZZ_CHECK(document.root.count <= item->document.root.count);
    rp_json_finish(&document);
    free(object.data);
}

static void look(const rp_cli_item *item) {
    if (item->before) look_at_kept(item);
    if (item->failed) {
        FUZZ_CHECK(memchr(item->error, 0, sizeof item->error) && item->error[0]);
        return;
    }
    FUZZ_CHECK(item->text.data);
    read_all(item->text);
    read_all(item->pair);
    for (size_t i = 0; i < item->choice_count; i++) read_all(item->choices[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { BATCH = 3, BATCH_TOKENS = 128 };
    static const rp_cli_shape shapes[] = {RP_CLI_SHAPE_TEXT, RP_CLI_SHAPE_MAYBE_PAIR, RP_CLI_SHAPE_PAIR,
                                          RP_CLI_SHAPE_QUESTION, RP_CLI_SHAPE_CHOICES};
    static int fd = -1;
    if (!size) return 0;
    if (fd < 0) fd = memfd_create("input", MFD_CLOEXEC);
    if (ftruncate(fd, 0) || pwrite(fd, data + 1, size - 1, 0) != (ssize_t)size - 1) exit(1);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const char *const files[] = {path};
    rp_cli_options options = {.files = files, .file_count = 1, .jsonl = data[0] & 1, .pair = data[0] & 2};
    options.keep = options.jsonl && data[0] >= 128;
    rp_cli_input input;
    rp_cli_items items = {0};
    bool failed = false;
    if (rp_cli_input_open(&input, "fuzz", shapes[data[0] / 4 % 5], &options)) exit(1);
    for (size_t seen = 0; rp_cli_input_batch(&input, &items, BATCH, BATCH_TOKENS, &failed);) {
        FUZZ_CHECK(items.count > 0 && items.count <= BATCH);
        for (size_t i = 0; i < items.count; i++) {
            FUZZ_CHECK(items.list[i].number == ++seen);
            look(&items.list[i]);
        }
        rp_cli_items_clear(&items);
    }
    free(items.list);
    FUZZ_CHECK(!failed && input.ended);
    rp_cli_input_close(&input);
    return 0;
}
