/* Models by name: rp_find_model is in the public header. */
#ifndef RP_LOADER_FIND_MODEL_H
#define RP_LOADER_FIND_MODEL_H

#include "reprise/pull.h"

/* The models that come along; NULL ends the list. */
extern const char *const rp_bundled_models[];

#endif
