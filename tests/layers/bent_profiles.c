/* The profiles, and reading REPRISE_BENT. Numbers are what those drivers report, as far as the device below
 * can honour them. */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bent.h"

static const struct {
    const char *name, *knobs;
} profiles[] = {
    /* the least of everything: PowerVR's driver */
    {"powervr", "api=1 type=1 extensions=0 shared=16384 invocations=128 subgroup=1 buffers=8 push=128 "
                "range=134217728 texels=65536 fp16=0 int8=0 storage16=0 storage8=0 dot=0 matrix=0"},
    /* Mali-G31 and G52 */
    {"mali", "api=1 type=1 shared=32768 invocations=256 subgroup=8 timestamps=0 push=128 texels=65536 "
             "memory=2 dot=0 matrix=0 statistics=0"},
    /* Adreno 6xx: ranges of 128 MiB, half-precision arithmetic but no 16-bit storage, wide subgroups */
    {"adreno", "api=1 type=1 shared=32768 invocations=1024 subgroup=64 push=128 range=134217728 "
               "texels=134217728 alignment=64 atom=64 memory=2 storage16=0 storage8=0 dot=0 matrix=0"},
    /* the same with a compiler that large kernels are too much for, in either of the ways that are known */
    {"adreno_dies", "adreno code=21000"},
    {"adreno_refuses", "adreno refused=21000"},
    /* little memory, in small pieces */
    {"laptop", "type=1 allocation=67108864 heap=268435456 memory=0"},
    /* the largest alignments that Vulkan allows */
    {"align256", "alignment=256 atom=256"},
    /* a flush or an invalidation that is forgotten gives wrong results */
    {"noncoherent", "type=1 memory=1 atom=64"},
    /* weights go through a staging buffer */
    {"discrete", "type=2 memory=3"},
    {"notimestamps", "timestamps=0"},
    /* Vulkan's own minimum, with which the library cannot work and has to say so */
    {"fourbuffers", "buffers=4"},
    /* a device on which a layer takes long, with a watchdog that waits for no one */
    {"slow", "buffer_ms=100 watchdog_ms=2000"},
};

#define KNOB(name) \
    { #name, offsetof(bend, name) }
static const struct {
    const char *name;
    size_t offset;
} knobs[] = {KNOB(api),         KNOB(type),       KNOB(extensions), KNOB(shared),    KNOB(invocations),
             KNOB(push),        KNOB(buffers),    KNOB(range),      KNOB(texels),    KNOB(alignment),
             KNOB(atom),        KNOB(allocation), KNOB(heap),       KNOB(memory),    KNOB(subgroup),
             KNOB(timestamps),  KNOB(fp16),       KNOB(int8),       KNOB(storage16), KNOB(storage8),
             KNOB(dot),         KNOB(matrix),     KNOB(statistics), KNOB(submit_ms), KNOB(buffer_ms),
             KNOB(watchdog_ms), KNOB(code),       KNOB(refused)};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bend bent;

static void read_words(const char *text);

/* "name" of a profile or "knob=number". */
static void read_word(const char *word, size_t length) {
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++)
        if (strlen(profiles[i].name) == length && !strncmp(profiles[i].name, word, length)) {
            read_words(profiles[i].knobs);
            return;
        }
    for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++) {
        size_t n = strlen(knobs[i].name);
        if (n >= length || word[n] != '=' || strncmp(knobs[i].name, word, n)) continue;
        char *end;
        long long value = strtoll(word + n + 1, &end, 10);
        if (end != word + length || end == word + n + 1 || value < 0) break;
        *(int64_t *)((char *)&bent + knobs[i].offset) = value;
        return;
    }
    fprintf(stderr, "REPRISE_BENT: \"%.*s\" is no profile and no knob (see tests/layers/bent.h)\n",
            (int)length, word);
    exit(2);
}

static void read_words(const char *text) {
    const char *separators = " ,";
    for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
        size_t length = strcspn(text, separators);
        read_word(text, length);
        text += length;
    }
}

const char *bent_name(void) {
    const char *name = getenv("REPRISE_BENT");
    return name ? name : "";
}

static void read_once(void) {
    memset(&bent, 0xff, sizeof bent); /* every knob -1 */
    read_words(bent_name());
}

const bend *bent_get(void) {
    pthread_once(&once, read_once);
    return &bent;
}
