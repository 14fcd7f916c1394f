/* What the server says of itself. */
#ifndef REPRISE_SERVE_INFO_H
#define REPRISE_SERVE_INFO_H

#include "tools/serve/serve.h"

bool rp_write_info(rp_serve_request *r, const rp_result *none, rp_cli_buffer *out, rp_trouble *problem);
bool rp_write_models(rp_serve_request *r, const rp_result *none, rp_cli_buffer *out, rp_trouble *problem);
bool rp_write_health(rp_serve_request *r, const rp_result *none, rp_cli_buffer *out, rp_trouble *problem);
bool rp_write_ready(rp_serve_request *r, const rp_result *none, rp_cli_buffer *out, rp_trouble *problem);
bool rp_write_metrics(rp_serve_request *r, const rp_result *none, rp_cli_buffer *out, rp_trouble *problem);
bool rp_write_openapi(rp_serve_request *r, const rp_result *none, rp_cli_buffer *out, rp_trouble *problem);

#endif
