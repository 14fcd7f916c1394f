#include "loader/pickle.h"

#include "loader/json.h"
#include "loader/pickle_build.h"

enum { MAX_BYTES = 16 << 20 };

/* ---- the machine ---- */

static rp_status damaged(rp_pickle_machine *m, const char *what) {
    return rp_pickle_fail(m, RP_ERROR_FORMAT, "%s; fetch the file again", what);
}

static rp_status cut(rp_pickle_machine *m) {
    if (m->size < MAX_BYTES) return damaged(m, "the pickle is cut");
    return rp_pickle_fail(m, RP_ERROR_UNSUPPORTED,
                          "the pickle has more than %d MiB; save the state dict alone", MAX_BYTES >> 20);
}

/* The next `count` bytes. */
static rp_status take(rp_pickle_machine *m, uint64_t count, const unsigned char **out) {
    *out = m->bytes + m->at;
    if (count > m->size - m->at) return cut(m);
    m->at += (size_t)count;
    return RP_OK;
}

/* The number that follows an opcode in `width` bytes. */
static rp_status take_argument(rp_pickle_machine *m, unsigned width) {
    const unsigned char *at;
    rp_status status = take(m, width, &at);
    m->argument = 0;
    for (unsigned i = status ? 0 : width; i-- > 0;) m->argument = m->argument << 8 | at[i];
    return status;
}

/* What was pushed since the last mark, or since the begin. */
static size_t floor_of(const rp_pickle_machine *m) {
    return m->mark_count ? m->marks[m->mark_count - 1] : 0;
}

static rp_status need(rp_pickle_machine *m, size_t count) {
    return m->depth - floor_of(m) >= count ? RP_OK : damaged(m, "an opcode lacks its operands");
}

static rp_status pop_mark(rp_pickle_machine *m, size_t *floor) {
    *floor = 0;
    if (!m->mark_count) return damaged(m, "an opcode lacks its MARK");
    *floor = m->marks[--m->mark_count];
    return RP_OK;
}

/* ---- plain values ---- */

static rp_status op_text(rp_pickle_machine *m) {
    const unsigned char *text;
    rp_status status = take(m, m->argument, &text);
    if (status) return status;
    return rp_pickle_push_new(
        m, (rp_pickle_node){.kind = RP_PICKLE_TEXT, .count = (uint32_t)m->argument, .text = text});
}

static rp_status push_integer(rp_pickle_machine *m, rp_pickle_kind kind, int64_t value) {
    return rp_pickle_push_new(m, (rp_pickle_node){.kind = (uint8_t)kind, .integer = value});
}

static rp_status op_none(rp_pickle_machine *m) {
    return push_integer(m, RP_PICKLE_NONE, 0);
}

static rp_status op_true(rp_pickle_machine *m) {
    return push_integer(m, RP_PICKLE_BOOL, 1);
}

static rp_status op_false(rp_pickle_machine *m) {
    return push_integer(m, RP_PICKLE_BOOL, 0);
}

static rp_status op_integer(rp_pickle_machine *m) {
    return push_integer(m, RP_PICKLE_INTEGER, (int64_t)m->argument);
}

static rp_status op_signed(rp_pickle_machine *m) {
    return push_integer(m, RP_PICKLE_INTEGER, (int32_t)(uint32_t)m->argument);
}

static rp_status op_long(rp_pickle_machine *m) {
    uint64_t size = m->argument, value = 0;
    const unsigned char *at;
    rp_status status = take(m, size, &at);
    if (status) return status;
    if (size > 8)
        return rp_pickle_push_new(
            m, (rp_pickle_node){.kind = RP_PICKLE_LONG, .count = (uint32_t)size, .text = at});
    if (size && at[size - 1] & 0x80) value = UINT64_MAX; // the sign goes on
    for (uint64_t i = size; i-- > 0;) value = value << 8 | at[i];
    return push_integer(m, RP_PICKLE_INTEGER, (int64_t)value);
}

static rp_status op_real(rp_pickle_machine *m) {
    const unsigned char *at;
    uint64_t bits = 0;
    rp_pickle_node node = {.kind = RP_PICKLE_REAL};
    rp_status status = take(m, 8, &at);
    if (status) return status;
    for (int i = 0; i < 8; i++) bits = bits << 8 | at[i]; // the most significant byte comes first
    memcpy(&node.real, &bits, sizeof node.real);
    return rp_pickle_push_new(m, node);
}

/* ---- containers ---- */

static rp_status op_mark(rp_pickle_machine *m) {
    if (!rp_grow((void **)&m->marks, &m->mark_capacity, m->mark_count + 1, sizeof *m->marks))
        return rp_pickle_no_memory(m);
    m->marks[m->mark_count++] = m->depth;
    return RP_OK;
}

