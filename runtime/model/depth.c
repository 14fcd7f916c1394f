#include "model/depth_state.h"

#include <string.h>

#include "base/clock.h"
#include "base/os.h"

/* ---- texts come and go; the lock is held ---- */

static void append(rp_depth *d, rp_depth_call *run, rp_depth_text *text) {
    text->came = rp_seconds();
    run->offered += text->sequence->count;
    d->texts[d->count++] = text;
    d->arrivals++;
}

void rp_depth_offer(rp_depth *d, rp_depth_call *run) {
    while (run->next < run->count && !run->status) {
        rp_depth_text *text = &run->texts[run->next];
        bool nothing = rp_output_rows(text->output) == RP_COUNT_ROWS && !text->row_count;
        if (!nothing && run->offered && run->offered + text->sequence->count > d->ticks->tokens) break;
        run->next++;
        if (nothing) {
            text->done = true;
            run->done++;
        } else {
            append(d, run, text);
        }
    }
}

/* A tick that is prepared has taken the last of the free places: it is to be chosen anew. */
static void free_places(rp_depth *d, rp_depth_text *text) {
    if (!text->inside) return;
    d->changes++;
    memcpy(d->places + d->place_count, text->places, text->sequence->count * sizeof *text->places);
    d->place_count += text->sequence->count;
    text->inside = false;
}

static void free_all_places(rp_depth *d) {
    d->place_count = d->ticks->slab_rows;
    for (uint32_t i = 0; i < d->place_count; i++) d->places[i] = d->place_count - 1 - i;
}

void rp_depth_withdraw(rp_depth *d, rp_depth_call *run) {
    size_t kept = 0;
    for (size_t i = 0; i < d->count; i++) {
        rp_depth_text *text = d->texts[i];
        if (text->run != run || text->leaving)
            d->texts[kept++] = text;
        else
            free_places(d, text);
    }
    d->count = kept;
    d->changes++;
}

static void fail(rp_depth *d, rp_depth_call *run, rp_status status, const rp_error *err) {
    if (run->status) return;
    run->status = status;
    run->err = *err;
    rp_depth_withdraw(d, run);
    pthread_cond_signal(&run->changed);
}

/* ---- a tick; the driver holds the lock, except while the device works ---- */

/* What the choice depends on that may have changed: by a loss of the device, or by what was learnt of its
 * speed. The driver has the model's turn. */
static void update_chooser(rp_depth *d) {
    const rp_model *model = d->model;
    rp_chooser *c = &d->chooser;
    double longest =
        c->layers * rp_layer_work(&model->config, &(rp_sequence){.count = model->config.max_positions});
    c->most_tokens = d->most && d->most < model->batch_tokens ? d->most : model->batch_tokens;
    c->most_layer = rp_pace_most(&model->pace);
    c->most_work = rp_pace_batch(&model->pace);
    if (c->most_work < longest) c->most_work = longest; /* some text alone takes that long */
}

static void choose(rp_depth *d) {
    rp_tick_set *set = &d->ticks->sets[d->set];
    update_chooser(d);
    rp_tick_choose(&d->chooser, d->texts, d->count, d->order, d->places, d->place_count, rp_seconds(),
                   &set->tick);
    d->prepared = set->tick.batch.count || set->tick.leave.count;
    d->prepared_changes = d->changes;
    d->prepared_arrivals = d->arrivals;
    if (d->prepared) rp_ticks_fill(d->ticks, set);
}

/* The device works on the tick before: choose the next one, and write it. */
static void prepare_next(void *user) {
    rp_depth *d = user;
    pthread_mutex_lock(&d->lock);
    d->prepared = false;
    if (d->count && !(rp_tick_wait(&d->chooser, d->texts, d->count, rp_seconds()) > 0)) choose(d);
    pthread_mutex_unlock(&d->lock);
}

