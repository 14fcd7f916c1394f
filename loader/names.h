/* Which tensors a model has, their names in the files, and their fields in rp_weights. */
#ifndef RP_LOADER_NAMES_H
#define RP_LOADER_NAMES_H

#include "loader/weights.h"

enum { RP_NAME_SIZE = 160 };

/* Parts of a model that stand in the files together. The heads are the bits of rp_head. */
#define RP_PART_ENCODER 0x10000u

typedef enum rp_slot_kind {
    RP_SLOT_MATRIX = 0, /* [rows, columns] */
    RP_SLOT_BIAS,       /* [columns] */
    RP_SLOT_SCALE,      /* [columns], the weight of a LayerNorm */
} rp_slot_kind;

/* One tensor that a model has. */
typedef struct rp_slot {
    rp_tensor *tensor;
    char name[RP_NAME_SIZE];     /* as Hugging Face writes it, without the prefix of the model's class */
    char old_name[RP_NAME_SIZE]; /* what files converted from TensorFlow call it; "" when there is no such
                                    name */
    bool prefixed;               /* stands under "albert.", "bert." or "distilbert." in a model with heads */
    rp_slot_kind kind;
    uint32_t rows, columns; /* rows 1 for a vector */
    const char *reason;     /* the fields of config.json that give the shape */
} rp_slot;

/* A return value other than RP_OK ends the walk. */
typedef rp_status (*rp_slot_visit)(const rp_slot *slot, void *context);

/* Call `visit` for every tensor of `parts` of a model of this config; weights->layers is allocated already.
 * The decoder of the masked language model and its bias are left out: where they are depends on the file. */
rp_status rp_slots_each(const rp_config *config, rp_weights *weights, unsigned parts, rp_slot_visit visit,
                        void *context);

/* What the files of a family call things, beside the tables behind rp_slots_each. */
typedef struct rp_family_names {
    const char *class;   /* how the names of its classes begin */
    const char *prefix;  /* what stands before the encoder's tensors in a model with heads, without "." */
    const char *decoder; /* the weight of the masked language model's decoder */
    const char *lm_biases[2]; /* and its bias: two names share one tensor in memory, and files may hold either
                                 or both. The first is taken where it is there; NULL: there is one name */
} rp_family_names;

const rp_family_names *rp_names_of(rp_family family);

/* The heads (bits of rp_head) that config->architecture says the files hold. 0 when it names none. */
unsigned rp_heads_of_architecture(const rp_config *config);

#endif