static rp_status op_empty_tuple(rp_pickle_machine *m) {
    return rp_pickle_push_new(m, (rp_pickle_node){.kind = RP_PICKLE_TUPLE});
}

static rp_status op_empty_list(rp_pickle_machine *m) {
    return rp_pickle_push_new(m, (rp_pickle_node){.kind = RP_PICKLE_LIST});
}

static rp_status op_empty_dict(rp_pickle_machine *m) {
    return rp_pickle_push_new(m, (rp_pickle_node){.kind = RP_PICKLE_DICT});
}

/* The values from `from` on become one tuple. */
static rp_status make_tuple(rp_pickle_machine *m, size_t from) {
    size_t count = m->depth - from;
    rp_pickle_node node = {.kind = RP_PICKLE_TUPLE, .count = (uint32_t)count};
    node.items = count ? malloc(count * sizeof *node.items) : NULL;
    if (count && !node.items) return rp_pickle_no_memory(m);
    if (count) memcpy(node.items, m->stack + from, count * sizeof *node.items);
    m->depth = from;
    return rp_pickle_push_new(m, node);
}

static rp_status op_tuple(rp_pickle_machine *m) {
    size_t from;
    rp_status status = pop_mark(m, &from);
    return status ? status : make_tuple(m, from);
}

/* TUPLE1, TUPLE2 and TUPLE3 follow one another. */
static rp_status op_short_tuple(rp_pickle_machine *m) {
    size_t count = m->bytes[m->op_at] - 0x85u + 1;
    rp_status status = need(m, count);
    return status ? status : make_tuple(m, m->depth - count);
}

/* What stands from `from` on goes into the container below. */
static rp_status extend_below(rp_pickle_machine *m, rp_pickle_kind kind, size_t from) {
    size_t count = m->depth - from;
    bool list = kind == RP_PICKLE_LIST;
    if (from <= floor_of(m)) return damaged(m, "an opcode lacks its operands");
    uint32_t below = m->stack[from - 1];
    if (m->out->nodes[below].kind != kind || (!list && count % 2))
        return damaged(m, list ? "items are added to what is no list" : "pairs are added to what is no dict");
    m->depth = from;
    return rp_pickle_extend(m, below, m->stack + from, count);
}

static rp_status op_append(rp_pickle_machine *m) {
    rp_status status = need(m, 2);
    return status ? status : extend_below(m, RP_PICKLE_LIST, m->depth - 1);
}

static rp_status op_appends(rp_pickle_machine *m) {
    size_t from;
    rp_status status = pop_mark(m, &from);
    return status ? status : extend_below(m, RP_PICKLE_LIST, from);
}

static rp_status op_setitem(rp_pickle_machine *m) {
    rp_status status = need(m, 3);
    return status ? status : extend_below(m, RP_PICKLE_DICT, m->depth - 2);
}

static rp_status op_setitems(rp_pickle_machine *m) {
    size_t from;
    rp_status status = pop_mark(m, &from);
    return status ? status : extend_below(m, RP_PICKLE_DICT, from);
}

/* Attributes of a dict, such as _metadata of a state dict, say nothing about its tensors. */
static rp_status op_build(rp_pickle_machine *m) {
    rp_status status = need(m, 2);
    if (status) return status;
    const rp_pickle_node *state = &m->out->nodes[m->stack[m->depth - 1]];
    const rp_pickle_node *object = &m->out->nodes[m->stack[m->depth - 2]];
    if (state->kind != RP_PICKLE_DICT || object->kind != RP_PICKLE_DICT)
        return rp_pickle_fail(m, RP_ERROR_UNSUPPORTED,
                              "the opcode BUILD for what is no dict is not one that weights need");
    m->depth--;
    return RP_OK;
}

/* ---- the memo ---- */

static rp_status put(rp_pickle_machine *m, uint64_t index) {
    rp_status status = need(m, 1);
    if (status) return status;
    // each value has its own index, so that there are fewer of them than bytes
    if (index >= m->size) return damaged(m, "an index of the memo is larger than the pickle");
    if (index >= m->memo_size) {
        if (!rp_grow((void **)&m->memo, &m->memo_capacity, (size_t)index + 1, sizeof *m->memo))
            return rp_pickle_no_memory(m);
        memset(m->memo + m->memo_size, 0, ((size_t)index + 1 - m->memo_size) * sizeof *m->memo);
        m->memo_size = (size_t)index + 1;
    }
    m->memo_count += !m->memo[index];
    m->memo[index] = m->stack[m->depth - 1] + 1;
    return RP_OK;
}

