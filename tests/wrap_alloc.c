#define _GNU_SOURCE
#include "wrap_alloc.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Allocations that succeed before one does not; negative: it came, or none is to. */
static atomic_int due = -1;

void alloc_begin(int n) {
    due = n;
}

bool alloc_end(void) {
    return atomic_exchange(&due, -1) < 0;
}

static bool fails(void) {
    int left = due;
    while (left >= 0 && !atomic_compare_exchange_weak(&due, &left, left - 1)) {
    }
    return left == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_asprintf(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *block, size_t size) {
    return fails() ? NULL : __real_realloc(block, size);
}
char *__wrap_strdup(const char *text) {
    return fails() ? NULL : __real_strdup(text);
}
int __wrap_asprintf(char **out, const char *format, ...) {
    va_list arguments;
    *out = NULL;
    if (fails()) return -1;
    va_start(arguments, format);
    int size = vasprintf(out, format, arguments);
    va_end(arguments);
    return size;
}
