/* The bodies of the routes. `ask->body` is read, and its root is an object. */
#ifndef REPRISE_SERVE_READ_H
#define REPRISE_SERVE_READ_H

#include "tools/serve/serve.h"

bool rp_read_embed(rp_ask *ask, rp_trouble *problem);
bool rp_read_openai(rp_ask *ask, rp_trouble *problem);
bool rp_read_predict(rp_ask *ask, rp_trouble *problem);
bool rp_read_rerank(rp_ask *ask, rp_trouble *problem);
bool rp_read_cohere(rp_ask *ask, rp_trouble *problem);
bool rp_read_similarity(rp_ask *ask, rp_trouble *problem);
bool rp_read_tokenize(rp_ask *ask, rp_trouble *problem);
bool rp_read_decode(rp_ask *ask, rp_trouble *problem);

/* read_tasks.c: the applications' routes; and Hugging Face's tasks, with rp_read_task for a body of which
 * only the rest says which task it is. */
bool rp_read_coherence(rp_ask *ask, rp_trouble *problem);
bool rp_read_choose(rp_ask *ask, rp_trouble *problem);
bool rp_read_moderate(rp_ask *ask, rp_trouble *problem);
bool rp_read_score(rp_ask *ask, rp_trouble *problem);
bool rp_read_search(rp_ask *ask, rp_trouble *problem);
bool rp_read_summarize(rp_ask *ask, rp_trouble *problem);
bool rp_read_task(rp_ask *ask, rp_trouble *problem);
bool rp_read_labels(rp_ask *ask, rp_trouble *problem);
bool rp_read_entities(rp_ask *ask, rp_trouble *problem);
bool rp_read_question(rp_ask *ask, rp_trouble *problem);
bool rp_read_mask(rp_ask *ask, rp_trouble *problem);
bool rp_read_zero_shot(rp_ask *ask, rp_trouble *problem);

/* read.c: room for `count` inputs. */
bool rp_read_room(rp_ask *ask, size_t count, rp_trouble *problem);

#endif
