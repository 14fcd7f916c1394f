#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#ifndef REPRISE_VERSION
#error "the build defines REPRISE_VERSION"
#endif

rp_status rp_fail(rp_error *err, rp_status status, const char *format, ...) {
    if (!err) return status;
    err->status = status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
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
    }
    return "unknown status";
}

const char *rp_version(void) {
    return REPRISE_VERSION;
}