static rp_status op_put(rp_pickle_machine *m) {
    return put(m, m->argument);
}

static rp_status op_memoize(rp_pickle_machine *m) {
    return put(m, m->memo_count);
}

static rp_status op_get(rp_pickle_machine *m) {
    if (m->argument >= m->memo_size || !m->memo[m->argument])
        return damaged(m, "an index of the memo was never set");
    return rp_pickle_push(m, m->memo[m->argument] - 1);
}

/* ---- globals ---- */

/* A line up to its end, which is left out. */
static rp_status take_line(rp_pickle_machine *m, const unsigned char **line, size_t *size) {
    const unsigned char *at = m->bytes + m->at, *end = memchr(at, '\n', m->size - m->at);
    *line = at;
    *size = end ? (size_t)(end - at) : 0;
    if (!end) return cut(m);
    m->at += *size + 1;
    return RP_OK;
}

static rp_status op_global(rp_pickle_machine *m) {
    const unsigned char *module, *name;
    size_t module_size, name_size;
    rp_status status = take_line(m, &module, &module_size);
    if (!status) status = take_line(m, &name, &name_size);
    return status ? status : rp_pickle_push_global(m, module, module_size, name, name_size);
}

static rp_status op_stack_global(rp_pickle_machine *m) {
    rp_status status = need(m, 2);
    if (status) return status;
    const rp_pickle_node *name = &m->out->nodes[m->stack[m->depth - 1]];
    const rp_pickle_node *module = &m->out->nodes[m->stack[m->depth - 2]];
    if (name->kind != RP_PICKLE_TEXT || module->kind != RP_PICKLE_TEXT)
        return damaged(m, "the name of a global is no text");
    m->depth -= 2;
    return rp_pickle_push_global(m, module->text, module->count, name->text, name->count);
}

static rp_status op_reduce(rp_pickle_machine *m) {
    rp_status status = need(m, 2);
    if (status) return status;
    uint32_t arguments = m->stack[m->depth - 1], callable = m->stack[m->depth - 2];
    m->depth -= 2;
    return rp_pickle_reduce(m, callable, arguments);
}

static rp_status op_persistent(rp_pickle_machine *m) {
    rp_status status = need(m, 1);
    return status ? status : rp_pickle_push_storage(m, m->stack[--m->depth]);
}

/* ---- the whole ---- */

static rp_status op_protocol(rp_pickle_machine *m) {
    if (!m->op_at && m->argument >= 2 && m->argument <= 5) return RP_OK;
    return rp_pickle_fail(m, RP_ERROR_UNSUPPORTED, "pickle protocol %u is not read, only 2 to 5",
                          (unsigned)m->argument);
}

/* A frame promises bytes that are there, and no more. */
static rp_status op_frame(rp_pickle_machine *m) {
    return m->argument <= m->size - m->at ? RP_OK : cut(m);
}

static rp_status op_stop(rp_pickle_machine *m) {
    if (m->mark_count || m->depth != 1) return damaged(m, "the pickle does not end with one value");
    m->out->root = m->stack[0];
    m->out->used = m->at;
    return RP_OK;
}

