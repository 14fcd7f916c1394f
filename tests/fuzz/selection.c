/* What the cache says of kernels: which is the fastest, and whether one is right. The first byte chooses the
 * entry, and whether all of its content is given or only the answer in it. Whatever it says, a kernel is
 * chosen, never the wrong one that was not vouched for; and the choice stays at the next start. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "gpu/cache.h"
#include "gpu/device.h"
#include "ops/contest.h"

enum { ONE, TWO, THREE, KERNELS };
static const char speeds[] = "two\nthree\none\n", right[] = "right";

static rp_device device = {.losses_lock = PTHREAD_MUTEX_INITIALIZER};
static unsigned measured;

static rp_status measure(rp_ops *ops, void *user, double times[RP_MAX_KERNELS], rp_error *err) {
    (void)ops, (void)user, (void)err;
    times[ONE] = 3;
    times[TWO] = 1;
    times[THREE] = 2;
    measured++;
    return RP_OK;
}

static rp_status verify(rp_ops *ops, void *user, uint32_t candidate, rp_difference *out, rp_error *err) {
    (void)ops, (void)user, (void)err;
    *out = (rp_difference){.error = candidate == TWO, .bound = 0.5};
    return RP_OK;
}

static uint32_t choose(void) {
    static const rp_use use = {0};
    static const rp_contest contest = {.op = "op",
                                       .tried = &use,
                                       .shape = "shape",
                                       .use = "use",
                                       .count = KERNELS,
                                       .names = {"one", "two", "three"},
                                       .measure = measure,
                                       .verify = verify};
    rp_ops ops = {.device = &device};
    rp_error err = {0};
    uint32_t chosen = KERNELS;
    FUZZ_CHECK(!fuzz_status(rp_select(&ops, &contest, &chosen, &err), &err));
    free(ops.choices);
    return chosen;
}

/* An entry: its file, and the question that its content begins with. */
typedef struct entry {
    char name[64];
    char *content;
    size_t question;
} entry;
static entry tuning, verdict; /* the second of kernel three */

/* Take what was written as one of the two when it is, and remove it. */
static void take(const char *name, bool keep) {
    char path[512];
    void *data = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    if (keep && rp_cache_read(fuzz_folder(), name, &data, &size)) {
        bool speed = !strncmp(name, "tuning-", 7);
        entry *to = speed ? &tuning : &verdict;
        size_t answer = strlen(speed ? speeds : right);
        bool its = size > answer && !memcmp((char *)data + size - answer, speed ? speeds : right, answer);
        if (its) {
            snprintf(to->name, sizeof to->name, "%s", name);
            to->content = data;
            to->question = size - answer;
            data = NULL;
        }
        free(data);
    }
    unlink(path);
}

static void clear(bool keep) {
    DIR *dir = opendir(fuzz_folder());
    FUZZ_CHECK(dir);
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.') take(e->d_name, keep);
    closedir(dir);
}

static void begin(void) {
    device.cache_dir = (char *)fuzz_folder();
    FUZZ_CHECK(choose() == THREE);
    clear(true);
    FUZZ_CHECK(tuning.content && verdict.content);
}

/* An answer ends at a NUL. */
static bool is(const uint8_t *data, size_t size, const char *word) {
    size_t length = strnlen((const char *)data, size);
    return length == strlen(word) && !memcmp(data, word, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    if (!tuning.content) begin();
    const bool speed = data[0] & 1, whole = data[0] & 2;
    const entry *to = speed ? &tuning : &verdict;
    size_t before = whole ? 0 : to->question;
    char *content = malloc(before + size);
    FUZZ_CHECK(content);
    memcpy(content, to->content, before);
    memcpy(content + before, data + 1, size - 1);
    rp_cache_write(fuzz_folder(), to->name, content, before + size - 1);
    measured = 0;
    uint32_t chosen = choose();
    FUZZ_CHECK(chosen == ONE || chosen == THREE);
    if (!speed) FUZZ_CHECK(measured == 1);
    if (!speed && !whole && (is(data + 1, size - 1, "wrong") || is(data + 1, size - 1, "spills")))
        FUZZ_CHECK(chosen == ONE);
    else if (!speed && !whole)
        FUZZ_CHECK(chosen == THREE);
    else if (!whole && is(data + 1, size - 1, "one\ntwo\nthree\n"))
        FUZZ_CHECK(chosen == ONE && !measured);
    measured = 0;
    FUZZ_CHECK(choose() == chosen && !measured);
    free(content);
    clear(false);
    return 0;
}
