#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support_pull.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/hub.h"

int pull_setup(void **state) {
    static const char *const variables[] = {"HF_ENDPOINT",
                                            "HF_HOME",
                                            "HF_HUB_CACHE",
                                            "HUGGINGFACE_HUB_CACHE",
                                            "HF_TOKEN",
                                            "HF_TOKEN_PATH",
                                            "HF_HUB_OFFLINE",
                                            "TRANSFORMERS_OFFLINE",
                                            "HF_HUB_ETAG_TIMEOUT",
                                            "http_proxy",
                                            "HF_HUB_DOWNLOAD_TIMEOUT",
                                            "HUGGING_FACE_HUB_TOKEN",
                                            "all_proxy",
                                            "ALL_PROXY",
                                            "XDG_CACHE_HOME",
                                            "HF_HUB_DISABLE_IMPLICIT_TOKEN"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) unsetenv(variables[i]);
    pull_test *t = calloc(1, sizeof *t);
    assert_non_null(t);
    *state = t;
    rp_hub_first_wait = 0.02;
    hub_start(&t->hub);
    if (!fixture_make_dir(t->dir)) return -1;
    snprintf(t->cache, sizeof t->cache, "%.400s/hub", t->dir);
    snprintf(t->repo, sizeof t->repo, "%.400s/models--org--tiny", t->cache);
    t->params = (rp_pull_params){.endpoint = t->hub.endpoint, .cache_dir = t->cache, .token = ""};
    return 0;
}

int pull_teardown(void **state) {
    pull_test *t = *state;
    hub_stop(&t->hub);
    fixture_remove_dir(t->dir);
    free(t->out);
    free(t);
    return 0;
}

rp_status pull(pull_test *t, const char *name) {
    free(t->out);
    t->out = NULL;
    memset(&t->err, 0, sizeof t->err);
    rp_status status = rp_pull(name, &t->params, &t->out, &t->err);
    assert_int_equal(t->err.status, status);
    if (status) {
        assert_null(t->out);
        assert_true(strlen(t->err.message) > 20);
    } else {
        assert_non_null(t->out);
    }
    return status;
}

char *pull_read(const pull_test *t, size_t *size, const char *name, ...) {
    char below[FIXTURE_PATH_SIZE], path[2 * FIXTURE_PATH_SIZE];
    va_list args;
    va_start(args, name);
    vsnprintf(below, sizeof below, name, args);
    va_end(args);
    snprintf(path, sizeof path, "%s/%s", t->dir, below);
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    enum { MOST = 8 << 20 };
    char *data = malloc(MOST + 1);
    assert_non_null(data);
    size_t got = fread(data, 1, MOST, file);
    data[got] = '\0';
    fclose(file);
    if (size) *size = got;
    return data;
}

bool pull_holds(const pull_test *t, const char *file, const char *path) {
    for (size_t i = 0; i < t->hub.count; i++) {
        const hub_file *wanted = &t->hub.files[i];
        if (strcmp(wanted->path, path)) continue;
        size_t size = 0;
        char *data = pull_read(t, &size, "%s", file);
        bool same = data && size == wanted->size && !memcmp(data, wanted->data, size);
        free(data);
        return same;
    }
    return false;
}

static size_t entries;

static int count_entry(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)path, (void)info, (void)kind, (void)at;
    entries++;
    return 0;
}

size_t pull_entries(const pull_test *t) {
    entries = 0;
    nftw(t->dir, count_entry, 16, FTW_PHYS);
    return entries;
}
