/* What the tests of pulls share: a server, a scratch folder and a cache in it, and one call. */
#ifndef SUPPORT_PULL_H
#define SUPPORT_PULL_H

#include "support_fixture.h"
#include "support_hub.h"

typedef struct pull_test {
    hub_server hub;
    char dir[FIXTURE_PATH_SIZE];   /* scratch */
    char cache[FIXTURE_PATH_SIZE]; /* the hub's cache in it */
    char repo[FIXTURE_PATH_SIZE];  /* the folder of org/tiny in it */
    rp_pull_params params;         /* endpoint, cache_dir and no token */
    rp_error err;
    char *out; /* of the last pull */
} pull_test;

/* A setup and a teardown of cmocka; `*state` is the pull_test. Variables that would lead a pull elsewhere are
 * unset. */
int pull_setup(void **state);
int pull_teardown(void **state);

/* rp_pull of `name` with t->params. */
rp_status pull(pull_test *t, const char *name);

/* The bytes of the file `name`, in printf's form, in the scratch folder; NULL: it is not there. The caller
 * frees them. */
char *pull_read(const pull_test *t, size_t *size, const char *name, ...)
    __attribute__((format(printf, 3, 4)));

/* True when the file in the scratch folder holds what the server has under `path`. */
bool pull_holds(const pull_test *t, const char *file, const char *path);

/* Files, links and folders below the scratch folder. */
size_t pull_entries(const pull_test *t);

#endif
