/* reprise finetune: teaches a model by a file of labelled texts. */
#include "session.h"
#include "stop.h"
#include "training.h"
#include "world.h"

static rp_status finetune(rp_device *device, rp_world *world, const rp_cli_options *o, const rp_cli_watch *w,
                          rp_error *err) {
    const rp_finetune_params params = {.model = o->model ? o->model : "bundled:pretrained",
                                       .train = o->train,
                                       .dev = o->dev,
                                       .out = o->output,
                                       .task = o->task,
                                       .epochs = o->epochs,
                                       .steps = o->steps,
                                       .batch_size = o->train_batch,
                                       .max_tokens = o->max_length,
                                       .stride = o->stride,
                                       .learning_rate = o->learning_rate,
                                       .warmup = o->warmup,
                                       .optimizer = o->optimizer,
                                       .schedule = o->schedule,
                                       .no_shuffle = o->no_shuffle,
                                       .skip_bad = o->skip_bad,
                                       .weight_decay = o->weight_decay,
                                       .max_grad_norm = o->max_grad_norm,
                                       .label_smoothing = o->label_smoothing,
                                       .seed = o->seed,
                                       .format = o->data_format,
                                       .text_column = o->text_column,
                                       .pair_column = o->pair_column,
                                       .label_column = o->label_column,
                                       .teacher = o->teacher,
                                       .freeze = o->freeze,
                                       .labels = o->labels,
                                       .label_weight = o->label_weight,
                                       .recompute = o->recompute,
                                       .eval_every = o->eval_every,
                                       .save_every = o->save_every == UINT32_MAX ? UINT64_MAX : o->save_every,
                                       .keep = o->keep_count,
                                       .resume = o->resume,
                                       .metric = o->metric,
                                       .log = o->log,
                                       .plot = o->plot,
                                       .command = w->command,
                                       .handler = &w->handler,
                                       .call = &w->call,
                                       .world = world};
    rp_cli_stop_expected(true);
    rp_cli_stop_device(device); /* a signal ends the trying of kernels, too */
    rp_status status = rp_finetune(device, &params, err);
    rp_cli_stop_expected(false);
    return status;
}

int rp_cli_finetune(const rp_cli_options *options, rp_cli_output *out) {
    rp_cli_watch watch;
    rp_world *world = NULL;
    rp_device *device = NULL;
    rp_error err = {0};
    if (options->text_count || !options->train || !options->output) {
        rp_cli_complain(
            "finetune: takes --train FILE with what is learnt and -o with the folder to write; try "
            "'reprise finetune --help'");
        return 2;
    }
    rp_status status = rp_world_open(NULL, &world, &err);
    rp_cli_watch_begin(&watch, options, world, out);
    if (!status) status = rp_cli_world_device(world, options->device, &device, &err);
    if (!status) status = finetune(device, world, options, &watch, &err);
    int exit_status = rp_cli_watch_report(&watch, "finetune", options, status, &err);
    rp_cli_flush(out);
    rp_cli_watch_end(&watch);
    rp_cli_stop_device(NULL);
    rp_device_close(&device);
    rp_world_close(&world);
    return exit_status;
}