/* Every opcode of the protocols 0 to 5 by its name; those without a function are refused. */
static const struct {
    const char *name;
    rp_status (*run)(rp_pickle_machine *m);
    unsigned width; /* bytes of the number that follows it */
} opcodes[256] = {
    ['('] = {"MARK", op_mark, 0},
    [')'] = {"EMPTY_TUPLE", op_empty_tuple, 0},
    ['.'] = {"STOP", op_stop, 0},
    ['B'] = {"BINBYTES", NULL, 0},
    ['C'] = {"SHORT_BINBYTES", NULL, 0},
    ['0'] = {"POP", NULL, 0},
    ['1'] = {"POP_MARK", NULL, 0},
    ['2'] = {"DUP", NULL, 0},
    ['F'] = {"FLOAT", NULL, 0},
    ['G'] = {"BINFLOAT", op_real, 0},
    ['I'] = {"INT", NULL, 0},
    ['J'] = {"BININT", op_signed, 4},
    ['K'] = {"BININT1", op_integer, 1},
    ['L'] = {"LONG", NULL, 0},
    ['M'] = {"BININT2", op_integer, 2},
    ['N'] = {"NONE", op_none, 0},
    ['P'] = {"PERSID", NULL, 0},
    ['Q'] = {"BINPERSID", op_persistent, 0},
    ['R'] = {"REDUCE", op_reduce, 0},
    ['S'] = {"STRING", NULL, 0},
    ['T'] = {"BINSTRING", op_text, 4},
    ['U'] = {"SHORT_BINSTRING", op_text, 1},
    ['V'] = {"UNICODE", NULL, 0},
    ['X'] = {"BINUNICODE", op_text, 4},
    [']'] = {"EMPTY_LIST", op_empty_list, 0},
    ['a'] = {"APPEND", op_append, 0},
    ['b'] = {"BUILD", op_build, 0},
    ['c'] = {"GLOBAL", op_global, 0},
    ['d'] = {"DICT", NULL, 0},
    ['e'] = {"APPENDS", op_appends, 0},
    ['g'] = {"GET", NULL, 0},
    ['h'] = {"BINGET", op_get, 1},
    ['i'] = {"INST", NULL, 0},
    ['j'] = {"LONG_BINGET", op_get, 4},
    ['l'] = {"LIST", NULL, 0},
    ['o'] = {"OBJ", NULL, 0},
    ['p'] = {"PUT", NULL, 0},
    ['q'] = {"BINPUT", op_put, 1},
    ['r'] = {"LONG_BINPUT", op_put, 4},
    ['s'] = {"SETITEM", op_setitem, 0},
    ['t'] = {"TUPLE", op_tuple, 0},
    ['u'] = {"SETITEMS", op_setitems, 0},
    ['}'] = {"EMPTY_DICT", op_empty_dict, 0},
    [0x80] = {"PROTO", op_protocol, 1},
    {"NEWOBJ", NULL, 0},
    {"EXT1", NULL, 0},
    {"EXT2", NULL, 0},
    {"EXT4", NULL, 0},
    {"TUPLE1", op_short_tuple, 0},
    {"TUPLE2", op_short_tuple, 0},
    {"TUPLE3", op_short_tuple, 0},
    {"NEWTRUE", op_true, 0},
    {"NEWFALSE", op_false, 0},
    {"LONG1", op_long, 1},
    {"LONG4", NULL, 0},
    {"SHORT_BINUNICODE", op_text, 1},
    {"BINUNICODE8", op_text, 8},
    {"BINBYTES8", NULL, 0},
    {"EMPTY_SET", NULL, 0},
    {"ADDITEMS", NULL, 0},
    {"FROZENSET", NULL, 0},
    {"NEWOBJ_EX", NULL, 0},
    {"STACK_GLOBAL", op_stack_global, 0},
    {"MEMOIZE", op_memoize, 0},
    {"FRAME", op_frame, 8},
    {"BYTEARRAY8", NULL, 0},
    {"NEXT_BUFFER", NULL, 0},
    {"READONLY_BUFFER", NULL, 0},
};

static rp_status run(rp_pickle_machine *m) {
    rp_status status = RP_OK;
    unsigned char op = 0;
    if (!m->size || m->bytes[0] != 0x80) return damaged(m, "does not begin as a pickle of torch.save does");
    while (!status && op != '.') {
        const unsigned char *at;
        m->op_at = m->at;
        status = take(m, 1, &at);
        if (status) return status;
        op = *at;
        if (opcodes[op].run) {
            status = take_argument(m, opcodes[op].width);
            if (!status) status = opcodes[op].run(m);
        } else if (opcodes[op].name)
            status =
                rp_pickle_fail(m, RP_ERROR_UNSUPPORTED,
                               "the opcode %s is not one that weights need, so it is not executed; save the "
                               "state dict alone: torch.save(model.state_dict(), \"pytorch_model.bin\")",
                               opcodes[op].name);
        else
            status = rp_pickle_fail(m, RP_ERROR_FORMAT,
                                    "0x%02x is no opcode of a pickle; fetch the file again", op);
    }
    return status;
}

rp_status rp_pickle_read(const unsigned char *bytes, size_t size, const char *path, const char *part,
                         rp_pickle *out, rp_error *err) {
    *out = (rp_pickle){0};
    rp_pickle_machine m = {.bytes = bytes, .size = size, .path = path, .part = part, .out = out, .err = err};
    if (size > MAX_BYTES) m.size = MAX_BYTES; // what follows may be the weights
    rp_status status = run(&m);
    free(m.stack);
    free(m.marks);
    free(m.memo);
    if (status) rp_pickle_finish(out);
    return status;
}

void rp_pickle_finish(rp_pickle *pickle) {
    for (size_t i = 0; i < pickle->count; i++) {
        rp_pickle_kind kind = pickle->nodes[i].kind;
        if (kind == RP_PICKLE_TUPLE || kind == RP_PICKLE_LIST || kind == RP_PICKLE_DICT)
            free(pickle->nodes[i].items);
    }
    free(pickle->nodes);
    *pickle = (rp_pickle){0};
}
