/* Reading the value of an option. Each function returns false after a message on standard error that names
 * the command `name` and the option `r`. */
#ifndef REPRISE_CLI_VALUES_H
#define REPRISE_CLI_VALUES_H

#include "rules.h"

/* A decimal number of `least` to `most` and nothing else. */
bool rp_cli_read_number(const char *name, const rp_cli_rule *r, const char *value, uint32_t least,
                        uint32_t most, uint32_t *out);

/* A decimal number of 0 to below `below` and nothing else. */
bool rp_cli_read_real(const char *name, const rp_cli_rule *r, const char *value, double below, double *out);

/* A decimal number of -1 to 1 and nothing else. */
bool rp_cli_read_cosine(const char *name, const rp_cli_rule *r, const char *value, double *out);

/* The place of `value` in a NULL-ended list. */
bool rp_cli_read_word(const char *name, const rp_cli_rule *r, const char *value, const char *const *words,
                      int *out);

/* A value that is not empty. */
bool rp_cli_read_name(const char *name, const rp_cli_rule *r, const char *value, const char **out);

/* One more of an option that may be repeated. */
bool rp_cli_read_more(const char *name, const rp_cli_rule *r, const char *value, const char *const **list,
                      size_t *count);

/* Set the option of rule `which`, which has a value: those of finetune and pretrain, and those of the
 * applications (moderate, search, ...). False too where it is none of them. */
bool rp_cli_set_training(const char *name, int which, const char *value, rp_cli_options *o);
bool rp_cli_set_application(const char *name, int which, const char *value, rp_cli_options *o);

/* Those of serve; and what they are where they were not given: variables of the environment, as
 * text-embeddings-inference names them, or the defaults. */
bool rp_cli_set_serving(const char *name, int which, const char *value, rp_cli_options *o);
bool rp_cli_complete_serving(const char *name, const bool *given, rp_cli_options *o);

/* Whether the options of a command that takes `allowed` go together; `given`: [R_COUNT] which were. */
bool rp_cli_check_application(const char *name, const bool *given, uint64_t allowed, const rp_cli_options *o);

#endif
