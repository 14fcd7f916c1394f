/* A queue in front of a model: many requests at once, from any thread, each answered as soon as it can be.
 *
 * While a model has a queue, the texts of all calls on it go through its layers together: those of the
 * queue's requests, and those of rp_model_run and the tasks, whichever thread calls them. An ALBERT applies
 * one layer again and again, so a text joins between any two layers, and leaves when it has gone through all
 * of them; nobody waits for a batch to end. Every answer has the bits that it has alone. Without a queue
 * nothing changes: a call has the device to itself, batch by batch.
 *
 * A tick is one submission to the device: one layer for some of the texts, embeddings for those of them that
 * begin, and the head for those that end. While nobody waits, a tick is several layers. Nothing is recorded
 * or allocated on the device once rp_queue_open has returned. */
#ifndef REPRISE_QUEUE_H
#define REPRISE_QUEUE_H

#include "tasks.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which texts a tick takes. Where layers differ (a BERT, an ALBERT with several groups), texts at different
 * depths cannot go through one together: there the first two mean RP_POLICY_DYNAMIC. */
typedef enum rp_policy {
    RP_POLICY_LEAST_WORK = 0, /* those with the least work left (tokens times layers), as many as keep the
                                 device busy; a text that waits counts as less and less work */
    RP_POLICY_JOIN,           /* those that came first, as many as fit */
    RP_POLICY_DYNAMIC,        /* a batch is what waits, and is run to its end before the next one begins */
    RP_POLICY_STATIC,         /* the same, and a batch waits until it has rp_queue_params.static_texts */
} rp_policy;

/* How to open a queue. The zero value is the default. */
typedef struct rp_queue_params {
    rp_policy policy;
    uint32_t capacity; /* most requests that are inside, waiting or being answered; 0: 512. Each that is being
                          answered has a thread of the queue, with a small stack */
    uint32_t budget;   /* RP_POLICY_LEAST_WORK: tokens of a tick while few wait; 0: measured, by the first
                          number of tokens that keeps the device busy */
    uint32_t static_texts; /* RP_POLICY_STATIC: 0: 32 */
    double static_seconds; /* RP_POLICY_STATIC: a batch begins when a text has waited so long; 0: 5 ms */
    uint64_t reserved[4];  /* zero; see reprise.h */
} rp_queue_params;

typedef struct rp_queue rp_queue;

/* Open a queue in front of `model`, which has none yet. The library measures here how the device behaves, for
 * about a tenth of a second, and records what ticks need. `params` may be NULL. On success the caller owns
 * `*out`, and closes it before the model: rp_model_close of a model with a queue returns RP_ERROR_ARGUMENT.
 * Errors: RP_ERROR_ARGUMENT (also: the model has a queue), RP_ERROR_HOST_MEMORY, RP_ERROR_DEVICE_MEMORY,
 * RP_ERROR_DEVICE, RP_ERROR_DEVICE_LOST. */
RP_API rp_status rp_queue_open(rp_model *model, const rp_queue_params *params, rp_queue **out, rp_error *err);

/* Close the queue by draining it: requests that come now are refused with RP_ERROR_ARGUMENT, those that are
 * inside are answered, and calls of other threads on the model end, before this returns RP_OK and sets
 * `*queue` to NULL. From a callback of the queue, or of a call on the model, it would wait for itself:
 * RP_ERROR_ARGUMENT, and the queue stays open. Give deadlines, or cancel, what is not to be waited for. NULL
 * and a pointer to NULL are allowed. In a forked process this frees nothing. */
RP_API rp_status rp_queue_close(rp_queue **queue);

