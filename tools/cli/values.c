#include "values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool rp_cli_read_number(const char *name, const rp_cli_rule *r, const char *value, uint32_t least,
                        uint32_t most, uint32_t *out) {
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno || number < least || number > most) {
        rp_cli_complain("%s: --%s takes a number from %u to %u, not '%s'; try 'reprise %s --help'", name,
                        r->name, (unsigned)least, (unsigned)most, value, name);
        return false;
    }
    *out = (uint32_t)number;
    return true;
}

bool rp_cli_read_real(const char *name, const rp_cli_rule *r, const char *value, double below, double *out) {
    char *end = NULL;
    bool plain = *value && strspn(value, "0123456789.eE+-") == strlen(value);
    *out = plain ? strtod(value, &end) : -1;
    if (plain && !*end && *out >= 0 && *out < below) return true;
    rp_cli_complain("%s: --%s takes a number from 0 to below %g, not '%s'; try 'reprise %s --help'", name,
                    r->name, below, value, name);
    return false;
}

bool rp_cli_read_cosine(const char *name, const rp_cli_rule *r, const char *value, double *out) {
    char *end = NULL;
    bool plain = *value && strspn(value, "0123456789.eE+-") == strlen(value);
    *out = plain ? strtod(value, &end) : 2;
    if (plain && !*end && *out >= -1 && *out <= 1) return true;
    rp_cli_complain("%s: --%s takes a number from -1 to 1, not '%s'; try 'reprise %s --help'", name, r->name,
                    value, name);
    return false;
}

bool rp_cli_read_word(const char *name, const rp_cli_rule *r, const char *value, const char *const *words,
                      int *out) {
    rp_cli_buffer list = {0};
    for (int i = 0; words[i]; i++) {
        if (!strcmp(words[i], value)) {
            free(list.data);
            *out = i;
            return true;
        }
        rp_cli_printf(&list, "%s%s", !i ? "" : words[i + 1] ? ", " : " or ", words[i]);
    }
    rp_cli_complain("%s: --%s takes %s, not '%s'; try 'reprise %s --help'", name, r->name, list.data, value,
                    name);
    free(list.data);
    return false;
}

bool rp_cli_read_name(const char *name, const rp_cli_rule *r, const char *value, const char **out) {
    if (!*value) {
        rp_cli_complain("%s: --%s takes a %s, and it is empty; try 'reprise %s --help'", name, r->name,
                        r->value, name);
        return false;
    }
    *out = value;
    return true;
}

bool rp_cli_read_more(const char *name, const rp_cli_rule *r, const char *value, const char *const **list,
                      size_t *count) {
    const char **files = rp_cli_realloc((void *)*list, (*count + 1) * sizeof *files);
    *list = files;
    return rp_cli_read_name(name, r, value, &files[(*count)++]);
}
