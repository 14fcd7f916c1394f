/* How a device behaves in ticks. */
#include "base/clock.h"
#include "model/ticks.h"

enum { MEASURED = 16, FEW = 64 }; /* tokens of each text that is measured with; and of the smallest batch */

/* The least seconds of some ticks of `layers` layers for texts of `tokens` tokens together. */
static rp_status time_ticks(rp_ticks *ticks, rp_chooser *c, rp_depth_text *texts, uint32_t tokens,
                            uint32_t layers, double *seconds, rp_error *err) {
    static const double ENOUGH = 0.1;
    rp_tick_set *set = &ticks->sets[0];
    rp_tick *tick = &set->tick;
    double begun = rp_seconds();
    rp_status status = RP_OK;
    tick->straight_in = tick->straight_out = false; /* from the slab, and back */
    tick->depth = tick->join.count = tick->leave.count = tick->patient.count = 0;
    tick->work = 0;
    tick->layers = layers < c->layers ? layers : c->layers;
    tick->batch.count = tick->batch.tokens = 0;
    for (uint32_t i = 0; tick->batch.tokens < tokens; i++) {
        tick->batch.texts[tick->batch.count++] = &texts[i];
        tick->batch.tokens += texts[i].sequence->count;
    }
    *seconds = 1e9;
    for (int n = 0; !status && n < 5 && (n < 2 || rp_seconds() - begun < ENOUGH); n++) {
        double unused, before = rp_seconds();
        rp_ticks_fill(ticks, set);
        status = rp_ticks_run(ticks, set, NULL, NULL, &unused, err);
        double took = rp_seconds() - before;
        if (took < *seconds) *seconds = took;
    }
    return status;
}

/* How long a layer takes by the tokens of the batch, and a submission besides; and from how many tokens on
 * the device is busy: where what a tick of one layer takes for any batch is a small part. */
static rp_status measure(rp_ticks *ticks, rp_chooser *c, rp_depth_text *texts, uint32_t most, rp_error *err) {
    static const double LONG = 0.02, SMALL = 0.1;
    uint32_t few = FEW < most ? FEW : most, many = few;
    double once, three, wide, last;
    rp_status status;
    RP_TRY(time_ticks(ticks, c, texts, few, 1, &once, err));
    RP_TRY(time_ticks(ticks, c, texts, few, 3, &three, err));
    wide = once;
    do {
        last = wide;
        many = many * 4 < most ? many * 4 : most;
        RP_TRY(time_ticks(ticks, c, texts, many, 1, &wide, err));
    } while (wide < LONG && many < most && last < LONG);
    double layer = c->layers < 3 ? once : (three - once) / 2;
    double rows = rp_width_rows(c->widths, few), more = rp_width_rows(c->widths, many) - rows;
    if (layer < 0) layer = 0;
    c->submission = once > layer ? once - layer : 0;
    c->token = more > 0 && wide > once ? (wide - once) / more : 0;
    c->replay = layer > c->token * rows ? layer - c->token * rows : 0;
    double busy = (c->submission + c->replay) / (SMALL * c->token + 1e-12);
    if (!c->budget) c->budget = busy > ticks->tokens ? ticks->tokens : busy < 32 ? 32 : (uint32_t)busy;
done:
    return status;
}

/* With texts of zeros, which are nobody's. */
rp_status rp_ticks_measure(rp_ticks *ticks, rp_chooser *chooser, uint32_t *places, rp_error *err) {
    static const int32_t ids[MEASURED];
    const rp_config *config = &ticks->model->config;
    uint32_t length = config->max_positions < MEASURED ? config->max_positions : MEASURED;
    uint32_t count = ticks->model->batch_tokens / length;
    const rp_sequence sequence = {.ids = ids, .count = length};
    rp_depth_text *texts = rp_new_array(rp_depth_text, count);
    rp_status status = RP_OK;
    if (!texts) return rp_fail_memory(err, "a queue", count * sizeof *texts);
    for (uint32_t i = 0; i < count; i++)
        texts[i] = (rp_depth_text){.sequence = &sequence, .places = places + i * length};
    status = measure(ticks, chooser, texts, count * length, err);
    free(texts);
    return status;
}
