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

int rp_cli_pull(const rp_cli_options *options, rp_cli_output *out) {
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
