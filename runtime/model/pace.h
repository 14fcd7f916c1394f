/* How long a device takes, and how a run is cut so that no submission lasts longer than a watchdog allows.
 * Work is counted in floating point operations. Pure, but for the learning. */
#ifndef RP_MODEL_PACE_H
#define RP_MODEL_PACE_H

#include <stdint.h>

typedef struct rp_pace {
    double limit;     /* seconds of one submission; 0: no limit */
    double operation; /* seconds that one takes; 0: not known, and nothing is cut */
    double known;     /* the most work that was timed */
} rp_pace;

enum { RP_MOST_PARTS = 80 };

/* The steps of a run, each a command buffer: the prologue, `layers` times the same `parts`, the epilogue. A
 * part is a whole layer, one of its operators, or a slice of one. */
typedef struct rp_steps {
    double prologue, part[RP_MOST_PARTS], epilogue; /* operations */
    uint32_t layers, parts;
} rp_steps;

uint32_t rp_steps_count(const rp_steps *steps);

/* Steps from number `first` on that go into one submission: as many as stay below the limit, at least one. */
uint32_t rp_pace_cut(const rp_pace *pace, const rp_steps *steps, uint32_t first);

/* Operations of `count` steps from number `first` on. */
double rp_steps_work(const rp_steps *steps, uint32_t first, uint32_t count);

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
