/* What serve does in a build without libmicrohttpd, and in reprise-bench. */
#include "session.h"

int rp_cli_serve(const rp_cli_options *options, rp_cli_output *out) {
    (void)options;
    (void)out;
    rp_cli_complain("serve: this build has no server; build Reprise where libmicrohttpd is installed "
                    "(Debian: libmicrohttpd-dev)");
    return 1;
}
