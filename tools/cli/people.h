/* Output for people: colours and bars where the terminal has them, plain text where not. */
#ifndef REPRISE_CLI_PEOPLE_H
#define REPRISE_CLI_PEOPLE_H

#include <reprise/reprise.h>

#include "text.h"

typedef struct rp_cli_people {
    rp_cli_buffer *out;
    bool color;    /* standard output is a terminal and NO_COLOR is not set */
    bool utf8;     /* the locale writes UTF-8 */
    int width;     /* columns */
    bool terminal; /* somebody looks at it: names are cut to fit, which in a pipe they never are */
} rp_cli_people;

typedef enum rp_cli_style {
    RP_CLI_PLAIN = 0,
    RP_CLI_BOLD,
    RP_CLI_DIM,
    RP_CLI_RED,
    RP_CLI_GREEN,
    RP_CLI_MARK, /* an entity or an answer inside its text */
} rp_cli_style;

/* Look at the locale and at file descriptor `fd`. */
void rp_cli_people_init(rp_cli_people *people, rp_cli_buffer *out, int fd);

/* Switch the style on; RP_CLI_PLAIN switches all off. */
void rp_cli_people_style(rp_cli_people *people, rp_cli_style style);

/* Append text of at most `columns` columns (0: no limit), with control characters and invalid bytes replaced
 * and an ellipsis where it is cut. Returns the columns it takes. */
int rp_cli_people_text(rp_cli_people *people, const char *data, size_t size, int columns);

/* The columns of a C string when it is written in at most `columns`. */
int rp_cli_people_width(rp_cli_people *people, const char *string, int columns);

/* A C string padded with blanks to `columns`, cut where it is longer. */
void rp_cli_people_cell(rp_cli_people *people, const char *string, int columns);

/* Two blanks and a bar of 20 columns for a fraction 0..1; `last`: nothing stands behind it, so no blanks do.
 */
void rp_cli_people_bar(rp_cli_people *people, double fraction, bool last);

/* The heading of an answer: its text in one bold line, with `pair` after an arrow unless its data is NULL. */
void rp_cli_people_heading(rp_cli_people *people, rp_text text, rp_text pair);

/* Note when the work begins, for the rate and the time left that rp_cli_progress shows. */
void rp_cli_progress_begin(void);

/* Show, on standard error, how much of `length` bytes is done, how many inputs a second, and how long the
 * rest takes at that rate. */
void rp_cli_progress(uint64_t done, uint64_t length, size_t inputs);

/* The same of bytes that are fetched, with the name of a file behind it. Nothing of it is more than the
 * terminal is wide. */
void rp_cli_progress_bytes(uint64_t done, uint64_t length, const char *name);

/* The same of `length` steps of a training, with what is said of the last one. Number `first` is done when
 * the work begins. */
void rp_cli_progress_steps(uint64_t done, uint64_t length, uint64_t first, const char *said);

/* Take the progress bar away. */
void rp_cli_progress_end(void);

#endif
