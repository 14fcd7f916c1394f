/* reprise bench: the program reprise-bench measures, which is linked with the inside of the library; this one
 * becomes it. */
#include "session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/auxv.h>
#endif
#include <unistd.h>

/* The path of what lies at `path` from the folder of this program; NULL: nobody knows. Owned by the caller.
 */
static char *beside(const char *path) {
    char program[4096];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
#ifdef __linux__
    if (size <= 0) { /* no /proc here: as it was started */
        const char *started = (const char *)getauxval(AT_EXECFN);
        size = started ? snprintf(program, sizeof program, "%s", started) : -1;
        if (size >= (ssize_t)sizeof program) size = -1;
    }
#endif
    program[size > 0 ? size : 0] = '\0';
    char *slash = strrchr(program, '/');
    rp_cli_buffer out = {0};
    if (slash) rp_cli_printf(&out, "%.*s/%s", (int)(slash - program), program, path);
    return out.data;
}

/* Become `program`, which reads the same arguments. Returns when it cannot: errno. */
static void become(const char *program, const rp_cli_options *options, const rp_cli_output *out) {
    size_t count = 0;
    while (options->arguments[count]) count++;
    char **argv = rp_cli_calloc(count + 2, sizeof *argv);
    argv[0] = (char *)program;
    memcpy(argv + 1, options->arguments, count * sizeof *argv);
    if (!out->pipe_ignored) signal(SIGPIPE, SIG_DFL);
    execv(program, argv);
    free(argv);
}

int rp_cli_bench(const rp_cli_options *options, rp_cli_output *out) {
    char *built = beside("reprise-bench"), *installed = beside(REPRISE_TO_LIBEXEC "/reprise-bench");
    const char *program = installed ? installed : REPRISE_LIBEXEC_DIR "/reprise-bench";
    if (built && !access(built, F_OK)) program = built;
    become(program, options, out);
    rp_cli_complain("bench: cannot start %s, which measures: %s; install it with this command", program,
                    strerror(errno));
    free(built);
    free(installed);
    return 1;
}
