/* reprise convert: a folder in any form that is read, written as a Hugging Face one. */
#include "session.h"

static void note(void *user, const char *text) {
    (void)user;
    rp_cli_complain("convert: left out: %s", text);
}

int rp_cli_convert(const rp_cli_options *options, rp_cli_output *out) {
    rp_convert_params params = {
        .dtype = options->dtype, .overwrite = options->overwrite, .head = options->head, .note = note};
    rp_error err = {0};
    if (options->text_count != 1 || !options->output) {
        rp_cli_complain(
            "convert: takes one folder to read and -o with the folder to write; try 'reprise convert "
            "--help'");
        return 2;
    }
    if (rp_convert(options->texts[0], options->output, &params, &err)) {
        rp_cli_complain("convert: %s", err.message);
        return 1;
    }
    rp_cli_printf(&out->buffer, "%s\n", options->output);
    return 0;
}