/* The tick is about to be submitted: note what will be true behind it. */
static void commit(rp_depth *d, rp_tick *tick) {
    rp_queue_counts *counts = &d->counts;
    if (tick->join.count < d->count) counts->joins += tick->join.count;
    counts->ticks++;
    counts->layers += tick->layers;
    counts->layer_tokens += (uint64_t)tick->layers * tick->batch.tokens;
    d->place_count -= tick->join.tokens;
    for (size_t i = 0; i < tick->join.count; i++) tick->join.texts[i]->inside = true;
    for (size_t i = 0; i < tick->batch.count; i++) {
        rp_depth_text *text = tick->batch.texts[i];
        text->left -= tick->layers;
        text->run->marked = true;
        text->leaving = text->patience > 0; /* the device decides */
        text->run->leaving += text->leaving;
    }
    size_t rows = tick->rows;
    for (size_t i = 0; i < tick->leave.count; i++) {
        rp_depth_text *text = tick->leave.texts[i];
        bool whole = rp_output_rows(text->output) != RP_COUNT_ROWS || text->row_count <= rows;
        rows -= whole && rp_output_rows(text->output) == RP_COUNT_ROWS ? text->row_count : 0;
        text->leaving = text->run->marked = true;
        text->run->leaving++;
        if (whole) free_places(d, text);
    }
}

/* The results of a text are where they belong. */
static void finish(rp_depth *d, rp_depth_text *text) {
    rp_depth_call *run = text->run;
    text->done = true;
    run->done++;
    run->offered -= text->sequence->count;
    d->counts.texts++;
    d->counts.tokens += text->sequence->count;
}

/* Texts of a run were in a tick from which they may have left. */
static void go_on(rp_depth *d, rp_depth_call *run) {
    rp_depth_offer(d, run);
    if (run->tells || run->status || run->done == run->count) pthread_cond_signal(&run->changed);
}

/* Layers of the tick that the device passed over, for the whole batch had left before them. */
static uint32_t passed_over(const rp_tick *tick, uint32_t layers) {
    uint32_t least = tick->patient.count < tick->batch.count ? 0 : tick->layers;
    for (size_t i = 0; i < tick->patient.count; i++) {
        const rp_depth_text *text = tick->patient.texts[i];
        uint32_t over = text->exited ? layers - text->left - text->exited : 0;
        if (over < least) least = over;
    }
    return least;
}

/* After a tick: those that have their results go, whoever waits for them hears of it, and runs offer more. */
static void settle(rp_depth *d, const rp_tick *tick, double seconds) {
    size_t kept = 0;
    uint32_t over = passed_over(tick, d->chooser.layers);
    d->counts.device_seconds += seconds;
    d->counts.layers -= over;
    d->counts.layer_tokens -= (uint64_t)over * tick->batch.tokens;
    d->last = seconds;
    for (size_t i = 0; i < d->count; i++) {
        rp_depth_call *run = d->texts[i]->run;
        run->times.submissions += run->marked;
        run->times.device += run->marked ? seconds : 0;
        run->marked = false;
    }
    for (size_t i = 0; i < d->count; i++) {
        rp_depth_text *text = d->texts[i];
        rp_depth_call *run = text->run;
        bool goes = text->leaving && (rp_output_rows(text->output) != RP_COUNT_ROWS || !text->row_count);
        if (text->patience) goes = text->exited;
        run->leaving -= text->leaving;
        if (goes) finish(d, text);
        if (text->exited) free_places(d, text);
        if (text->leaving && run->status && !goes) { /* nobody waits for it any more */
            free_places(d, text);
            goes = true;
        }
        text->leaving = false;
        if (!goes) d->texts[kept++] = text;
    }
    d->count = kept;
    for (size_t i = 0; i < tick->leave.count; i++) go_on(d, tick->leave.texts[i]->run);
    for (size_t i = 0; i < tick->patient.count; i++) go_on(d, tick->patient.texts[i]->run);
    d->changes += tick->patient.count;
}

/* The hidden states of everybody inside are lost or in doubt: they begin again. `failed`: by a tick that
 * failed. */
static void begin_again(rp_depth *d, bool failed) {
    for (size_t i = 0; i < d->count; i++) {
        rp_depth_text *text = d->texts[i];
        if (!text->inside && !text->leaving) continue;
        text->failures += failed;
        text->run->leaving -= text->leaving;
        text->run->marked = text->leaving = text->inside = false;
        text->left = d->chooser.layers;
        d->counts.repeats++;
    }
    free_all_places(d);
    d->changes++;
}

