/* The options of the applications. */
#include "values.h"

bool rp_cli_set_application(const char *name, int which, const char *value, rp_cli_options *o) {
    (void)name, (void)value, (void)o;
    switch (which) {
    default:
        return false;
    }
}
