/* Two budgets, which rest on one estimate of the device's speed. The submission budget: how a batch is cut so
 * that no submission takes longer than a watchdog allows. The batch budget: how much a run takes at a time,
 * so that other calls on the model get their turn soon. Work is counted in floating point operations. No
 * function here touches the device; rp_pace_learn alone changes anything. */
#ifndef RP_MODEL_PACE_H
#define RP_MODEL_PACE_H

#include <stdint.h>

#include "gpu/vk.h"

typedef struct rp_pace {
    double limit;     /* the budget: seconds that one submission may take; 0: no limit */
    double batch;     /* the batch budget: seconds; 0: no limit */
    double operation; /* estimated seconds of one floating point operation; 0: unknown, and no submission is
                         cut */
    double known;     /* the most work that was timed in one submission */
} rp_pace;

/* One step of a run: a command buffer, and about how many floating point operations it is. */
typedef struct rp_step {
    VkCommandBuffer commands;
    double work;
} rp_step;

/* How many of these steps, from the first on, the next submission takes: as many as stay within the budget,
 * but at least one. */
uint32_t rp_pace_cut(const rp_pace *pace, const rp_step *steps, uint32_t count);

/* The work of all these steps. */
double rp_steps_work(const rp_step *steps, uint32_t count);

/* The most work that stays within the budget; infinite where there is no limit. */
double rp_pace_most(const rp_pace *pace);

/* The most work that stays within the batch budget. As long as the speed is unknown, that of a slow device is
 * supposed. Infinite where there is no limit. */
double rp_pace_batch(const rp_pace *pace);

/* Learn from a submission of `work` that took `seconds`; 0: nobody knows how long it took. Once larger work
 * has been timed, a small submission, most of which is waiting, changes nothing; but it counts when the
 * budgets no longer allow larger ones. When the device got slower the estimate follows at once, when it got
 * faster by half. */
void rp_pace_learn(rp_pace *pace, double work, double seconds);

#endif