/* A tick failed. Whoever was in it begins again, once; where the device had no memory, in smaller batches. */
static void restart(rp_depth *d, const rp_tick *tick, rp_status status, const rp_error *err) {
    bool halve = status == RP_ERROR_DEVICE_MEMORY && tick->batch.count > 1;
    if (halve) d->most = tick->batch.tokens / 2;
    begin_again(d, !halve);
    for (size_t i = 0; i < d->count;) {
        rp_depth_call *run = d->texts[i]->run;
        bool ended = run->status;
        if (!ended && d->texts[i]->failures <= 1) {
            i++;
            continue;
        }
        fail(d, run, status, err);
        if (ended) rp_depth_withdraw(d, run); /* it waited for those that left */
        pthread_cond_signal(&run->changed);
        i = 0;
    }
}

static void fail_all(rp_depth *d, rp_status status, const rp_error *err) {
    while (d->count) fail(d, d->texts[0]->run, status, err);
}

/* ---- the driver ---- */

/* Within the model's turn. False: there is nothing to do after all. Who came after the tick was prepared may
 * be in it nevertheless, where ticks take longer than preparing another one. */
static bool next_tick(rp_depth *d, rp_tick_set **set) {
    static const double SHORT = 1e-3; /* seconds */
    pthread_mutex_lock(&d->lock);
    if (d->recordings != d->ticks->recordings) begin_again(d, false); /* the slab is a new one */
    d->recordings = d->ticks->recordings;
    bool late = d->prepared_arrivals != d->arrivals && d->last > SHORT;
    if (!d->prepared || d->prepared_changes != d->changes || late) choose(d);
    bool any = d->prepared;
    d->prepared = false;
    if (any) {
        *set = &d->ticks->sets[d->set];
        commit(d, &(*set)->tick);
        d->set ^= 1;
    }
    pthread_mutex_unlock(&d->lock);
    return any;
}

static void make_tick(rp_depth *d) {
    rp_error err;
    rp_tick_set *set = NULL;
    double seconds = 0;
    rp_status status = rp_model_begin(d->model, &err);
    bool begun = !status;
    if (begun) status = rp_ticks_record(d->ticks, &err);
    if (!status && next_tick(d, &set)) status = rp_ticks_run(d->ticks, set, prepare_next, d, &seconds, &err);
    if (begun) rp_model_end(d->model, status);
    pthread_mutex_lock(&d->lock);
    if (status) d->prepared = false;
    if (status && !set)
        fail_all(d, status, &err);
    else if (status)
        restart(d, &set->tick, status, &err);
    else if (set)
        settle(d, &set->tick, seconds);
    pthread_mutex_unlock(&d->lock);
}

