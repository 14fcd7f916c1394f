#include "loader/pickle_build.h"

#include <stdarg.h>
#include <stdio.h>

#include "loader/json.h"

rp_status rp_pickle_fail(rp_pickle_machine *m, rp_status status, const char *format, ...) {
    char what[320];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    for (char *c = what; *c; c++)
        if ((unsigned char)*c < ' ') *c = '?';
    return rp_fail(m->err, status, "%s: %s: byte %zu: %s", rp_path_shown(m->path), m->part, m->op_at, what);
}

rp_status rp_pickle_no_memory(rp_pickle_machine *m) {
    return rp_fail_memory(m->err, rp_path_shown(m->path), m->size);
}

rp_status rp_pickle_push(rp_pickle_machine *m, uint32_t node) {
    if (!rp_grow((void **)&m->stack, &m->stack_capacity, m->depth + 1, sizeof *m->stack))
        return rp_pickle_no_memory(m);
    m->stack[m->depth++] = node;
    return RP_OK;
}

rp_status rp_pickle_push_new(rp_pickle_machine *m, rp_pickle_node node) {
    rp_pickle *out = m->out;
    if (!rp_grow((void **)&out->nodes, &out->capacity, out->count + 1, sizeof *out->nodes)) {
        if (node.kind == RP_PICKLE_TUPLE) free(node.items);
        return rp_pickle_no_memory(m);
    }
    out->nodes[out->count] = node;
    return rp_pickle_push(m, (uint32_t)out->count++);
}

/* Room for `count` items is that of the next power of two. */
static size_t capacity_of(size_t count) {
    size_t capacity = count ? 4 : 0;
    while (capacity < count) capacity *= 2;
    return capacity;
}

rp_status rp_pickle_extend(rp_pickle_machine *m, uint32_t node, const uint32_t *items, size_t count) {
    rp_pickle_node *to = &m->out->nodes[node];
    size_t capacity = capacity_of(to->count + count);
    if (capacity != capacity_of(to->count)) {
        uint32_t *moved = realloc(to->items, capacity * sizeof *moved);
        if (!moved) return rp_pickle_no_memory(m);
        to->items = moved;
    }
    if (count) memcpy(to->items + to->count, items, count * sizeof *items);
    to->count += (uint32_t)count;
    return RP_OK;
}
