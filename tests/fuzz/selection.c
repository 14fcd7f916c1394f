/* What the cache says of kernels: which is the fastest, and whether one is right. The first byte says of
 * which entry the rest is the content. Whatever it says, a kernel is selected, never the wrong one that was
 * not vouched for; and the selection stays at the next start. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "gpu/cache.h"
#include "ops/class.h"
#include "ops/selection.h"

enum { ONE, TWO, THREE, KERNELS };
static const char *const names[KERNELS] = {"one", "two", "three"};

static rp_device device = {.losses_lock = PTHREAD_MUTEX_INITIALIZER, .tuning_limit = 1e9};
static unsigned measured;
static char tuning[RP_ENTRY_NAME], verdict[RP_ENTRY_NAME]; /* the second of kernel three */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    (void)caps, (void)use;
    for (uint32_t i = 0; i < KERNELS; i++) {
        out[i] = (rp_kernel){.rows = i};
        strcpy(out[i].name, names[i]);
    }
    return KERNELS;
}

static rp_status tune(rp_tuning *t, const rp_op *op, const rp_kernel *kernel, double *seconds,
                      rp_error *err) {
    static const double times[KERNELS] = {3, 1, 2};
    (void)t, (void)op, (void)err;
    *seconds = times[kernel->rows];
    measured++;
    return RP_OK;
}

static bool is_tuned(const rp_caps *caps, const rp_op *op) {
    (void)caps, (void)op;
    return true;
}

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    (void)n, (void)err;
    *proof->difference = (rp_difference){.error = proof->kernel->rows == TWO, .bound = 0.5};
    return RP_OK;
}

static const rp_class class = {
    .name = "op", .plan = plan, .is_tuned = is_tuned, .tune = tune, .cases = 1, .prove = prove};

static uint32_t select_kernel(void) {
    rp_op op = {.class = &class};
    rp_ops ops = {0};
    rp_error err = {0};
    measured = 0;
    rp_ops_init(&ops, &device, (rp_range){0}, (rp_range){0});
    FUZZ_CHECK(!fuzz_status(rp_op_select(&ops, &op, &err), &err));
    rp_ops_finish(&ops);
    return op.kernel.rows;
}

/* True for an entry with this content. */
static bool holds(const char *name, const char *content) {
    void *data = NULL;
    size_t size = 0;
    bool same = rp_cache_read(fuzz_folder(), name, &data, &size) && size == strlen(content) &&
                !memcmp(data, content, size);
    free(data);
    return same;
}

/* Remove every entry; with `find` note the names of the two. */
static void clear(bool find) {
    DIR *dir = opendir(fuzz_folder());
    FUZZ_CHECK(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        char path[512];
        if (e->d_name[0] == '.') continue;
        if (find && holds(e->d_name, "two\nthree\none\n"))
            snprintf(tuning, sizeof tuning, "%.63s", e->d_name);
        if (find && holds(e->d_name, "right")) snprintf(verdict, sizeof verdict, "%.63s", e->d_name);
        snprintf(path, sizeof path, "%s/%s", fuzz_folder(), e->d_name);
        unlink(path);
    }
    closedir(dir);
}

static void begin(void) {
    device.cache_dir = (char *)fuzz_folder();
    FUZZ_CHECK(select_kernel() == THREE);
    clear(true);
    FUZZ_CHECK(tuning[0] && verdict[0]);
}

/* An answer ends at a NUL. */
static bool is(const uint8_t *data, size_t size, const char *word) {
    size_t length = strnlen((const char *)data, size);
    return length == strlen(word) && !memcmp(data, word, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    if (!tuning[0]) begin();
    const bool speed = data[0] & 1;
    rp_cache_write(fuzz_folder(), speed ? tuning : verdict, data + 1, size - 1);
    uint32_t selected = select_kernel();
    FUZZ_CHECK(selected == ONE || selected == THREE);
    if (!speed)
        FUZZ_CHECK(measured &&
                   selected ==
                       (is(data + 1, size - 1, "wrong") || is(data + 1, size - 1, "spills") ? ONE : THREE));
    else if (is(data + 1, size - 1, "one\ntwo\nthree\n"))
        FUZZ_CHECK(selected == ONE && !measured);
    FUZZ_CHECK(select_kernel() == selected && !measured);
    clear(false);
    return 0;
}
