/* The page at /: tools/serve/page.html, which the build carries into the program (page.cmake). It asks this
 * server's other routes and nothing else, so it is open to whoever may connect: a key is asked for by what it
 * asks. */
#ifndef REPRISE_SERVE_PAGE_H
#define REPRISE_SERVE_PAGE_H

#include <stdbool.h>
#include <stddef.h>

struct MHD_Connection;

extern const unsigned char rp_page[];
extern const size_t rp_page_size;
extern const char rp_page_etag[];   /* a hash of the page, in the quotes that HTTP wants */
extern const char rp_page_policy[]; /* its Content-Security-Policy */

/* True when `accepted`, the value of an If-None-Match (NULL: there was none), names this page. */
bool rp_page_is_held(const char *accepted);

/* Queue the answer to GET or HEAD of / : the page, or 304 when the browser holds it. A browser keeps the page
 * and asks each time whether it is still this one, so that another version of the program is seen at once.
 * Returns the status of HTTP; 0 when there is no memory for it, and libmicrohttpd has nothing to send. Any
 * thread, for its own connection. */
int rp_page_answer(struct MHD_Connection *connection);

#endif
