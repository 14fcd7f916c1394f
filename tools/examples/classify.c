/* classify MODEL_FOLDER TEXT...: the most likely label of each text, on the best GPU of this machine.
 *
 *     cc classify.c $(pkg-config --cflags --libs reprise) -o classify */
#include <reprise/reprise.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_error err;
    int failed = argc < 3;
    if (failed) {
        fprintf(stderr, "usage: classify MODEL_FOLDER TEXT...\n");
    } else if (rp_device_open(NULL, &device, &err) || rp_model_open(device, argv[1], NULL, &model, &err)) {
        fprintf(stderr, "%s\n", err.message);
        failed = 1;
    }
    for (int i = 2; i < argc && !failed; i++) {
        rp_input input = {.text = {argv[i], strlen(argv[i])}};
        rp_result *result = NULL;
        const char *why = err.message;
        size_t count = 0;
        failed = rp_classify(model, &input, 1, NULL, &result, &err) || rp_result_status(result, 0, &why);
        const rp_label *best = failed ? NULL : rp_result_labels(result, 0, &count);
        if (best)
            printf("%.4f %s: %s\n", best->score, best->label, argv[i]);
        else
            fprintf(stderr, "%s\n", why);
        rp_result_free(&result);
    }
    rp_model_close(&model);
    rp_device_close(&device);
    return failed;
}
