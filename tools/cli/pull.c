/* reprise pull NAME: fetching a model from a hub. */
#include "session.h"
#include "stop.h"

#include <unistd.h>

/* Shows how far it is, on a terminal, and ends it after a signal. */
static bool take_progress(void *user, const rp_pull_progress *progress) {
    const bool *shown = user;
    if (*shown && progress->all) rp_cli_progress_bytes(progress->all_done, progress->all, progress->file);
    return !rp_cli_stop_signal();
}

static int run(const rp_cli_options *options, rp_cli_output *out) {
    if (options->text_count != 1) {
        rp_cli_complain("pull: takes one NAME, such as albert/albert-base-v2; try 'reprise pull --help'");
        return 2;
    }
    bool shown = isatty(STDERR_FILENO);
    const rp_pull_handler handler = {take_progress, &shown};
    const rp_pull_params params = {.revision = options->revision,
                                   .output = options->output,
                                   .offline = options->offline,
                                   .on_progress = &handler};
    rp_error err = {0};
    char *folder = NULL;
    rp_cli_stop_expected(true);
    rp_status status = rp_pull(options->texts[0], &params, &folder, &err);
    rp_cli_stop_expected(false);
    rp_cli_progress_end();
    if (status) {
        rp_cli_complain("%s", err.message);
        int signal = rp_cli_stop_signal();
        return signal ? 128 + signal : status == RP_ERROR_ARGUMENT ? 2 : 1;
    }
    rp_cli_printf(&out->buffer, "%s\n", folder);
    rp_string_free(&folder);
    return 0;
}

static const char help_pull[] =
    "Fetches a model from a hub (Hugging Face's, or HF_ENDPOINT) and prints the\n"
    "folder that holds it. NAME is ORG/NAME, or the address of its page. Only the\n"
    "files that are needed are fetched, each checked by its hash; what was broken\n"
    "off is taken up where it ended. They lie in the cache of Python's\n"
    "huggingface_hub: each finds what the other fetched. Other commands take the\n"
    "name with -m then, and use no network. For private and gated models set\n"
    "HF_TOKEN. Needs libcurl.\n"
    "\n"
    "Examples:\n"
    "  reprise pull sentence-transformers/all-MiniLM-L6-v2\n"
    "  reprise embed -m sentence-transformers/all-MiniLM-L6-v2 \"a sentence\"\n"
    "  reprise pull albert/albert-base-v2 --revision main -o albert\n";

const rp_cli_command rp_cli_command_pull = {
    .name = "pull",
    .arguments = "NAME",
    .summary = "fetch a model from a hub",
    .help = help_pull,
    .options = RP_CLI_PULL,
    .shape = RP_CLI_SHAPE_NONE,
    .main = run,
};
