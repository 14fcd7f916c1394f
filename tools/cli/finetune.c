/* reprise finetune: teaches a model by a file of labelled texts. */
#include "session.h"
#include "stop.h"
#include "training.h"
#include "world.h"

static rp_status finetune(rp_device *device, rp_world *world, const rp_cli_options *o, rp_cli_watch *w,
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
                                       .early_exit = o->early_exit,
                                       .labels = o->labels,
                                       .label_weight = o->label_weight,
                                       .recompute = o->recompute,
                                       .precision = o->precision,
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
    rp_cli_stop_call(&w->call);
    rp_status status = rp_finetune(device, &params, err);
    rp_cli_stop_call(NULL);
    rp_cli_stop_expected(false);
    return status;
}

static int run(const rp_cli_options *options, rp_cli_output *out) {
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

static const char help_finetune[] =
    "Teach a model by a file of labelled texts or pairs, and write what came of it\n"
    "to the new folder OUT, as Hugging Face's libraries read it.\n"
    "  classify    one label a row\n"
    "  multilabel  any number of labels a row\n"
    "  regress     a number a row\n"
    "  tag         a label a token\n"
    "  answer      questions, and where their contexts answer them (SQuAD)\n"
    "  choose      one of several choices\n"
    "  embed       vectors of pairs: near to each other, or as near as a score says\n"
    "A folder that has a head for the task keeps it, and its labels. Any other gets\n"
    "a new one, with the labels of the data. Files are those of eval. With --dev,\n"
    "OUT is the model of the evaluation with the best accuracy (or f1_micro, pearson,\n"
    "f1, spearmanr). Ctrl-C ends it in mid-step. The same command with --resume\n"
    "goes on from the last checkpoint in OUT, whatever ended it, to the same bits.\n"
    "\n"
    "JSON: one object a line in the file of --log: step, epoch, loss, lr, grad_norm,\n"
    "sequences, tokens, seconds (with --precision f16 scale and skipped); of an\n"
    "evaluation step, epoch, and its metrics as eval_accuracy and so on.\n"
    "\n"
    "Examples:\n"
    "  reprise finetune --train train.tsv --dev dev.tsv -o sentiment2\n"
    "  reprise finetune -m albert --train t.csv -o out --lr 2e-5 --warmup 0.1\n"
    "  reprise finetune -m albert --train t.jsonl -o out --task regress --log l.jsonl\n"
    "  reprise finetune --task answer --train train.json --dev dev.json -o answers\n"
    "  reprise finetune --task embed --train pairs.tsv -o vectors --batch-size 32\n"
    "  reprise finetune --train t.csv --dev d.csv -o out --precision f16 --keep 2\n"
    "  reprise finetune --train t.csv --dev d.csv -o out --save-every 100 --resume\n";

const rp_cli_command rp_cli_command_finetune = {
    .name = "finetune",
    .arguments = "--train FILE -o OUT",
    .summary = "teach a model by labelled texts",
    .help = help_finetune,
    .options = RP_CLI_MODEL | RP_CLI_DEVICE | RP_CLI_MAX_LENGTH | RP_CLI_STRIDE | RP_CLI_FINETUNE,
    .shape = RP_CLI_SHAPE_NONE,
    .bundled = "pretrained",
    .main = run,
};
