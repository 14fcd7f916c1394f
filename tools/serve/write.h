/* Answers. Each function appends a JSON value, or returns false with a problem. */
#ifndef REPRISE_SERVE_WRITE_H
#define REPRISE_SERVE_WRITE_H

#include "tools/serve/serve.h"

/* What rp_result_json gives: a list with an entry for each input; the only entry where the inputs were no
 * list. */
bool rp_write_list(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem);
bool rp_write_entries(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem);

bool rp_write_openai(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem);
bool rp_write_predict(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem);
bool rp_write_rank(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem);
bool rp_write_cohere(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem);
bool rp_write_similarity(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out,
                         rp_trouble *problem);
bool rp_write_tokens(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem);
bool rp_write_decoded(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem);

/* Every entry of `result` was answered, and none was cut that should not have been; count their tokens. */
bool rp_write_check(rp_serve_request *r, const rp_result *result, rp_trouble *problem);

/* A list of ids of which the vocabulary has every one. */
bool rp_ids_known(const rp_tokenizer *tokenizer, const rp_json *ids, rp_trouble *problem);

/* An error as the clients of `dialect` expect it. */
void rp_write_problem(const rp_trouble *problem, rp_dialect dialect, rp_cli_buffer *out);

#endif
