/* Memory or Vulkan fails in one process of a world: all of them end with the same error, none waits, and the
 * same world trains again. The test starts itself under mpirun, as test_mpi does; what a rank finds wrong, it
 * says and exits with 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "reprise/reprise.h"
#include "support_faults.h"
#include "support_fixture.h"
#include "support_mpi.h"
#include "wrap_alloc.h"

#define TEXT "a letter came.\nhe read it twice.\n\nthe ship was old.\nit sank.\n\nwe ran.\nit rained.\n"
#define ROWS \
    "sentence1\tsentence2\na warm film\ta fine one\nit rained\tthe day was wet\nwe ate\tdinner was good\n"
enum { PATH = FIXTURE_PATH_SIZE + 64 };

/* ---- a rank ---- */

static char text[PATH], pairs[PATH], config[PATH], model[PATH];

/* A training of two steps with an evaluation or a checkpoint: of a new model, or of pairs. */
static rp_status train(bool new, const char *out, rp_error *err) {
    const char *const texts[] = {text};
    const rp_pretrain_params makes = {.corpus = texts,
                                      .corpus_count = 1,
                                      .config = config,
                                      .tokenizer = SOURCE_DIR "/tools/models/pretrained",
                                      .dev = text,
                                      .out = out,
                                      .batch_size = 2,
                                      .steps = 2,
                                      .world = mpi_world};
    const rp_finetune_params teaches = {.model = model,
                                        .task = RP_EVAL_EMBED,
                                        .train = pairs,
                                        .out = out,
                                        .batch_size = 2,
                                        .steps = 2,
                                        .save_every = 1,
                                        .precision = RP_PRECISION_F16,
                                        .world = mpi_world};
    return new ? rp_pretrain(mpi_device, &makes, err) : rp_finetune(mpi_device, &teaches, err);
}

static bool is_there(const char *out) {
    char path[PATH + 32];
    snprintf(path, sizeof path, "%s/model.safetensors", out);
    return !access(path, F_OK);
}

/* Train while call number `n` of `function`, or an allocation, fails in one rank. True: it came. */
static bool try(const char *dir, uint32_t victim, const char *function, VkResult result, int n) {
    static int number;
    char out[PATH];
    rp_error err = {0};
    bool mine = rp_world_rank(mpi_world) == victim, new = n % 2;
    snprintf(out, sizeof out, "%s/out%d", dir, number++);
    if (mine && function) fault_begin(function, n, result);
    if (mine && !function) alloc_begin(n);
    rp_status status = train(new, out, &err);
    bool came = mine && (function ? fault_end() : alloc_end());
    /* what rank 0 has, and whether it came to any */
    uint64_t told[] = {status, 0};
    MPI_NEED(!rp_world_tell(mpi_world, RP_OK, told, 1, NULL) && told[0] == (uint64_t)status);
    rp_error unwanted = {0};
    came = rp_world_agree(mpi_world, came ? RP_ERROR_CANCELLED : RP_OK, &unwanted) != RP_OK;
    if (status) {
        MPI_NEED(came && !strncmp(err.message, "rank ", 5) && strlen(err.message) > 20);
        MPI_NEED(function || status == RP_ERROR_HOST_MEMORY);
    }
    MPI_NEED(rp_world_rank(mpi_world) || is_there(out) == !status);
    MPI_NEED(!rp_device_memory_used(mpi_device));
    return came;
}

static void begin(char **args) {
    rp_error err = {0};
    mpi_begin(100);
    snprintf(text, sizeof text, "%s/text.txt", args[0]);
    snprintf(pairs, sizeof pairs, "%s/pairs.tsv", args[0]);
    snprintf(config, sizeof config, "%s/tiny.json", args[0]);
    snprintf(model, sizeof model, "%s/model", args[0]);
    if (train(true, model, &err)) fprintf(stderr, "%s\n", err.message);
    MPI_NEED(!err.message[0]);
}

/* allocations FOLDER: in the one rank and in the other, in turn. */
static void run_allocations(char **args) {
    int failures = 0;
    begin(args);
    for (int i = 0, n = 0, last[2] = {0, 0}; !last[0] || !last[1]; i++, n += 1 + n / (9 - fixture_stride(8)))
        for (uint32_t victim = 0; victim < 2; victim++) {
            if (fixture_stride(2) > 1 && victim != (uint32_t)i % 2) continue;
            bool came = try(args[0], victim, NULL, VK_SUCCESS, n);
            failures += came;
            last[victim] = !came || last[victim];
        }
    MPI_NEED(failures > 8);
    mpi_end();
}

/* calls FOLDER */
static void run_calls(char **args) {
    static const struct {
        const char *function;
        VkResult result;
    } faults[] = {{"vkQueueSubmit", VK_ERROR_OUT_OF_HOST_MEMORY},
                  {"vkAllocateMemory", VK_ERROR_OUT_OF_DEVICE_MEMORY},
                  {"vkMapMemory", VK_ERROR_MEMORY_MAP_FAILED},
                  {"vkCreateBuffer", VK_ERROR_OUT_OF_HOST_MEMORY},
                  {"vkBeginCommandBuffer", VK_ERROR_OUT_OF_HOST_MEMORY},
                  {"vkWaitForFences", VK_ERROR_OUT_OF_DEVICE_MEMORY}};
    begin(args);
    for (size_t i = 0; i < RP_COUNT(faults); i++) {
        bool came = true;
        for (int n = fixture_stride(2) > 1 ? 7 : 0;
             came && n<200; n += fixture_stride(2)> 1 ? 500 : 1 + n / 2)
            came = try(args[0], (uint32_t)(i + (size_t)n) % 2, faults[i].function, faults[i].result, n);
    }
    mpi_end();
}

/* ---- what starts them ---- */

static void start(const char *job) {
    char dir[FIXTURE_PATH_SIZE];
    assert_true(fixture_make_dir(dir) && fixture_write_text(dir, "text.txt", TEXT) &&
                fixture_write_text(dir, "pairs.tsv", ROWS) &&
                fixture_write_text(dir, "tiny.json", FIXTURE_TINY("")));
    int status = mpi_run_job(2, job, dir, NULL, NULL);
    fixture_remove_dir(dir);
    assert_int_equal(status, 0);
}

static void test_allocations(void **state) {
    (void)state;
    start("allocations");
}

static void test_calls(void **state) {
    (void)state;
    start("calls");
}

int main(int count, char **args) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_allocations), cmocka_unit_test(test_calls)};
    if (count > 1) return (strcmp(args[1], "calls") ? run_allocations : run_calls)(args + 2), 0;
    if (!mpi_is_there()) {
        printf("mpirun is not installed: left out\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
