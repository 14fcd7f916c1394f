/* reprise COMMAND [options] [TEXT...]: choosing the command, and its help. */
#include "nearest.h"
#include "session.h"
#include "stop.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put_overview(rp_cli_buffer *out) {
    rp_cli_puts(out, "Usage: reprise COMMAND [options] [TEXT...]\n\n"
                     "Runs ALBERT, BERT and DistilBERT models (Hugging Face folders) on any GPU\n"
                     "through Vulkan.\n\n"
                     "Commands:\n");
    for (const rp_cli_command *const *at = rp_cli_commands; *at; at++)
        rp_cli_printf(out, "  %-10s  %s\n", (*at)->name, (*at)->summary);
    rp_cli_puts(out, "\nWith no TEXT, texts are read from standard input (or -f FILE), one a line.\n"
                     "Exit status: 0 all answered; 1 an input or the device failed; 2 wrong usage;\n"
                     "130 (143) stopped by SIGINT (SIGTERM) once the batches in flight were answered.\n\n"
                     "Environment:\n"
                     "  REPRISE_MODEL       folder or name of the model, where -m is not given\n"
                     "  REPRISE_DEVICE      index or part of a name, where -d is not given\n"
                     "  REPRISE_SHADER_DIR  compile the GLSL of this folder, not the built-in shaders\n"
                     "  REPRISE_CACHE_DIR   where kernels' times are kept (default: ~/.cache/reprise)\n"
                     "  HF_HUB_CACHE        where fetched models are kept; more in reprise(1)\n"
                     "  NO_COLOR            no colours\n\n"
                     "Examples:\n"
                     "  reprise classify \"a warm and funny film\"\n"
                     "  reprise fill-mask \"She opened the [MASK] and looked out.\"\n"
                     "  reprise devices\n"
                     "  reprise classify --help\n");
}

static void put_help(const rp_cli_command *command, rp_cli_buffer *out) {
    rp_cli_printf(out, "Usage: reprise %s [options]%s%s\n\n%s\n", command->name,
                  *command->arguments ? " " : "", command->arguments, command->help);
    rp_cli_options_help(out, command->name, command->options);
}

const rp_cli_command *rp_cli_find_command(const char *name) {
    for (const rp_cli_command *const *at = rp_cli_commands; *at; at++)
        if (!strcmp((*at)->name, name)) return *at;
    return NULL;
}

/* What Hugging Face and others call what a command does. */
typedef struct alias {
    const char *name, *command, *does;
} alias;

static const alias aliases[] = {
    {"ner", "tag", "finds named entities"},
    {"named-entity-recognition", "tag", "finds named entities"},
    {"token-classification", "tag", "labels tokens"},
    {"pos", "tag", "labels tokens"},
    {"sentiment", "classify", "tells the sentiment of a text"},
    {"sentiment-analysis", "classify", "tells the sentiment of a text"},
    {"text-classification", "classify", "labels texts"},
    {"sequence-classification", "classify", "labels texts"},
    {"classification", "classify", "labels texts"},
    {"qa", "answer", "answers questions"},
    {"question-answering", "answer", "answers questions"},
    {"ask", "answer", "answers questions"},
    {"similarity", "embed", "makes a vector of each text; the cosine of two vectors is their similarity"},
    {"sentence-similarity", "embed",
     "makes a vector of each text; the cosine of two vectors is their similarity"},
    {"feature-extraction", "embed", "makes a vector of each text"},
    {"embedding", "embed", "makes a vector of each text"},
    {"embeddings", "embed", "makes a vector of each text"},
    {"encode", "embed", "makes a vector of each text"},
    {"vectors", "embed", "makes a vector of each text"},
    {"mask", "fill-mask", "fills in [MASK]"},
    {"masked-lm", "fill-mask", "fills in [MASK]"},
    {"mlm", "fill-mask", "fills in [MASK]"},
    {"next-sentence", "coherence", "tells whether two texts are in order"},
    {"next-sentence-prediction", "coherence", "tells whether two texts are in order"},
    {"sentence-order", "coherence", "tells whether two texts are in order"},
    {"multiple-choice", "choose", "tells how probable each choice is"},
    {"tokens", "tokenize", "shows the tokens of a text"},
    {"download", "pull", "fetches a model"},
    {"fetch", "pull", "fetches a model"},
    {"train", "finetune", "teaches a model by labelled texts"},
    {"fine-tune", "finetune", "teaches a model by labelled texts"},
    {"export", "convert", "writes a model's folder anew"},
    {"gpus", "devices", "lists the devices"},
    {"list", "devices", "lists the devices"},
    {"benchmark", "bench", "measures a run"},
    {"selftest", "check", "checks every kernel on your device"},
};

