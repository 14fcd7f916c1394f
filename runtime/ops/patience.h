/* Early exit: what the host writes for each text of a batch, and what the device answers (patience.c). */
#ifndef RP_OPS_PATIENCE_H
#define RP_OPS_PATIENCE_H

#include <stdint.h>

/* One text, [texts] in the order of the batch. */
typedef struct rp_exit_entry {
    uint32_t place;    /* of its state */
    uint32_t layers;   /* that it has gone through before this submission */
    uint32_t patience; /* 0: it never leaves */
    uint32_t number;   /* of the submission; not 0, and the next one has another */
} rp_exit_entry;

/* The words of a state, [places]; behind them the logits that the text leaves with, [labels]. */
typedef enum rp_exit_word {
    RP_EXIT_NUMBER = 0, /* of the last submission that it was in */
    RP_EXIT_LAYERS,     /* that it has gone through */
    RP_EXIT_LABEL,      /* the best one behind the last of them */
    RP_EXIT_AGREED,     /* layers in a row that agreed with the one before */
    RP_EXIT_LEFT,       /* behind which layer it left, counted from 1; 0: it goes on */
    RP_EXIT_WORDS,
} rp_exit_word;

#endif
