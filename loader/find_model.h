/* What an error says of a model that is not whole. */
#ifndef RP_LOADER_FIND_MODEL_H
#define RP_LOADER_FIND_MODEL_H

#include "reprise/pull.h"

/* The models that come along; NULL ends the list. */
extern const char *const rp_bundled_models[];

/* "; fetch ... with `reprise pull NAME`" for a folder in the hub's cache, "" for others: what brings what a
 * message says is missing. */
void rp_say_pull(const char *dir, char *out, size_t size);

#endif
