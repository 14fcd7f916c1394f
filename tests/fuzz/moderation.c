/* Thresholds and a policy of moderation: what stands before "=== policy.json", and what after it. What was
 * read decides on scores. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "apps/chat.h"
#include "apps/moderation.h"
#include "fuzz.h"
#include "loader/json.h"

static const char *const names[] = {"thresholds.json", "policy.json", NULL};
static const char *const labels[] = {"ham", "spam", "call"};
enum { LABELS = sizeof labels / sizeof *labels };

static rp_status read(rp_moderation *m, const char *name,
                      rp_status (*take)(rp_moderation *, const rp_json *, const char *, rp_error *)) {
    rp_json_document document = {0};
    rp_error err = {0};
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    if (!rp_path_exists(path)) return RP_OK;
    rp_status status = fuzz_status(rp_json_load(path, &document, &err), &err);
    if (!status) status = fuzz_status(take(m, &document.root, path, &err), &err);
    rp_json_finish(&document);
    return status;
}

/* What chat reads of the same file. */
static rp_status read_intent(rp_moderation *m, const rp_json *root, const char *path, rp_error *err) {
    double threshold = 0.9;
    (void)m;
    rp_status status = rp_chat_threshold(root, path, &threshold, err);
    FUZZ_CHECK(threshold >= 0 && threshold <= 1);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    double thresholds[LABELS] = {NAN, 0.5, 0.5};
    rp_moderation m = {.label_count = LABELS, .labels = labels, .fallback = "allow"};
    m.thresholds = malloc(sizeof thresholds);
    FUZZ_CHECK(m.thresholds);
    for (int i = 0; i < LABELS; i++) m.thresholds[i] = thresholds[i];
    fuzz_files(names, data, size);
    read(&m, "thresholds.json", read_intent);
    if (!read(&m, "thresholds.json", rp_moderation_thresholds) &&
        !read(&m, "policy.json", rp_moderation_policy)) {
        for (int i = 0; i < LABELS; i++)
            FUZZ_CHECK(isnan(m.thresholds[i]) || (m.thresholds[i] >= 0 && m.thresholds[i] <= 1));
        const char *action = rp_moderation_action(&m, (const float[]){0.2f, 0.7f, 1}, true);
        FUZZ_CHECK(action && *action);
    }
    rp_moderation_finish(&m);
    return 0;
}
