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

static void queue(rp_turns *turns, rp_turn *turn) {
    if (turns->last)
        turns->last->next = turn;
    else
        turns->first = turn;
    turns->last = turn;
}

/* It gives up. */
static void unqueue(rp_turns *turns, rp_turn *turn) {
    rp_turn *before = NULL;
    for (rp_turn *at = turns->first; at != turn; at = at->next) before = at;
    if (before)
        before->next = turn->next;
    else
        turns->first = turn->next;
    if (turns->last == turn) turns->last = before;
}

/* Under the lock, which is let go while this waits. */
static rp_status wait_in_line(rp_turns *turns, rp_error *err) {
    rp_turn turn = {0};
    rp_status status = RP_OK;
    rp_call_init_cond(&turn.came);
    queue(turns, &turn);
    while (!turn.mine && !(status = rp_call_check(err))) rp_call_wait(&turn.came, &turns->lock);
    if (!turn.mine) unqueue(turns, &turn);
    pthread_cond_destroy(&turn.came);
    return status;
}

rp_status rp_turns_take(rp_turns *turns, rp_error *err) {
    rp_status status = rp_call_check(err);
    if (status) return status;
    pthread_mutex_lock(&turns->lock);
    if (turns->taken)
        status = wait_in_line(turns, err);
    else
        turns->taken = true;
    pthread_mutex_unlock(&turns->lock);
    return status;
}

void rp_turns_give(rp_turns *turns) {
    pthread_mutex_lock(&turns->lock);
    rp_turn *next = turns->first;
    if (next) {
        turns->first = next->next;
        if (!next->next) turns->last = NULL;
        next->mine = true;
        pthread_cond_signal(&next->came);
    } else {
        turns->taken = false;
    }
    pthread_mutex_unlock(&turns->lock);
}
