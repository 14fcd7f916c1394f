/* Hugging Face's tasks: which one a body is for, and answers of their own. */
#ifndef REPRISE_SERVE_TASKS_H
#define REPRISE_SERVE_TASKS_H

#include "tools/serve/serve.h"

/* The route of a task by its name, such as "fill-mask"; NULL: there is none. */
const rp_route *rp_task_route(const char *name);

/* Find out which task a body at / or /models/NAME is for, and read it for that. */
bool rp_task_prepare(rp_serve_request *r, rp_trouble *problem);

bool rp_write_mask(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem);
bool rp_write_entities(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem);
bool rp_write_zero_shot(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out,
                        rp_trouble *problem);

#endif
