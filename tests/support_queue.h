/* A small model, texts, what each gives alone, and crowds of requests that ask a queue for them. */
#ifndef SUPPORT_QUEUE_H
#define SUPPORT_QUEUE_H

#include "reprise/queue.h"
#include "support_fixture.h"

enum { QUEUE_TEXTS = 24, QUEUE_OUTPUTS = 6 };

/* Of the group's setup. */
extern rp_device *queue_device;
extern rp_model *queue_model; /* an ALBERT of 12 layers */
extern rp_sequence queue_texts[QUEUE_TEXTS];
extern const rp_output queue_outputs[QUEUE_OUTPUTS];
int queue_setup(void **state);
int queue_teardown(void **state);

/* Results of text `i` alone for output number `o`, and how many floats they are. */
const float *queue_wanted(size_t i, int o);
size_t queue_size(size_t i, int o);

/* Open a queue in front of the model; fails the test where that fails. */
rp_queue *queue_open(const rp_queue_params *params);

/* Ask for random texts and outputs from several threads at random moments, so many requests together, until
 * all are answered. Each answer has its bits; or, after queue_allow_errors, the request fails, which is
 * counted. */
void queue_crowd(rp_queue *queue, uint32_t requests, uint32_t seed);
void queue_allow_errors(bool allow);
unsigned queue_errors(void);

#endif
