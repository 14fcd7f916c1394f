/* reprise convert: a folder in any form that is read, written as a Hugging Face one. */
#include "session.h"
#include "stop.h"

#include <unistd.h>

static void note(void *user, const char *text) {
    (void)user;
    rp_cli_progress_end();
    rp_cli_complain("convert: left out: %s", text);
}

/* Shows how far it is, on a terminal, and ends it after a signal. */
static bool take_progress(void *user, uint64_t done, uint64_t all) {
    const bool *shown = user;
    if (*shown) rp_cli_progress_bytes(done, all, "model.safetensors");
    return !rp_cli_stop_signal();
}

static int run(const rp_cli_options *options, rp_cli_output *out) {
    bool shown = isatty(STDERR_FILENO);
    const rp_convert_handler handler = {note, take_progress, &shown};
    const rp_convert_params params = {
        .dtype = options->dtype, .overwrite = options->overwrite, .head = options->head, .handler = &handler};
    rp_error err = {0};
    if (options->text_count != 1 || !options->output) {
        rp_cli_complain("convert: takes one folder to read and -o with the folder to write; try 'reprise "
                        "convert --help'");
        return 2;
    }
    rp_cli_stop_expected(true);
    rp_status status = rp_convert(options->texts[0], options->output, &params, &err);
    rp_cli_stop_expected(false);
    rp_cli_progress_end();
    if (status) {
        int signal = rp_cli_stop_signal();
        rp_cli_complain("convert: %s", err.message);
        return signal ? 128 + signal : 1;
    }
    rp_cli_printf(&out->buffer, "%s\n", options->output);
    return 0;
}

static const char help_convert[] =
    "Write the model in DIR anew as a Hugging Face folder: config.json,\n"
    "model.safetensors, the tokenizer. DIR is whatever -m takes: PyTorch's\n"
    "pytorch_model.bin, a checkpoint of Google's ALBERT or BERT (model.ckpt.index\n"
    "with its data, albert_config.json, 30k-clean.model or vocab.txt), safetensors.\n"
    "The new folder appears once it is whole. Needs no device.\n"
    "\n"
    "Examples:\n"
    "  reprise convert albert_base_v2 -o albert\n"
    "  reprise convert my-model -o my-model-f16 --dtype f16\n";

const rp_cli_command rp_cli_command_convert = {
    .name = "convert",
    .arguments = "DIR -o DIR",
    .summary = "write a model's folder anew, as Hugging Face has it",
    .help = help_convert,
    .options = RP_CLI_CONVERT | RP_CLI_HEAD,
    .shape = RP_CLI_SHAPE_NONE,
    .main = run,
};
