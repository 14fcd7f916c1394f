#include "nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum { LONGEST = 32 };

/* The letters and digits of `word` in small letters. False: there are too many of them. */
static bool squeeze(const char *word, char out[LONGEST]) {
    size_t size = 0;
    for (; *word; word++) {
        if (strchr("-_ ", *word)) continue;
        if (size + 1 == LONGEST) return false;
        out[size++] = (char)tolower((unsigned char)*word);
    }
    out[size] = '\0';
    return size > 0;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Insertions, removals and replacements of characters that make `a` into `b`. */
static size_t changes(const char *a, const char *b) {
    size_t row[LONGEST], columns = strlen(b);
    for (size_t j = 0; j <= columns; j++) row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t above = row[j];
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            row[j] = smaller(replaced, smaller(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[columns];
}

size_t rp_cli_distance(const char *word, const char *name) {
    char a[LONGEST], b[LONGEST];
    if (!squeeze(word, a) || !squeeze(name, b)) return RP_CLI_FAR;
    size_t size = strlen(a), same = 0, count = changes(a, b);
    while (a[same] && a[same] == b[same]) same++;
    if (size >= 2 && same == size) return 0;
    if ((size >= 4 && strstr(b, a)) || (same >= 3 && same + 1 == size)) return 1;
    return count < RP_CLI_FAR && 2 * count <= size && count + 1 < strlen(b) ? count : RP_CLI_FAR;
}
