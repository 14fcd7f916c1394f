#include "model/turns.h"

#include "base/call.h"

/* A thread that waits; on its stack. */
typedef struct rp_turn {
    struct rp_turn *next;
    pthread_cond_t came;
    bool mine;
} rp_turn;

void rp_turns_init(rp_turns *turns) {
    *turns = (rp_turns){0};
    pthread_mutex_init(&turns->lock, NULL);
}

void rp_turns_finish(rp_turns *turns) {
    pthread_mutex_destroy(&turns->lock);
}

rp_status rp_turns_take(rp_turns *turns, rp_error *err) {
    rp_turn turn = {0}, **at = &turns->first;
    rp_status status = rp_call_check(err);
    if (status) return status;
    rp_call_init_cond(&turn.came);
    pthread_mutex_lock(&turns->lock);
    if (turns->taken) {
        while (*at) at = &(*at)->next;
        *at = &turn;
        while (!turn.mine && !(status = rp_call_check(err))) rp_call_wait(&turn.came, &turns->lock);
        if (!turn.mine) { /* this thread gives up */
            for (at = &turns->first; *at != &turn;) at = &(*at)->next;
            *at = turn.next;
        }
    }
    turns->taken = true;
    pthread_mutex_unlock(&turns->lock);
    pthread_cond_destroy(&turn.came);
    return status;
}

void rp_turns_give(rp_turns *turns) {
    pthread_mutex_lock(&turns->lock);
    rp_turn *next = turns->first;
    if (next) {
        turns->first = next->next;
        next->mine = true;
        pthread_cond_signal(&next->came);
    } else {
        turns->taken = false;
    }
    pthread_mutex_unlock(&turns->lock);
}
