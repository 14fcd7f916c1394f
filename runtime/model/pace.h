/* How long a device takes, and how a run is cut so that no submission lasts longer than a watchdog allows.
 * Work is counted in floating point operations. Pure, but for the learning. */
#ifndef RP_MODEL_PACE_H
#define RP_MODEL_PACE_H

#include <stdint.h>

#include "gpu/vk.h"

typedef struct rp_pace {
    double limit;     /* seconds of one submission; 0: no limit */
    double operation; /* seconds that one takes; 0: not known, and nothing is cut */
    double known;     /* the most work that was timed */
} rp_pace;

/* One step of a run: what is submitted, and about how much work that is, in operations. */
typedef struct rp_step {
    VkCommandBuffer commands;
    double work;
} rp_step;

/* How many of these steps, the first ones, go into one submission: as many as stay below the limit, at least
 * one. */
uint32_t rp_pace_cut(const rp_pace *pace, const rp_step *steps, uint32_t count);

double rp_steps_work(const rp_step *steps, uint32_t count);

/* Operations that one step may have; infinite where there is no limit. */
double rp_pace_most(const rp_pace *pace);

/* Rows of each slice of an operator that has `work` operations for `rows` rows: all of them where that stays
 * below the limit. Else a slice takes half of the limit at most, since a device may get slower and nothing is
 * cut anew then; but there are no more than `most` slices, each a multiple of `unit` rows. */
uint32_t rp_pace_slice(const rp_pace *pace, double work, uint32_t rows, uint32_t unit, uint32_t most);

/* Work that took so long. Small work, which mostly waits, says nothing once larger work has been timed,
 * unless no larger work is submitted any more; of a device that got slower all is believed at once, of one
 * that got faster half. */
void rp_pace_learn(rp_pace *pace, double work, double seconds);

#endif
