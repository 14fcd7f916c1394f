/* Classify many texts, end the call from another thread after a moment, and classify one text then. */
#include <pthread.h>
#include <reprise/reprise.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXTS = 20000 };

static void *end_it(void *call) {
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    rp_call_cancel(call);
    return NULL;
}

int main(void) {
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_result *result = NULL;
    rp_error err;
    rp_call call = {0};
    rp_classify_params params = {.call = &call};
    pthread_t thread;
    rp_input *inputs = calloc(TEXTS, sizeof *inputs);
    if (!inputs) return 1;
    for (int i = 0; i < TEXTS; i++) inputs[i] = (rp_input){.text = RP_TEXT("a warm and funny film")};
    if (rp_device_open(NULL, &device, &err) || rp_model_open(device, "sentiment", NULL, &model, &err) ||
        rp_classify(model, inputs, 1, NULL, &result, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    rp_result_free(&result);
    double started = rp_clock();
    if (pthread_create(&thread, NULL, end_it, &call)) return 1;
    rp_status status = rp_classify(model, inputs, TEXTS, &params, &result, &err);
    double took = rp_clock() - started;
    pthread_join(thread, NULL);
    printf("%s after %.2f s\n", rp_status_name(status), took);
    if (status != RP_ERROR_CANCELLED || result) return 1;
    call.cancel = 0;
    if (rp_classify(model, inputs, 1, &params, &result, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    size_t count = 0;
    const rp_label *labels = rp_result_labels(result, 0, &count);
    int good = count > 0 && !strcmp(labels[0].label, "POSITIVE");
    rp_result_free(&result);
    rp_model_close(&model);
    rp_device_close(&device);
    free(inputs);
    return !good;
}
