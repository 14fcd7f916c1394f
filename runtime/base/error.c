#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#ifndef REPRISE_VERSION
#error "the build defines REPRISE_VERSION"
#endif

/* Bytes of the UTF-8 character at `at`, which a NUL ends; 0: none is there. */
static size_t character(const unsigned char *at) {
    size_t size = at[0] < 0x80   ? 1
                  : at[0] < 0xc2 ? 0
                  : at[0] < 0xe0 ? 2
                  : at[0] < 0xf0 ? 3
                  : at[0] < 0xf5 ? 4
                                 : 0;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    bool bad = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
               (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f);
    return bad ? 0 : size;
}

/* Paths and damaged files bring bytes that are no text: each becomes a question mark. Half of a character at
 * the end of a message that was cut goes. */
static void make_text(char *message, bool cut) {
    unsigned char *at = (unsigned char *)message;
    while (*at) {
        size_t size = character(at);
        if (!size && cut && strlen((char *)at) < 4)
            *at = 0;
        else if (!size)
            *at = '?', size = 1;
        at += size;
    }
}

rp_status rp_fail(rp_error *err, rp_status status, const char *format, ...) {
    if (!err) return status;
    err->status = status;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    make_text(err->message, length >= (int)sizeof err->message);
    return status;
}

rp_status rp_fail_memory(rp_error *err, const char *what, unsigned long long bytes) {
    return rp_fail(err, RP_ERROR_HOST_MEMORY,
                   "out of memory: %llu bytes for %s; close other programs or use smaller batches", bytes,
                   what);
}

const char *rp_status_name(rp_status status) {
    switch (status) {
    case RP_OK:
        return "ok";
    case RP_ERROR_ARGUMENT:
        return "wrong argument";
    case RP_ERROR_FILE:
        return "file";
    case RP_ERROR_FORMAT:
        return "damaged file";
    case RP_ERROR_UNSUPPORTED:
        return "unsupported";
    case RP_ERROR_TEXT:
        return "text";
    case RP_ERROR_HEAD:
        return "no such head";
    case RP_ERROR_DEVICE:
        return "device";
    case RP_ERROR_DEVICE_LOST:
        return "device lost";
    case RP_ERROR_HOST_MEMORY:
        return "out of memory";
    case RP_ERROR_DEVICE_MEMORY:
        return "out of device memory";
    case RP_ERROR_STOPPED:
        return "stopped";
    case RP_ERROR_NETWORK:
        return "network";
    case RP_ERROR_CANCELLED:
        return "cancelled";
    case RP_ERROR_DEADLINE:
        return "deadline";
    case RP_ERROR_BUSY:
        return "busy";
    }
    return "unknown status";
}

const char *rp_version(void) {
    return REPRISE_VERSION;
}
