/* The note of a try, and the use in it, which reprise-try reads. Whatever the file holds: its counts are
 * small, a use that is taken has planned kernels only, and what is written next is read. */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "gpu/cache.h"
#include "ops/class.h"

static const char boot[] = "01234567-89ab-cdef-0123-456789abcdef";

static void plan_use(const char *text) {
    static const rp_caps caps = {.info = {.type = RP_DEVICE_CPU,
                                          .subgroup_size = 8,
                                          .shared_bytes = 32768,
                                          .max_invocations = 1024,
                                          .max_storage_bytes = 1 << 27},
                                 .max_texels = 1 << 27};
    rp_kernel kernels[RP_MAX_KERNELS];
    char written[RP_ATTEMPT_TEXT];
    rp_use use, again;
    if (!rp_use_read(text, &use)) return;
    rp_use_write(&use, written);
    FUZZ_CHECK(rp_use_read(written, &again) && !memcmp(&use, &again, sizeof use));
    for (uint32_t i = 0; i < rp_class_count; i++)
        FUZZ_CHECK(rp_classes[i]->plan(&caps, &use, kernels) <= RP_MAX_KERNELS);
}

/* The first byte: the bytes of the file follow, or those of the use in a whole note. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rp_attempt_note tries;
    char note[4096];
    if (!size || size > 2048) return 0;
    if (data[0] & 1) {
        fuzz_file("tries", data + 1, size - 1);
    } else {
        int begin = snprintf(note, sizeof note, "1 1 %s ", boot);
        memcpy(note + begin, data + 1, size - 1);
        note[(size_t)begin + size - 1] = '\n';
        fuzz_file("tries", note, (size_t)begin + size);
    }
    rp_attempt_note_open(&tries, fuzz_folder(), "tries");
    FUZZ_CHECK(tries.unclear <= 9 && tries.certain <= 18 && strlen(tries.what) < sizeof tries.what);
    plan_use(tries.what);
    tries.unclear = 3;
    tries.certain = 1;
    rp_attempt_note_write(&tries);
    rp_attempt_note_close(&tries);
    rp_attempt_note_open(&tries, fuzz_folder(), "tries");
    FUZZ_CHECK(tries.unclear == 3 && tries.certain == 1);
    tries.unclear = tries.certain = 0;
    rp_attempt_note_close(&tries);
    return 0;
}
