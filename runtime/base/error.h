/* Filling in an rp_error. */
#ifndef RP_BASE_ERROR_H
#define RP_BASE_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include "reprise/status.h"

/* Which printf checks formats; the build names another where there are two (MinGW). */
#ifndef REPRISE_PRINTF
#define REPRISE_PRINTF printf
#endif

/* Write `status` and the formatted sentence to `err` (NULL allowed) and return `status`, so that a failing
 * function can say `return rp_fail(err, RP_ERROR_FILE, "%s: ...", path)`. Never allocates. */
rp_status rp_fail(rp_error *err, rp_status status, const char *format, ...)
    __attribute__((format(REPRISE_PRINTF, 3, 4)));

/* RP_ERROR_ARGUMENT unless the `count` reserved words of the params of `function` are zero. NULL is allowed.
 */
rp_status rp_check_reserved(const uint64_t *reserved, size_t count, const char *function, rp_error *err);

/* The usual sentence for a failed host allocation of `bytes` for `what`. */
rp_status rp_fail_memory(rp_error *err, const char *what, unsigned long long bytes);

#endif
