/* How many tokens inputs will be, before they are tokenized. */
#ifndef REPRISE_CLI_METER_H
#define REPRISE_CLI_METER_H

#include <reprise/reprise.h>

/* Zero-initialise and set the first two. Used by one thread at a time. */
typedef struct rp_cli_meter {
    const rp_tokenizer *tokenizer; /* NULL: a token is taken for 4 bytes */
    size_t longest;                /* tokens that an input is cut to; 0: it is not cut */
    double bytes, tokens;          /* of the samples, older ones counting less */
    double passed, sampled;        /* bytes since the last sample, and of that one */
} rp_cli_meter;

/* The tokens of `text` without special ones, about: its bytes, with white space in a row counted once, at the
 * rate of what came before. A piece of some texts, a sixteenth of all bytes, is tokenized for that rate. */
double rp_cli_meter_text(rp_cli_meter *meter, rp_text text);

#endif
