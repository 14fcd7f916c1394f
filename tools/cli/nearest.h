/* What a word that nobody knows was probably meant to be. */
#ifndef REPRISE_CLI_NEAREST_H
#define REPRISE_CLI_NEAREST_H

#include <stddef.h>

/* How far `word` is from `name`: the characters to put in, take out or replace, in which blanks, '-', '_' and
 * capitals do not count; 0 where `word` is its beginning, 1 where it is a part of it or all but its last
 * character is its beginning. RP_CLI_FAR where they have little in common. */
size_t rp_cli_distance(const char *word, const char *name);

enum { RP_CLI_FAR = 4 };

#endif
