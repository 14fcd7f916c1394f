/* The index of a checkpoint of TensorFlow, twice: the input as the whole file, and as the entries of one
 * block in a table whose checksums are right. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/crc32c.h"
#include "loader/tf_checkpoint.h"
#include "loader/tf_names.h"

enum { MOST_ENTRIES = 1 << 16 };

static size_t put_varint(unsigned char *to, size_t value) {
    size_t n = 0;
    for (; value > 127; value >>= 7) to[n++] = (unsigned char)(value & 127) | 128;
    to[n++] = (unsigned char)value;
    return n;
}

/* A block of these entries, with one restart, at `to`: the bytes it takes, without its trailer. */
static size_t put_block(unsigned char *to, const void *entries, size_t size) {
    memcpy(to, entries, size);
    memset(to + size, 0, 13);
    to[size + 4] = 1;
    uint32_t crc = rp_crc32c(to, size + 9), masked = (crc >> 15 | crc << 17) + 0xa282ead8u;
    for (int i = 0; i < 4; i++) to[size + 9 + i] = (unsigned char)(masked >> 8 * i);
    return size + 8;
}

static size_t make_table(unsigned char *to, const uint8_t *entries, size_t size) {
    static const unsigned char magic[8] = {0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb};
    unsigned char index[16] = {0, 1, 0, '~', 0}, *footer;
    size_t block = put_block(to, entries, size), at = block + 5;
    index[2] = (unsigned char)(1 + put_varint(index + 5, block));
    size_t index_block = put_block(to + at, index, 4 + (size_t)index[2]);
    footer = to + at + index_block + 5;
    memset(footer, 0, 40);
    size_t n = 2 + put_varint(footer + 2, at);
    put_varint(footer + n, index_block);
    memcpy(footer + 40, magic, 8);
    return (size_t)(footer + 48 - to);
}

static void open_file(const void *data, size_t size) {
    char path[128], name[RP_NAME_SIZE];
    rp_tf_checkpoint c;
    rp_error err = {0};
    bool transposed;
    fuzz_file("x.index", data, size);
    snprintf(path, sizeof path, "%s/x.index", fuzz_folder());
    if (fuzz_status(rp_tf_checkpoint_open(path, &c, &err), &err)) return;
    for (size_t i = 0; i < c.count; i++) {
        FUZZ_CHECK(rp_tf_checkpoint_find(&c, c.variables[i].name) == &c.variables[i]);
        FUZZ_CHECK(c.variables[i].shard < c.shards);
        for (int albert = 0; albert < 2; albert++)
            if (rp_tf_name(c.variables[i].name, albert, name, &transposed))
                FUZZ_CHECK(strlen(name) < RP_NAME_SIZE - 1);
    }
    rp_tf_checkpoint_close(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static unsigned char table[MOST_ENTRIES + 256];
    open_file(data, size);
    if (size <= MOST_ENTRIES) open_file(table, make_table(table, data, size));
    return 0;
}
