/* Tokens as JSON. The answers of models are written by the library (rp_result_json). */
#include "session.h"

#include <string.h>

static void put_numbers(rp_cli_buffer *out, const char *key, const int32_t *numbers, size_t count) {
    rp_cli_printf(out, "\"%s\": [", key);
    for (size_t i = 0; i < count; i++) rp_cli_printf(out, i ? ", %d" : "%d", (int)numbers[i]);
    rp_cli_puts(out, "], ");
}

void rp_cli_json_tokens(const rp_cli_answer *answer, rp_cli_buffer *out) {
    const rp_encoding *e = answer->encoding;
    const rp_cli_item *item = answer->item;
    rp_cli_cursor cursors[2] = {{item->text.data, item->text.size, 0, 0},
                                {item->pair.data, item->pair.size, 0, 0}};
    rp_cli_puts(out, "{");
    put_numbers(out, "input_ids", e->ids, e->count);
    put_numbers(out, "token_type_ids", e->type_ids, e->count);
    rp_cli_puts(out, "\"tokens\": [");
    for (size_t i = 0; i < e->count; i++) {
        if (i) rp_cli_puts(out, ", ");
        const char *piece = rp_tokenizer_piece(answer->session->tokenizer, e->ids[i]);
        rp_cli_json_string(out, piece ? piece : "", piece ? strlen(piece) : 0);
    }
    rp_cli_puts(out, "], \"offsets\": [");
    for (size_t i = 0; i < e->count; i++) {
        size_t start = 0, end = 0;
        if (e->sequence[i] >= 0) {
            rp_cli_cursor *cursor = &cursors[e->sequence[i] == 1];
            start = rp_cli_point(cursor, e->offsets[i].start);
            end = rp_cli_point(cursor, e->offsets[i].end);
        }
        rp_cli_printf(out, i ? ", [%zu, %zu]" : "[%zu, %zu]", start, end);
    }
    rp_cli_puts(out, "]}");
}
