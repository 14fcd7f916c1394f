/* reprise pretrain: teaches a model by plain text. */
#include <stdlib.h>

#include "session.h"
#include "stop.h"
#include "training.h"
#include "world.h"

/* The files of an option, and those that stand behind all options. Freed by the caller. */
static const char *const *join(const char *const *files, size_t count, const rp_cli_options *o) {
    size_t all = count + o->text_count;
    const char **list = rp_cli_realloc(NULL, (all + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++) list[i] = files[i];
    for (size_t i = 0; i < o->text_count; i++) list[count + i] = o->texts[i];
    return list;
}

static rp_status pretrain(rp_device *device, rp_world *world, const rp_cli_options *o, rp_cli_watch *w,
                          rp_error *err) {
    bool prepared = o->instance_count;
    const char *const *files =
        join(prepared ? o->instances : o->corpus, prepared ? o->instance_count : o->corpus_count, o);
    rp_pretrain_params params = {.config = o->config_given ? o->config : NULL,
                                 .init = o->init,
                                 .tokenizer = o->tokenizer,
                                 .out = o->output,
                                 .dev = o->dev,
                                 .write_instances = o->write_instances,
                                 .epochs = o->epochs,
                                 .steps = o->steps,
                                 .batch_size = o->train_batch,
                                 .max_tokens = o->max_length,
                                 .max_predictions = o->max_predictions,
                                 .ngram = o->ngram,
                                 .no_shuffle = o->no_shuffle,
                                 .skip_bad = o->skip_bad,
                                 .optimizer = o->optimizer,
                                 .schedule = o->schedule,
                                 .learning_rate = o->learning_rate,
                                 .warmup = o->warmup,
                                 .weight_decay = o->weight_decay,
                                 .max_grad_norm = o->max_grad_norm,
                                 .seed = o->seed,
                                 .recompute = o->recompute,
                                 .freeze = o->freeze,
                                 .eval_every = o->eval_every,
                                 .precision = o->precision,
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
    if (prepared) {
        params.instances = files;
        params.instance_count = o->instance_count + o->text_count;
    } else {
        params.corpus = files;
        params.corpus_count = o->corpus_count + o->text_count;
    }
    rp_cli_stop_expected(true);
    rp_cli_stop_device(device); /* a signal ends the trying of kernels, too */
    rp_cli_stop_call(&w->call);
    rp_status status = rp_pretrain(device, &params, err);
    rp_cli_stop_call(NULL);
    rp_cli_stop_expected(false);
    free((void *)files);
    return status;
}

/* What is missing, or too much; NULL: nothing. */
static const char *mistake(const rp_cli_options *o) {
    bool model = o->config_given || o->init;
    if (!o->corpus_count == !o->instance_count)
        return "takes either --corpus FILE... with text or --instances FILE... with prepared lines";
    if (!o->output && !o->write_instances) return "takes -o with the folder to write, or --write-instances";
    if (!o->output && o->dev) return "--dev is for a model that is trained; give -o with the folder to write";
    if (o->config_given && o->init) return "takes either --config with a new model or --init with an old one";
    if (o->output && !model) return "takes --config with a new model, or --init with one to go on from";
    if (o->init && o->tokenizer) return "--init has its own tokenizer; leave --tokenizer out";
    if (!o->init && !o->tokenizer) return "takes --tokenizer with a vocabulary";
    if (o->write_instances && !o->corpus_count) return "--write-instances writes those of a --corpus";
    return NULL;
}

static int run(const rp_cli_options *options, rp_cli_output *out) {
    rp_cli_watch w;
    rp_world *world = NULL;
    rp_device *device = NULL;
    rp_error err = {0};
    const char *wrong = mistake(options);
    if (wrong) {
        rp_cli_complain("pretrain: %s; try 'reprise pretrain --help'", wrong);
        return 2;
    }
    rp_status status = rp_world_open(NULL, &world, &err);
    rp_cli_watch_begin(&w, options, world, out);
    if (!status && options->output) status = rp_cli_world_device(world, options->device, &device, &err);
    if (!status) status = pretrain(device, world, options, &w, &err);
    int exit_status = rp_cli_watch_report(&w, "pretrain", options, status, &err);
    rp_cli_flush(out);
    rp_cli_watch_end(&w);
    rp_cli_stop_device(NULL);
    rp_device_close(&device);
    rp_world_close(&world);
    return exit_status;
}

static const char help_pretrain[] =
    "Teach a new model (--config with --tokenizer), or an old one (--init), by plain\n"
    "text: masked words and the order of sentences. The data are made as\n"
    "google-research/albert makes them. OUT is a Hugging Face folder.\n"
    "The first pass over the corpus tokenizes it, before training; --write-instances\n"
    "keeps what comes of it for --instances. FILEs may also stand behind the options.\n"
    "With --dev, text or prepared lines, OUT is the model of the best evaluation.\n"
    "\n"
    "Recipes of the published models: --batch-size 4096 --steps 125000 --lr 0.00176\n"
    "--warmup 3125 (the defaults), 512 tokens, and --config\n"
    "             hidden  layers  heads  parameters  GFLOP forward at 128/512 tokens\n"
    "  base          768      12     12     11.8 M      22.4     96.7\n"
    "  large        1024      24     16     17.8 M        79      335\n"
    "  xlarge       2048      24     16     59.0 M       313     1289\n"
    "  xxlarge      4096      12     64    223.2 M       622     2526\n"
    "For a batch of B: --lr 0.00176 times the square root of B/4096, and as many more\n"
    "steps. To adapt a model to a field: --init with --lr 2e-4 --optimizer adamw.\n"
    "\n"
    "JSON: one object a line in the file of --log: step, epoch, loss, lr, grad_norm,\n"
    "sequences, tokens, seconds, mlm_loss, sop_loss, mlm_accuracy, sop_accuracy; of\n"
    "an evaluation step, epoch, eval_loss, eval_mlm_loss and so on; with --precision\n"
    "f16 of a step scale and skipped.\n"
    "\n"
    "Examples:\n"
    "  reprise pretrain --corpus a.txt b.txt --tokenizer m.model --config base -o out\n"
    "  reprise pretrain --corpus law.txt --init albert -o law --steps 9000\n"
    "  mpirun -n 4 reprise pretrain --corpus a.txt --init albert -o out --dev b.txt\n"
    "  reprise pretrain --corpus a.txt --tokenizer m.model --write-instances a.jsonl\n";

const rp_cli_command rp_cli_command_pretrain = {
    .name = "pretrain",
    .arguments = "--corpus FILE... -o OUT",
    .summary = "teach a model by plain text",
    .help = help_pretrain,
    .options = RP_CLI_DEVICE | RP_CLI_MAX_LENGTH | RP_CLI_PRETRAIN,
    .shape = RP_CLI_SHAPE_NONE,
    .main = run,
};
