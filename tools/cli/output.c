#include "output.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool rp_cli_flush(rp_cli_output *output) {
    size_t done = 0;
    if (output->buffer.cut && !output->error) output->error = ENOMEM;
    while (done < output->buffer.size && !output->closed && !output->error) {
        ssize_t written = write(output->fd, output->buffer.data + done, output->buffer.size - done);
        if (written >= 0) {
            done += (size_t)written;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            struct pollfd wait = {.fd = output->fd, .events = POLLOUT};
            poll(&wait, 1, -1);
        } else if (errno == EPIPE) {
            output->closed = true;
        } else if (errno != EINTR) {
            output->error = errno;
        }
    }
    output->buffer.size = 0;
    return !output->closed && !output->error;
}

int rp_cli_finish(rp_cli_output *output, int status) {
    rp_cli_flush(output);
    free(output->buffer.data);
    output->buffer = (rp_cli_buffer){0};
    if (output->error) {
        rp_cli_complain("standard output: cannot write: %s", strerror(output->error));
        return 1;
    }
    return status;
}
