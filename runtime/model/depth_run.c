/* Runs: threads that hand their texts to the scheduler and wait for them. */
#include "model/depth_state.h"

#include "base/alloc.h"
#include "base/clock.h"

/* The texts of a run, and all their places behind them; NULL: out of memory. */
static rp_depth_text *make_texts(const rp_depth *d, rp_depth_call *run, const rp_sequence *sequences,
                                 const rp_run_params *params, float *out) {
    const rp_model *model = d->model;
    size_t width = rp_output_width(model, params->output), row = 0;
    uint64_t tokens = 0;
    rp_count kind = rp_output_rows(params->output);
    for (size_t i = 0; i < run->count; i++) tokens += sequences[i].count;
    rp_depth_text *texts = rp_new_array(rp_depth_text, run->count);
    uint32_t *places = rp_new_array(uint32_t, tokens);
    if (!texts || !places) {
        free(texts);
        free(places);
        return NULL;
    }
    for (size_t i = 0; i < run->count; i++) {
        size_t rows = rp_rows_of(params, row, i);
        texts[i] = (rp_depth_text){.sequence = &sequences[i],
                                   .output = params->output,
                                   .rows = params->rows + row,
                                   .row_count = rows,
                                   .out = out,
                                   .left = model->config.layers,
                                   .patience = params->patience,
                                   .layers = params->layers ? params->layers + i : NULL,
                                   .places = places,
                                   .work = rp_layer_work(&model->config, &sequences[i]),
                                   .run = run};
        places += sequences[i].count;
        row += rows;
        out += width * (kind == RP_COUNT_TOKENS ? sequences[i].count : kind == RP_COUNT_ROWS ? rows : 1);
    }
    return texts;
}

/* Make room for the texts of a run, as many as it offers at a time. */
static bool reserve(rp_depth *d, size_t count) {
    size_t needed = d->reserved + count;
    if (!rp_grow((void **)&d->texts, &d->capacity, needed, sizeof *d->texts) ||
        !rp_grow((void **)&d->order, &d->order_capacity, needed, sizeof *d->order))
        return false;
    d->reserved = needed;
    return true;
}

/* Wait for a run that was offered, and tell its caller how it goes. The lock is held. */
static rp_status wait_for(rp_depth *d, rp_depth_call *run, rp_error *err) {
    size_t told = 0;
    while (run->done < run->count && !run->status) {
        rp_status status = rp_call_check(err);
        if (status) {
            run->status = status;
            run->err = *err;
            rp_depth_withdraw(d, run);
            break;
        }
        size_t first = told;
        while (run->tells && told < run->next && run->texts[told].done) told++;
        if (told > first) {
            pthread_mutex_unlock(&d->lock);
            rp_call_run_progress(told, run->count);
            pthread_mutex_lock(&d->lock);
            continue;
        }
        rp_call_wait(&run->changed, &d->lock);
    }
    while (run->leaving) pthread_cond_wait(&run->changed, &d->lock);
    if (run->status) *err = run->err;
    return run->status;
}

static rp_status offer_and_wait(rp_depth *d, rp_depth_call *run, rp_error *err) {
    rp_depth_offer(d, run);
    pthread_cond_signal(&d->came);
    return wait_for(d, run, err);
}

static rp_status run_texts(rp_depth *d, rp_depth_call *run, const rp_sequence *sequences,
                           const rp_run_params *params, float *out, rp_error *err) {
    size_t most = run->count < d->ticks->tokens ? run->count : d->ticks->tokens;
    run->texts = make_texts(d, run, sequences, params, out);
    if (!run->texts)
        return rp_fail_memory(err, "the texts of a run", (unsigned long long)run->count * sizeof *run->texts);
    uint32_t *places = run->texts[0].places;
    const rp_visit *visit = rp_visit_current();
    run->tells = visit && visit->call && visit->call->progress;
    rp_call_init_cond(&run->changed);
    pthread_mutex_lock(&d->lock);
    rp_status status = RP_OK;
    if (reserve(d, most)) {
        status = rp_depth_have_driver(d, err);
        if (!status) status = offer_and_wait(d, run, err);
        d->reserved -= most;
    } else {
        status = rp_fail_memory(err, "the texts of a queue", (unsigned long long)most * sizeof *d->order);
    }
    pthread_mutex_unlock(&d->lock);
    pthread_cond_destroy(&run->changed);
    free(places);
    free(run->texts);
    return status;
}

/* The scheduler, which does not go as long as this thread uses it. */
static rp_depth *take(rp_model *model) {
    pthread_mutex_lock(&model->depth_lock);
    rp_depth *d = model->depth;
    model->depth_users += d != NULL;
    pthread_mutex_unlock(&model->depth_lock);
    return d;
}

static void give(rp_model *model) {
    pthread_mutex_lock(&model->depth_lock);
    if (!--model->depth_users) pthread_cond_broadcast(&model->depth_left);
    pthread_mutex_unlock(&model->depth_lock);
}

rp_status rp_depth_run(rp_model *model, const rp_sequence *sequences, size_t count,
                       const rp_run_params *params, float *out, rp_run_times *times, bool *taken,
                       rp_error *err) {
    rp_depth_call run = {.count = count};
    rp_error unwanted;
    if (!err) err = &unwanted;
    rp_depth *d = count ? take(model) : NULL;
    *taken = d;
    if (!d) return RP_OK;
    rp_status status = run_texts(d, &run, sequences, params, out, err);
    give(model);
    *times = run.times;
    if (!status) rp_call_run_progress(count, count);
    return status;
}

void rp_depth_count(rp_model *model, rp_queue_counts *out) {
    rp_depth *d = take(model);
    if (!d) return;
    pthread_mutex_lock(&d->lock);
    *out = d->counts;
    out->depth_texts = (uint32_t)d->count;
    pthread_mutex_unlock(&d->lock);
    out->budget = d->chooser.budget;
    out->policy = d->chooser.policy;
    give(model);
}
