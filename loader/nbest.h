/* Lines of text files, and what a line of an n-best list says. */
#ifndef RP_LOADER_NBEST_H
#define RP_LOADER_NBEST_H

#include "base/error.h"
#include "reprise/score.h"

enum { RP_LINE_BYTES_MAX = 8 << 20, RP_NBEST_BYTES_MAX = 256 << 20 };

/* The lines of a file, one after the other. Zero-initialise with fd -1; rp_lines_close. */
typedef struct rp_lines {
    const char *path; /* the caller's */
    int fd;
    uint64_t line; /* number of the line that was given last, from 1 */
    char *buffer;
    size_t begin, end, room;
    bool ended;
} rp_lines;

rp_status rp_lines_open(rp_lines *lines, const char *path, rp_error *err);

/* The next line without its line end (LF or CRLF); data NULL, with RP_OK: there is none. It lies in the
 * buffer until the next call. RP_ERROR_FORMAT: the line is longer than RP_LINE_BYTES_MAX or no UTF-8. */
rp_status rp_lines_next(rp_lines *lines, rp_text *line, rp_error *err);
void rp_lines_close(rp_lines *lines);

/* What a line of an n-best list says. Its texts lie in the line, which is UTF-8. RP_ERROR_FORMAT, without the
 * file and the line, where it is no such line; RP_ERROR_HOST_MEMORY. */
rp_status rp_nbest_parse(rp_text line, uint64_t *id, rp_hypothesis *out, rp_error *err);

#endif
