/* N-best lists, lines, and chrF of what is in them. */
#include "loader/nbest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "loader/unicode.h"

/* A text of a hypothesis is UTF-8, and as near to itself as can be. */
static void look_at(const rp_hypothesis *h, size_t place) {
    rp_error err = {0};
    double chrf = -1;
    FUZZ_CHECK(h->place == place && isfinite(h->total));
    FUZZ_CHECK(rp_utf8_check(h->text.data, h->text.size) == h->text.size);
    FUZZ_CHECK(rp_utf8_check(h->features.data, h->features.size) == h->features.size);
    FUZZ_CHECK(!fuzz_status(rp_chrf(h->text, h->text, &chrf, &err), &err));
    FUZZ_CHECK(chrf == 0 || fabs(chrf - 100) < 1e-9);
    FUZZ_CHECK(!fuzz_status(rp_chrf(h->text, h->features, &chrf, &err), &err));
    FUZZ_CHECK(chrf >= 0 && chrf < 100 + 1e-9);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[128];
    rp_nbest *list = NULL;
    rp_error err = {0};
    fuzz_file("list", data, size);
    snprintf(path, sizeof path, "%s/list", fuzz_folder());
    if (fuzz_status(rp_nbest_open(path, &list, &err), &err)) return 0;
    for (uint64_t last = 0, id = 0, groups = 0;; groups++, last = id) {
        rp_hypothesis *items;
        size_t count;
        rp_status status = fuzz_status(rp_nbest_next(list, &id, &items, &count, &err), &err);
        if (status || !count) break;
        FUZZ_CHECK(!groups || id > last);
        for (size_t i = 0; i < count; i++) look_at(&items[i], i);
        rp_nbest_rank(items, count, 0.5);
    }
    rp_nbest_close(&list);
    return 0;
}