static const alias *find_alias(const char *name) {
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (!rp_cli_distance(name, aliases[i].name) && !rp_cli_distance(aliases[i].name, name))
            return &aliases[i];
    return NULL;
}

/* The command that `name` was probably meant to be; NULL when none is near. */
static const char *suggest(const char *name) {
    const char *best = NULL;
    size_t least = RP_CLI_FAR;
    for (const rp_cli_command *const *at = rp_cli_commands; *at; at++) {
        size_t changes = rp_cli_distance(name, (*at)->name);
        if (changes >= least) continue;
        least = changes;
        best = (*at)->name;
    }
    return best;
}

static int unknown_command(const char *name) {
    const alias *known = find_alias(name);
    const char *meant = suggest(name);
    if (name[0] == '-')
        rp_cli_complain("the command comes first, before %s; try 'reprise --help'", name);
    else if (known)
        rp_cli_complain("unknown command '%s'; did you mean '%s'? It %s; try 'reprise %s --help'", name,
                        known->command, known->does, known->command);
    else if (meant)
        rp_cli_complain("unknown command '%s'; did you mean '%s'? try 'reprise --help'", name, meant);
    else
        rp_cli_complain("unknown command '%s'; try 'reprise --help'", name);
    return 2;
}

static int run_command(const rp_cli_command *command, const rp_cli_options *options, rp_cli_output *out) {
    if (options->help) {
        put_help(command, &out->buffer);
        return 0;
    }
    if (options->version) {
        rp_cli_printf(&out->buffer, "reprise %s\n", rp_version());
        return 0;
    }
    if (command->choose) command = command->choose(options);
    if (!command) return 2;
    if (!command->main) return rp_cli_answer_inputs(command, options, out);
    if (options->text_count && !*command->arguments) {
        rp_cli_complain("%s: takes no TEXT, such as '%s'; try 'reprise %s --help'", command->name,
                        options->texts[0], command->name);
        return 2;
    }
    rp_cli_stop_open(); /* a signal ends it at once, with the status of the other commands */
    return command->main(options, out);
}

static int read_and_run(const rp_cli_command *command, int argc, char **argv, rp_cli_output *out) {
    rp_cli_options options;
    bool good = rp_cli_options_read(argc, argv, command->name, command->options, &options);
    int status = good ? run_command(command, &options, out) : 2;
    rp_cli_options_free(&options);
    return status;
}

static int dispatch(int argc, char **argv, rp_cli_output *out) {
    if (argc < 2) {
        rp_cli_complain("a command is missing; try 'reprise --help'");
        return 2;
    }
    const char *name = argv[1];
    if (!strcmp(name, "--version")) {
        rp_cli_printf(&out->buffer, "reprise %s\n", rp_version());
        return 0;
    }
    const rp_cli_command *command = rp_cli_find_command(name);
    if (command) return read_and_run(command, argc - 1, argv + 1, out);
    bool help = !strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help");
    if (!help) return unknown_command(name);
    if (argc == 2) {
        put_overview(&out->buffer);
        return 0;
    }
    command = rp_cli_find_command(argv[2]);
    if (!command) return unknown_command(argv[2]);
    put_help(command, &out->buffer);
    return 0;
}

/* Keep files that are opened later off the standard descriptors: where one is closed, put something there
 * that cannot be used the way it should. */
static void guard_descriptors(void) {
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) != -1) continue;
        int got = open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
        if (got != fd && got > 2) close(got);
    }
}

/* Nobody reads the output any more: end as a program does that knows nothing of it. */
static int end_unread(const rp_cli_output *out) {
    if (out->pipe_ignored) return 1; /* whoever started this one wants no signal */
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
    return 128 + SIGPIPE;
}

int main(int argc, char **argv) {
    guard_descriptors();
    rp_cli_output out = {.fd = STDOUT_FILENO};
    out.pipe_ignored = signal(SIGPIPE, SIG_IGN) == SIG_IGN; /* writing says EPIPE instead */
    int status = rp_cli_finish(&out, dispatch(argc, argv, &out));
    return out.closed ? end_unread(&out) : status;
}
