/* The body of a request to reprise serve: a letter that says for which route, and the body behind it. What
 * was read lies in the body, and is complete. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "tools/serve/read.h"

/* Those of each route, from 'a' on. */
static bool (*const readers[])(rp_ask *, rp_trouble *) = {
    rp_read_embed,      rp_read_openai,   rp_read_predict,  rp_read_rerank,    rp_read_cohere,
    rp_read_similarity, rp_read_tokenize, rp_read_decode,   rp_read_coherence, rp_read_choose,
    rp_read_moderate,   rp_read_score,    rp_read_search,   rp_read_summarize, rp_read_task,
    rp_read_labels,     rp_read_entities, rp_read_question, rp_read_mask,      rp_read_zero_shot,
};
enum { READERS = sizeof readers / sizeof *readers };

static void look_at_text(rp_text text) {
    volatile char sum = 0;
    for (size_t i = 0; i < text.size; i++) sum ^= text.data[i];
}

static void look_at(const rp_ask *ask) {
    for (size_t i = 0; i < ask->count; i++) {
        look_at_text(ask->inputs[i].text);
        look_at_text(ask->inputs[i].pair);
        FUZZ_CHECK(!ask->ids || !ask->ids[i] || ask->ids[i]->type == RP_JSON_ARRAY);
    }
    for (size_t i = 0; i < ask->text_count; i++) look_at_text(ask->texts[i]);
    for (size_t i = 0; i < ask->label_count; i++) FUZZ_CHECK(*ask->labels[i]);
    if (ask->prompt_name) look_at_text((rp_text){ask->prompt_name, strlen(ask->prompt_name)});
    if (ask->model) look_at_text((rp_text){ask->model, strlen(ask->model)});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size || data[0] < 'a' || data[0] >= 'a' + READERS) return 0;
    const rp_route route = {.read = readers[data[0] - 'a']};
    rp_ask ask = {0};
    rp_trouble problem = {0};
    /* A copy of its own, so that reading past it is seen. */
    size--;
    char *body = malloc(size + 1);
    FUZZ_CHECK(body);
    memcpy(body, data + 1, size);
    char *exact = realloc(body, size ? size : 1);
    if (rp_ask_read(&ask, &route, exact, size, &problem)) {
        FUZZ_CHECK(!problem.status);
        free(exact);
        look_at(&ask);
        rp_ask_free(&ask);
    } else {
        FUZZ_CHECK(problem.status >= 400 && problem.type && *problem.message);
        FUZZ_CHECK(!ask.inputs && !ask.body.memory);
        free(exact);
    }
    return 0;
}
