/* Bytes of calls and replies. */
#include "bridge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static uint64_t take(rp_java_in *in, size_t size) {
    uint64_t value = 0;
    if ((size_t)(in->end - in->at) < size) {
        in->bad = true;
        in->at = in->end;
        return 0;
    }
    for (size_t i = 0; i < size; i++) value |= (uint64_t)in->at[i] << (8 * i);
    in->at += size;
    return value;
}

int32_t rp_java_i32(rp_java_in *in) {
    return (int32_t)(uint32_t)take(in, 4);
}

int64_t rp_java_i64(rp_java_in *in) {
    return (int64_t)take(in, 8);
}

double rp_java_f64(rp_java_in *in) {
    const uint64_t bits = take(in, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool rp_java_bool(rp_java_in *in) {
    return rp_java_i32(in) != 0;
}

void *rp_java_handle(rp_java_in *in) {
    return (void *)(uintptr_t)take(in, 8);
}

rp_text rp_java_text(rp_java_in *in) {
    const int32_t size = rp_java_i32(in);
    if (size < 0) return (rp_text){NULL, 0};
    if (in->end - in->at <= size || in->at[size]) {
        in->bad = true;
        in->at = in->end;
        return (rp_text){NULL, 0};
    }
    const rp_text text = {(const char *)in->at, (size_t)size};
    in->at += (size_t)size + 1;
    return text;
}

const char *rp_java_name(rp_java_in *in) {
    const rp_text text = rp_java_text(in);
    if (text.data && memchr(text.data, 0, text.size)) in->bad = true; /* Java refuses these, and says so */
    return text.data;
}

size_t rp_java_count(rp_java_in *in, size_t smallest) {
    const int32_t count = rp_java_i32(in);
    if (count >= 0 && (size_t)count <= (size_t)(in->end - in->at) / smallest) return (size_t)count;
    in->bad = true;
    return 0;
}

rp_status rp_java_done(const rp_java_in *in, rp_error *err) {
    if (!in->bad && in->at == in->end) return RP_OK;
    snprintf(err->message, sizeof err->message,
             "the Java classes and the library that they call are of different versions: take both from one "
             "build");
    return err->status = RP_ERROR_ARGUMENT;
}

void *rp_java_array(size_t count, size_t size, rp_error *err) {
    void *array = calloc(count ? count : 1, size);
    if (!array) {
        snprintf(err->message, sizeof err->message, "no memory for %zu inputs", count);
        err->status = RP_ERROR_HOST_MEMORY;
    }
    return array;
}

rp_text *rp_java_texts(rp_java_in *in, size_t *count, rp_error *err) {
    *count = rp_java_count(in, 4);
    rp_text *texts = rp_java_array(*count, sizeof *texts, err);
    for (size_t i = 0; texts && i < *count; i++) texts[i] = rp_java_text(in);
    return texts;
}

const char **rp_java_names(rp_java_in *in, size_t *count, rp_error *err) {
    *count = rp_java_count(in, 4);
    const char **names = rp_java_array(*count, sizeof *names, err);
    for (size_t i = 0; names && i < *count; i++) names[i] = rp_java_name(in);
    return names;
}

/* ---- writing ---- */

static uint8_t *room(rp_java_out *out, size_t size) {
    enum { REPLY_MAX = INT32_MAX - 16 }; /* what a Java array holds */
    if (out->short_of_memory) return NULL;
    if (size > out->capacity - out->size) {
        size_t capacity = out->capacity ? out->capacity : 256;
        while (capacity < REPLY_MAX && capacity - out->size < size)
            capacity = capacity < REPLY_MAX / 2 ? 2 * capacity : REPLY_MAX;
        uint8_t *data = capacity - out->size < size ? NULL : realloc(out->data, capacity);
        if (!data) {
            out->short_of_memory = true;
            return NULL;
        }
        out->data = data;
        out->capacity = capacity;
    }
    out->size += size;
    return out->data + out->size - size;
}

static void put(rp_java_out *out, uint64_t value, size_t size) {
    uint8_t *to = room(out, size);
    for (size_t i = 0; to && i < size; i++) to[i] = (uint8_t)(value >> (8 * i));
}

void rp_java_put_i32(rp_java_out *out, int32_t value) {
    put(out, (uint32_t)value, 4);
}

void rp_java_put_i64(rp_java_out *out, int64_t value) {
    put(out, (uint64_t)value, 8);
}

void rp_java_put_f32(rp_java_out *out, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put(out, bits, 4);
}

void rp_java_put_f64(rp_java_out *out, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put(out, bits, 8);
}

void rp_java_put_floats(rp_java_out *out, const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) rp_java_put_f32(out, values[i]);
}

void rp_java_put_handle(rp_java_out *out, const void *handle) {
    put(out, (uintptr_t)handle, 8);
}

void rp_java_put_text(rp_java_out *out, rp_text text) {
    if (text.data && text.size > INT32_MAX) out->short_of_memory = true;
    put(out, text.data ? (uint32_t)text.size : UINT32_MAX, 4);
    uint8_t *to = text.data && text.size ? room(out, text.size) : NULL;
    if (to) memcpy(to, text.data, text.size);
}

void rp_java_put_name(rp_java_out *out, const char *name) {
    rp_java_put_text(out, (rp_text){name, name ? strlen(name) : 0});
}

void rp_java_put_span(rp_java_out *out, rp_span span) {
    rp_java_put_i32(out, (int32_t)span.start);
    rp_java_put_i32(out, (int32_t)span.end);
}
