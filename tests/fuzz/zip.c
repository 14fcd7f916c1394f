/* The directory of a zip archive: every entry lies in it, and no two overlap. */
#include "loader/zip.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rp_zip zip;
    rp_error err = {0};
    if (fuzz_status(rp_zip_open(data, size, "a file", &zip, &err), &err)) return 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < zip.count; i++) {
        const rp_zip_entry *entry = &zip.entries[i];
        FUZZ_CHECK(entry->data >= data && entry->size <= (uint64_t)(data + size - entry->data));
        FUZZ_CHECK(rp_zip_find(&zip, entry->name) == entry);
        rp_zip_is_intact(entry);
        bytes += entry->size;
    }
    FUZZ_CHECK(bytes <= size);
    rp_zip_close(&zip);
    return 0;
}
