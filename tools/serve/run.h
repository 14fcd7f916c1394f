/* What a thread of the queue does for a request: the calls of the library. */
#ifndef REPRISE_SERVE_RUN_H
#define REPRISE_SERVE_RUN_H

#include "tools/serve/serve.h"

rp_status rp_run_embed(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);
rp_status rp_run_embed_all(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);
rp_status rp_run_predict(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);
rp_status rp_run_rank(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);
rp_status rp_run_cohere(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);
rp_status rp_run_zero_shot(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);
rp_status rp_run_tag(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);
rp_status rp_run_answer(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);
rp_status rp_run_fill(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);
rp_status rp_run_coherence(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);
rp_status rp_run_choose(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);
rp_status rp_run_moderate(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);
rp_status rp_run_score(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);
rp_status rp_run_search(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);
rp_status rp_run_summarize(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err);

/* Ask `model` for nothing: whether it can do `task`, and if not, why. */
rp_status rp_run_nothing(rp_model *model, rp_serve_task task, rp_error *err);

#endif