static void *drive(void *user) {
    rp_depth *d = user;
    double end = rp_seconds() + RP_IDLE_SECONDS, left;
    pthread_mutex_lock(&d->lock);
    while (left = end - rp_seconds(), d->count || (left > 0 && !d->stopping)) {
        double wait = rp_tick_wait(&d->chooser, d->texts, d->count, rp_seconds());
        if (!d->count) {
            d->most = 0;
            rp_os_condition_wait(&d->came, &d->lock, left);
        } else if (wait > 0 && !d->stopping) {
            rp_os_condition_wait(&d->came, &d->lock, wait);
        } else {
            pthread_mutex_unlock(&d->lock);
            make_tick(d);
            pthread_mutex_lock(&d->lock);
            end = rp_seconds() + RP_IDLE_SECONDS;
        }
    }
    d->driving = false;
    d->ended = true;
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

rp_status rp_depth_have_driver(rp_depth *d, rp_error *err) {
    if (d->ended) pthread_join(d->driver, NULL);
    d->ended = false;
    if (!d->driving) d->driving = !pthread_create(&d->driver, NULL, drive, d);
    if (d->driving) return RP_OK;
    return rp_fail(err, RP_ERROR_HOST_MEMORY, "the system has no thread for a queue; close others");
}

/* ---- the beginning and the end ---- */

/* Within the model's turn. */
static rp_status prepare(rp_depth *d, rp_error *err) {
    rp_model *model = d->model;
    rp_status status;
    RP_TRY(rp_ticks_open(model, err));
    d->ticks = model->ticks;
    RP_TRY(rp_ticks_record(d->ticks, err));
    d->recordings = d->ticks->recordings;
    uint64_t places = (uint64_t)d->ticks->tokens * RP_SLAB_BATCHES;
    d->places = rp_new_array(uint32_t, places);
    if (!d->places) RP_TRY(rp_fail_memory(err, "a queue", places * sizeof *d->places));
    free_all_places(d);
    if (d->chooser.policy <= RP_POLICY_JOIN) /* the others run what there is to its end */
        RP_TRY(rp_ticks_measure(d->ticks, &d->chooser, d->places, err));
    update_chooser(d);
done:
    if (status) {
        rp_ticks_drop(model->ticks);
        rp_ticks_close(model);
    }
    return status;
}

static void destroy(rp_depth *d) {
    pthread_cond_destroy(&d->came);
    pthread_mutex_destroy(&d->lock);
    free(d->texts);
    free(d->order);
    free(d->places);
    free(d);
}

/* A run that takes turns may be making the model's objects again, or dropping them: this waits for it. */
static void drop_ticks(rp_model *model) {
    rp_visit nobody;
    rp_visit_push(&nobody, NULL); /* whose call this thread is in does not end it here */
    rp_turns_take(&model->turns, NULL);
    rp_visit_pop(&nobody);
    rp_device_enter_to_close(model->device);
    rp_ticks_drop(model->ticks);
    rp_ticks_close(model);
    rp_device_leave(model->device, RP_OK);
    rp_turns_give(&model->turns);
}

static rp_depth *make(rp_model *model, const rp_queue_params *params) {
    rp_depth *d = rp_new(rp_depth);
    if (!d) return NULL;
    d->model = model;
    rp_policy policy = params->policy;
    bool differ = model->config.groups > 1;
    d->chooser = (rp_chooser){.policy = differ && policy < RP_POLICY_DYNAMIC ? RP_POLICY_DYNAMIC : policy,
                              .layers = model->config.layers,
                              .budget = params->budget,
                              .wait_count = params->static_texts ? params->static_texts : 32,
                              .wait_seconds = params->static_seconds > 0 ? params->static_seconds : 0.005,
                              .widths = &model->widths,
                              .model = model};
    pthread_mutex_init(&d->lock, NULL);
    rp_call_init_cond(&d->came);
    return d;
}

/* From now on nobody else opens a queue in front of the model; or somebody may again. */
static bool claim(rp_model *model) {
    pthread_mutex_lock(&model->depth_lock);
    bool had = model->queued;
    model->queued = true;
    pthread_mutex_unlock(&model->depth_lock);
    return !had;
}

static void let(rp_model *model, rp_depth *d, bool queued) {
    pthread_mutex_lock(&model->depth_lock);
    model->depth = d;
    model->queued = queued;
    pthread_mutex_unlock(&model->depth_lock);
}

rp_status rp_depth_start(rp_model *model, const rp_queue_params *params, rp_error *err) {
    if (!claim(model))
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_queue_open: %s has a queue; close that one first",
                       model->dir);
    rp_depth *d = make(model, params);
    rp_status status = d ? rp_model_begin(model, err) : rp_fail_memory(err, "a queue", sizeof *d);
    bool parts = !status && model->parts;
    if (!status) status = rp_model_end(model, parts ? RP_OK : prepare(d, err));
    bool taken = !status && !parts;
    if (d && !taken) destroy(d);
    let(model, taken ? d : NULL, !status);
    return status;
}

void rp_depth_stop(rp_model *model) {
    pthread_mutex_lock(&model->depth_lock);
    rp_depth *d = model->depth;
    model->depth = NULL;
    while (model->depth_users) pthread_cond_wait(&model->depth_left, &model->depth_lock);
    pthread_mutex_unlock(&model->depth_lock);
    if (d) {
        pthread_mutex_lock(&d->lock);
        d->stopping = true;
        bool join = d->driving || d->ended;
        pthread_cond_signal(&d->came);
        pthread_mutex_unlock(&d->lock);
        if (join) pthread_join(d->driver, NULL);
        drop_ticks(model);
        destroy(d);
    }
    let(model, NULL, false);
}
