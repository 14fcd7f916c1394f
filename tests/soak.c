/* soak [INFERENCES]: texts of every length, batches of every size, and every failure that a text can cause,
 * for as long as wanted; the memory of the process and of the device must stay flat after the first tenth.
 * The test runs a few; 100,000 are for a quiet hour. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reprise/reprise.h"

enum { MOST_WORDS = 60, SHORT = 7, MOST_BATCH = 16, FLAT_KIB = 2048 };

static unsigned long long state = 1;

static unsigned draw(unsigned below) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(state >> 33) % below;
}

static long rss_kib(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int open_files(void) {
    int count = 0;
    DIR *list = opendir("/proc/self/fd");
    while (list && readdir(list)) count++;
    if (list) closedir(list);
    return count;
}

/* Words of a review; one in fifty is no text. */
static size_t make_text(char *out, size_t size) {
    static const char *const words[] = {"a",
                                        "warm",
                                        "and",
                                        "funny",
                                        "film",
                                        ".",
                                        "not",
                                        "one",
                                        "laugh",
                                        "in",
                                        "it",
                                        ",",
                                        "unbelievable",
                                        "caf\xc3\xa9",
                                        "[SEP]",
                                        "3,000",
                                        "\xe4\xb8\xad",
                                        "\xf0\x9f\x98\x80"};
    size_t used = 0;
    for (unsigned n = draw(draw(20) ? SHORT : MOST_WORDS); n; n--)
        used += (size_t)snprintf(out + used, size - used, "%s ", words[draw(sizeof words / sizeof *words)]);
    if (draw(50) == 0) out[used++] = (char)0xff;
    return used;
}

/* One call; adds what was answered and what failed. False when the call itself fails. */
static bool infer(rp_model *model, unsigned long *answered, unsigned long *refused) {
    static char texts[MOST_BATCH][MOST_WORDS * 16];
    rp_input inputs[MOST_BATCH] = {{{0}, {0}}};
    rp_result *result = NULL;
    rp_error err;
    size_t count = 1 + draw(MOST_BATCH);
    for (size_t i = 0; i < count; i++)
        inputs[i].text = (rp_text){texts[i], make_text(texts[i], sizeof texts[i])};
    if (draw(4) == 0) inputs[0].pair = inputs[count - 1].text;
    if (rp_classify(model, inputs, count, NULL, &result, &err)) {
        fprintf(stderr, "soak: %s\n", err.message);
        return false;
    }
    for (size_t i = 0; i < count; i++) *(rp_result_status(result, i, NULL) ? refused : answered) += 1;
    rp_result_free(&result);
    return true;
}

int main(int argc, char **argv) {
    unsigned long wanted = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000, answered = 0, refused = 0;
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_error err;
    rp_model_params params = {.max_batch_tokens = 256};
    if (rp_device_open(NULL, &device, &err) ||
        rp_model_open(device, SOURCE_DIR "/tools/models/sentiment", &params, &model, &err)) {
        fprintf(stderr, "soak: %s\n", err.message);
        return 1;
    }
    uint64_t device_bytes = rp_device_memory_used(device);
    long begin = rss_kib(), warm = 0;
    int files = 0;
    bool good = true;
    while (good && answered < wanted) {
        good = infer(model, &answered, &refused);
        if (warm || answered < wanted / 10) continue;
        warm = rss_kib();
        files = open_files();
    }
    long end = rss_kib();
    printf("%lu inferences, %lu texts refused; host %ld KiB opened, %ld after a tenth, %ld at the end; "
           "device %llu "
           "bytes, %llu at the end\n",
           answered, refused, begin, warm, end, (unsigned long long)device_bytes,
           (unsigned long long)rp_device_memory_used(device));
    good = good && end - warm <= FLAT_KIB && rp_device_memory_used(device) == device_bytes &&
           open_files() == files;
    rp_model_close(&model);
    good = good && rp_device_memory_used(device) == 0;
    rp_device_close(&device);
    if (!good) fprintf(stderr, "soak: memory or files grow\n");
    return good ? 0 : 1;
}
