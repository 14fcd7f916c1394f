/* How long the sequences of bench are, and the files it reads. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The lengths of the 6735 sentences of SST-2's development set under ALBERT's vocabulary, [CLS] and [SEP]
 * included, sorted and cut to the middle of each 64th. Their mean is 14.6. */
static const uint8_t sst2[64] = {3,  4,  4,  4,  4,  4,  5,  5,  5,  5,  5,  6,  6,  6,  6,  6,
                                 7,  7,  7,  7,  8,  8,  8,  8,  9,  9,  9,  10, 10, 10, 11, 11,
                                 11, 12, 12, 12, 13, 13, 14, 14, 15, 15, 16, 16, 17, 18, 18, 19,
                                 20, 21, 21, 22, 24, 25, 26, 27, 28, 30, 32, 34, 36, 39, 43, 52};

enum { MOST_LENGTHS = 1 << 16, MOST_LENGTH = 1 << 20 };

const char *rp_cli_bench_file(const char *path) {
    return strcmp(path, "-") ? path : "standard input";
}

rp_status rp_cli_bench_read(const char *path, rp_cli_buffer *out, rp_error *err) {
    FILE *file = strcmp(path, "-") ? fopen(path, "rb") : stdin;
    char piece[65536];
    size_t n = 0;
    if (file)
        while ((n = fread(piece, 1, sizeof piece, file)) > 0) rp_cli_put(out, piece, n);
    rp_status status = RP_OK;
    if (!file || ferror(file))
        status =
            rp_fail(err, RP_ERROR_FILE, "%s: cannot be read: %s", rp_cli_bench_file(path), strerror(errno));
    if (file && file != stdin) fclose(file);
    return status;
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

/* The number in line[0..size), spaces around it allowed; 0: it is none, or too large. */
static uint32_t read_length(const char *line, size_t size) {
    uint32_t length = 0;
    while (size && is_space(line[size - 1])) size--;
    while (size && is_space(*line)) line++, size--;
    for (size_t i = 0; i < size; i++) {
        if (line[i] < '0' || line[i] > '9') return 0;
        length = 10 * length + (uint32_t)(line[i] - '0');
        if (length > MOST_LENGTH) return 0;
    }
    return length;
}

/* One length a line. */
static rp_status read_lengths(const char *path, uint32_t **out, size_t *count, rp_error *err) {
    const char *name = rp_cli_bench_file(path);
    rp_cli_buffer file = {0};
    uint64_t tokens = 0;
    size_t number = 0;
    rp_status status = rp_cli_bench_read(path, &file, err);
    for (size_t at = 0; !status && at < file.size; number++) {
        const char *line = file.data + at, *end = memchr(line, '\n', file.size - at);
        size_t size = end ? (size_t)(end - line) : file.size - at;
        uint32_t length = read_length(line, size);
        at += size + 1;
        if (!length)
            status = rp_fail(err, RP_ERROR_FORMAT, "%s: line %zu is no length from 1 to %d", name, number + 1,
                             MOST_LENGTH);
        else if (number == MOST_LENGTHS || (tokens += length) > RP_CLI_MOST_TOKENS)
            status = rp_fail(err, RP_ERROR_FORMAT,
                             "%s: line %zu is one too many: at most %d lengths of %d tokens together", name,
                             number + 1, MOST_LENGTHS, RP_CLI_MOST_TOKENS);
        *out = rp_cli_realloc(*out, (number + 1) * sizeof **out);
        (*out)[number] = length;
    }
    if (!status && !number)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: is empty; --lengths takes one length a line", name);
    if (status == RP_ERROR_FILE && strlen(err->message) < 400)
        strcat(err->message, "; --lengths takes sst2, uniform or a file");
    free(file.data);
    *count = number;
    return status;
}

/* From a fifth of `tokens` to all of them in even steps: 60 % in the mean. Out of order, the same each time.
 */
static void spread(uint32_t *lengths, uint32_t count, uint32_t tokens) {
    uint32_t state = 1;
    for (uint64_t i = 0, steps = count - 1; i < count; i++) {
        uint64_t parts = steps ? 5 * steps : 5, place = steps ? steps + 4 * i : 3;
        uint64_t length = (tokens * place + parts / 2) / parts;
        lengths[i] = length ? (uint32_t)length : 1;
    }
    for (uint32_t i = count - 1; i > 0; i--) {
        state = state * 1664525u + 1013904223u;
        uint32_t other = (state >> 8) % (i + 1), length = lengths[i];
        lengths[i] = lengths[other];
        lengths[other] = length;
    }
}

rp_status rp_cli_bench_lengths(const rp_cli_options *o, uint32_t **out, size_t *count, rp_error *err) {
    const char *how = o->lengths;
    bool short_texts = how && !strcmp(how, "sst2"), uniform = how && !strcmp(how, "uniform");
    if (how && !short_texts && !uniform) return read_lengths(how, out, count, err);
    uint32_t *lengths = rp_cli_calloc(o->batch, sizeof *lengths);
    *out = lengths;
    *count = o->batch;
    for (uint32_t i = 0; i < o->batch; i++) {
        uint32_t length = short_texts ? sst2[(i * 37 + 31) % 64] : o->tokens;
        lengths[i] = length < o->tokens ? length : o->tokens;
    }
    if (uniform) spread(lengths, o->batch, o->tokens);
    return RP_OK;
}
