/* Entries of the cache. The first byte chooses: the bytes of a file as they are, or a good header before them
 * and what reads the content. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "gpu/cache.h"
#include "gpu/device.h"
#include "gpu/shader.h"

static void read_raw(const uint8_t *data, size_t size) {
    void *content = NULL;
    size_t content_size = 0;
    fuzz_file("entry", data, size);
    if (!rp_cache_read(fuzz_folder(), "entry", &content, &content_size)) {
        FUZZ_CHECK(!content);
        return;
    }
    FUZZ_CHECK(content_size < size && !memcmp(content, data + size - content_size, content_size));
    free(content);
}

static void read_content(uint8_t kind, const uint8_t *data, size_t size) {
    static const rp_caps caps = {.info = {.vendor_id = 0x10005, .device_id = 0},
                                 .uuid = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
    void *content = NULL;
    size_t content_size = 0;
    fuzz_file("entry", NULL, 0);
    rp_cache_write(fuzz_folder(), "entry", data, size);
    FUZZ_CHECK(rp_cache_read(fuzz_folder(), "entry", &content, &content_size));
    FUZZ_CHECK(content_size == size && !memcmp(content, data, size));
    bool fits = kind == 1 ? rp_spirv_whole(content, size) : rp_pipelines_fit(&caps, content, size);
    FUZZ_CHECK(!fits || size >= 20);
    free(content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    if (data[0] % 3)
        read_content(data[0] % 3, data + 1, size - 1);
    else
        read_raw(data + 1, size - 1);
    fuzz_file("entry", "", 0);
    fuzz_file("entry", NULL, 0);
    return 0;
}
