/* Packed SPIR-V: the first two bytes say how many words, the rest are the code. What unpacks is packed again
 * and comes back; so does the input where it is a module itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/pack.h"
#include "gpu/shader.h"

static uint32_t scratch[RP_SPIRV_SCRATCH / 4];

static void comes_back(const uint32_t *words, size_t count) {
    unsigned char *packed = malloc(RP_SPIRV_PACKED_MAX(count));
    uint32_t *again = malloc(count * 4 + 1);
    if (!packed || !again) abort();
    size_t size = rp_spirv_pack(words, count, packed, scratch);
    if (size > RP_SPIRV_PACKED_MAX(count) || !rp_spirv_unpack(packed, size, again, count, scratch) ||
        memcmp(again, words, count * 4) != 0)
        abort();
    free(packed);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    size_t count = data[0] | (size_t)data[1] << 8;
    uint32_t *words = malloc((count > size ? count : size) * 4 + 4);
    if (!words) return 0;
    if (rp_spirv_unpack(data + 2, size - 2, words, count, scratch)) comes_back(words, count);
    memcpy(words, data, size);
    if (rp_spirv_whole(words, size)) comes_back(words, size / 4);
    free(words);
    return 0;
}
