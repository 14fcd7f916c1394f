/* From a request that is whole to its answer. */
#ifndef REPRISE_SERVE_ANSWER_H
#define REPRISE_SERVE_ANSWER_H

#include "tools/serve/serve.h"

/* True: the answer is in `r` (status, answer). False: the connection is suspended until rp_serve_done has
 * written it and resumed the connection. */
bool rp_serve_answer(rp_serve_request *r);

#endif
