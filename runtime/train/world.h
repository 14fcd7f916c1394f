/* A world of processes inside the library: what they tell each other, and how they add up numbers. */
#ifndef RP_TRAIN_WORLD_H
#define RP_TRAIN_WORLD_H

#include "base/error.h"
#include "reprise/world.h"

/* Where processes meet: all have to be at the same place. */
typedef enum rp_meeting {
    RP_MEET_OPEN = 1,
    RP_MEET_AGREE,
    RP_MEET_TELL,
    RP_MEET_STEP,     /* before a step */
    RP_MEET_GRADIENT, /* before gradients are added up */
    RP_MEET_PIECE,    /* of them, or of vectors */
    RP_MEET_VECTORS,  /* before vectors are gathered */
    RP_MEET_UPDATE,   /* after the update */
    RP_MEET_LATER,    /* nowhere yet: the letter only says that its sender is at work */
} rp_meeting;

enum { RP_NOTE_BYTES = 256 };

/* rp_world_agree at `place`, with a note of at most RP_NOTE_BYTES that every process reads when all are well.
 * `world` may be NULL, and then nothing is said. */
rp_status rp_world_meet(rp_world *world, rp_meeting place, rp_status status, const void *note, size_t bytes,
                        rp_error *err);

/* The note of a process, valid until the next meeting. */
const void *rp_world_note(const rp_world *world, uint32_t rank);

/* Make room for sums of at most `count` numbers. It lasts as long as the world. */
rp_status rp_world_reserve(rp_world *world, uint64_t count, rp_error *err);

/* Add up `values` [count] of all processes, in the order of their ranks, and put the sums in their place:
 * the same bits in every process, and whenever it is done again. */
rp_status rp_world_sum(rp_world *world, float *values, uint64_t count, rp_error *err);

#endif
