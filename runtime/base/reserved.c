/* Params structs of a newer library. */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

rp_status rp_check_reserved(const uint64_t *reserved, size_t count, const char *function, rp_error *err) {
    uint64_t set = 0;
    for (size_t i = 0; reserved && i < count; i++) set |= reserved[i];
    if (!set) return RP_OK;
    return rp_fail(
        err, RP_ERROR_ARGUMENT,
        "%s: params.reserved is not zero: zero the whole struct before you set its fields, or use the "
        "newer library that the program was built for",
        function);
}
