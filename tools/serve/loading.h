/* A model on the device and its queue: opened, closed when nobody asks, and asked. */
#ifndef REPRISE_SERVE_LOADING_H
#define REPRISE_SERVE_LOADING_H

#include "tools/serve/serve.h"

/* Open the model and its queue. */
rp_status rp_serve_load(rp_server *s, rp_served *m, rp_error *err);

/* Close them, once what is inside is answered. */
void rp_serve_unload(rp_served *m);

/* What its queues have done so far; the part that is about now is zero while it is unloaded. */
void rp_serve_counts(rp_served *m, rp_queue_counts *out);

/* The request has left the model. `status`: what its call returned. */
void rp_serve_left(rp_served *m, rp_status status);

#endif
