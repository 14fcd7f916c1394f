/* A library to be preloaded: the call of malloc, calloc or realloc with the number FAILING_MALLOC, from 0, of
 * all that the process makes, fails, and the file FAILING_MALLOC_CAME is made. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

static atomic_long due = -1;

/* Not before everything is loaded: the loader of libraries ends the process itself. */
__attribute__((constructor)) static void begin(void) {
    const char *number = getenv("FAILING_MALLOC");
    if (number) due = atol(number);
}

static bool fails(void) {
    if (due < 0 || atomic_fetch_sub(&due, 1) != 0) return false;
    const char *came = getenv("FAILING_MALLOC_CAME");
    int fd = came ? open(came, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) close(fd);
    errno = ENOMEM;
    return true;
}

EXPORT void *malloc(size_t size) {
    return fails() ? NULL : __libc_malloc(size);
}
EXPORT void *calloc(size_t count, size_t size) {
    return fails() ? NULL : __libc_calloc(count, size);
}
EXPORT void *realloc(void *block, size_t size) {
    return fails() ? NULL : __libc_realloc(block, size);
}