/* What a request asks for. */
typedef enum rp_asked {
    RP_ASKED_RUN = 0,   /* rp_model_run:        inputs rp_sequence, params rp_run_params */
    RP_ASKED_CLASSIFY,  /* rp_classify:         rp_input, rp_classify_params */
    RP_ASKED_ZERO_SHOT, /* rp_zero_shot:        rp_text, rp_zero_shot_params (not NULL) */
    RP_ASKED_FILL_MASK, /* rp_fill_mask:        rp_text, rp_fill_params */
    RP_ASKED_TAG,       /* rp_tag:              rp_text, rp_tag_params */
    RP_ASKED_ANSWER,    /* rp_answer_questions: rp_question, rp_answer_params */
    RP_ASKED_EMBED,     /* rp_embed:            rp_text, rp_embed_params */
    RP_ASKED_COHERENCE, /* rp_coherence:        rp_input, rp_coherence_params */
    RP_ASKED_CHOOSE,    /* rp_choose:           rp_choice, rp_choose_params */
    RP_ASKED_CALL,      /* whatever `run` does with the model, such as what apps.h has */
} rp_asked;

/* One request: what one call of that function has, which a thread of the queue makes. Zero it first. */
typedef struct rp_request {
    rp_asked asked;
    const void *inputs; /* [count], of the type that rp_asked says; borrowed until the answer */
    size_t count;
    const void *params; /* of the type that rp_asked says, or NULL; borrowed until the answer. Its `call` may
                           end the request, also while it waits */
    float *out;         /* RP_ASKED_RUN: where the results go; borrowed until the answer */
    size_t capacity;    /* of `out`, floats */
    rp_status (*run)(void *user, rp_model *model, rp_result **result, rp_error *err); /* RP_ASKED_CALL: on a
                           thread of the queue; `*result` is NULL, and may stay so */
    void (*done)(void *user, rp_status status, rp_result *result,
                 const rp_error *err); /* the answer, on a
thread of the queue, exactly once for each request that was taken: what the function
returned, the result, which is the callback's to free (NULL: there is none), and the
message. It should return soon. NULL: somebody waits with rp_ticket_wait */
    void *user;                        /* what the callbacks get */
    uint64_t reserved[4];              /* zero; see reprise.h */
} rp_request;

/* A request that somebody waits for. */
typedef struct rp_ticket rp_ticket;

/* Hand in a request; `*request` itself is copied. It returns at once: RP_ERROR_BUSY when as many requests are
 * inside as the queue takes (try again later, or refuse), RP_ERROR_ARGUMENT for a request that says nothing,
 * and when the queue is being closed. On success exactly one of two things happens: with `done` the library
 * calls it, and `ticket` is NULL; without it `*ticket` is the caller's, who calls rp_ticket_wait.
 * Thread-safe, also in callbacks. */
RP_API rp_status rp_queue_ask(rp_queue *queue, const rp_request *request, rp_ticket **ticket, rp_error *err);

/* Wait for the answer, free the ticket and set `*ticket` to NULL. Returns what the function returned;
 * `*result` (may be NULL where there is none to expect) is the caller's. One thread waits for a ticket; not a
 * callback of the queue. Every ticket is waited for before the queue is closed. */
RP_API rp_status rp_ticket_wait(rp_ticket **ticket, rp_result **result, rp_error *err);

/* What a queue has done so far, and what is in it now. */
typedef struct rp_queue_counts {
    uint64_t requests, refused; /* that were taken; and that found the queue full */
    uint64_t texts, tokens;     /* that have left the model with their results */
    uint64_t ticks, layers;     /* submissions, and the layers in them */
    uint64_t layer_tokens;      /* tokens that went through a layer, once for each layer */
    uint64_t joins;             /* texts that joined while others were on their way */
    uint64_t repeats;           /* texts that began again, for the device was lost or had no memory */
    double device_seconds;      /* that the device worked on ticks */
    uint32_t inside, waiting;   /* requests inside now; and of them, those that no thread has begun */
    uint32_t depth_texts;       /* texts on their way through the layers now, those that wait for a tick
                                   included */
    uint32_t budget;            /* rp_queue_params.budget, or what was measured */
    rp_policy policy;           /* that is in use */
    uint64_t reserved[4];       /* zero */
} rp_queue_counts;

/* Write them to `*out`. Thread-safe. */
RP_API void rp_queue_count(rp_queue *queue, rp_queue_counts *out);

#ifdef __cplusplus
}
#endif
#endif
