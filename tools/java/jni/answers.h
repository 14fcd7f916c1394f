/* The answers of tasks, as Java reads them. */
#ifndef REPRISE_JAVA_ANSWERS_H
#define REPRISE_JAVA_ANSWERS_H

#include "bridge.h"

/* Which form the answers take: JSON_NONE, or rp_offsets + 1 for JSON. */
enum { RP_JAVA_OBJECTS = 0 };

/* Write one entry, which did not fail. */
typedef void (*rp_java_entry)(rp_java_out *out, const rp_result *result, size_t i);

void rp_java_put_labels(rp_java_out *out, const rp_result *result,
                        size_t i); /* with words, if there are any */
void rp_java_put_fills(rp_java_out *out, const rp_result *result, size_t i);
void rp_java_put_entities(rp_java_out *out, const rp_result *result, size_t i);
void rp_java_put_answers(rp_java_out *out, const rp_result *result, size_t i); /* with sources, likewise */
void rp_java_put_vectors(rp_java_out *out, const rp_result *result, size_t i);
void rp_java_put_order(rp_java_out *out, const rp_result *result, size_t i);
void rp_java_put_score(rp_java_out *out, const rp_result *result, size_t i);
void rp_java_put_ranked(rp_java_out *out, const rp_result *result, size_t i);
void rp_java_put_sentences(rp_java_out *out, const rp_result *result, size_t i);
void rp_java_put_hits(rp_java_out *out, const rp_result *result, size_t i);
void rp_java_put_verdict(rp_java_out *out, const rp_result *result, size_t i);
void rp_java_put_reply(rp_java_out *out, const rp_result *result, size_t i);

/* Write what a task gave, and free the result. As objects, each entry is its status and a message if it
 * failed; else whether its input was cut, the tokens of it and those that the model took, and what `entry`
 * writes. */
rp_status rp_java_answers(rp_java_call *c, rp_status status, rp_result *result, int32_t form,
                          rp_java_entry entry, rp_error *err);

#endif
