/* The folder that a model's name means. */
#define _GNU_SOURCE /* dladdr, asprintf */
#include "loader/find_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/os.h"
#include "loader/hub_cache.h"
#include "loader/hub_environment.h"
#include "loader/json.h"

#ifndef REPRISE_DATA_DIR
#error "the build defines REPRISE_DATA_DIR, REPRISE_DATA_BESIDE and REPRISE_DATA_BESIDE_LIBEXEC"
#endif

const char *const rp_bundled_models[] = {"sentiment", "pretrained", "intents", "spam",
                                         "entities", "similarity", NULL};

static const char bundled_prefix[] = "bundled:";

static bool is_folder(const char *path) {
    return !rp_folder_check(path, NULL);
}

/* ---- models that come along ---- */

static bool is_bundled_name(const char *name) {
    for (size_t i = 0; rp_bundled_models[i]; i++)
        if (!strcmp(name, rp_bundled_models[i])) return true;
    return false;
}

/* The folder that this library lies in, or the program that has it inside, which the system may name as the
 * program was called; "" when it cannot be told. */
static void own_folder(char *out, size_t size) {
    static const char here;
    rp_os_library_of(&here, out, size);
    const char *name = strrchr(out, '/');
    bool library = name && strstr(name, ".so");
    if (!library && !rp_os_is_absolute(out)) rp_os_program(out, size);
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
    else
        out[0] = '\0';
}

/* Where the models that come along may lie: `root` and what is between it and their folder. */
enum { PLACES = 4 };

typedef struct places {
    char own[4096];
    struct {
        const char *root, *between;
    } list[PLACES];
} places;

static void find_places(places *p) {
    own_folder(p->own, sizeof p->own);
    static const char *const between[PLACES] = {REPRISE_DATA_BESIDE "/", REPRISE_DATA_BESIDE_LIBEXEC "/",
                                                "" /* of what was just built */, ""};
    for (size_t i = 0; i < PLACES; i++) {
        p->list[i].root = i + 1 < PLACES ? p->own : REPRISE_DATA_DIR;
        p->list[i].between = between[i];
    }
}

/* root/between/models/name where such a folder has a config.json. False: it is not there; or, with `*memory`,
 * there is no memory. */
static bool try_bundled(const char *root, const char *between, const char *name, char **out, bool *memory) {
    char *path = NULL;
    if (!*root) return false;
    if (asprintf(&path, "%s/%smodels/%s/config.json", root, between, name) < 0) {
        *memory = true;
        return false;
    }
    if (!rp_os_may_read(path)) {
        free(path);
        return false;
    }
    *strrchr(path, '/') = '\0';
    *out = path;
    return true;
}

static bool find_bundled(const char *name, char **out, bool *memory) {
    places p;
    if (!is_bundled_name(name)) return false;
    find_places(&p);
    for (size_t i = 0; i < PLACES && !*memory; i++)
        if (try_bundled(p.list[i].root, p.list[i].between, name, out, memory)) return true;
    return false;
}

static rp_status fail_bundled(const char *name, rp_error *err) {
    places p;
    char looked[360] = "";
    if (!is_bundled_name(name)) {
        for (size_t i = 0, used = 0; rp_bundled_models[i]; i++)
            used += (size_t)snprintf(looked + used, sizeof looked - used, "%s%s", used ? ", " : "",
                                     rp_bundled_models[i]);
        return rp_fail(err, RP_ERROR_FILE, "bundled:%.*s: there is no such bundled model; take one of %s",
                       rp_text_fit(name, 100), name, looked);
    }
    find_places(&p);
    for (size_t i = 0, used = 0; i < PLACES && used < sizeof looked; i++)
        if (p.list[i].root[0])
            used += (size_t)snprintf(looked + used, sizeof looked - used, "%s%s/%smodels", used ? ", " : "",
                                     p.list[i].root, p.list[i].between);
    return rp_fail(err, RP_ERROR_FILE, "%s: this bundled model is not installed; looked in %s", name, looked);
}

/* ---- models of a hub ---- */

/* The folder of a model in a hub's cache stands for the snapshot of its main revision, or for
 * the only one it has. */
static rp_status open_repo(const char *dir, char **out, rp_error *err) {
    bool memory = false;
    char id[RP_HUB_NAME_BYTES + 1];
    *out = rp_hub_snapshot(dir, "main", &memory);
    if (!*out && !memory) *out = rp_hub_only_snapshot(dir, &memory);
    if (memory) return rp_fail_memory(err, "a path", strlen(dir));
    if (*out) return RP_OK;
    rp_hub_id_of(dir, id);
    return rp_fail(
        err, RP_ERROR_FILE,
        "%s: no snapshot of its revision main is there; fetch it with `reprise pull %s`, or name a folder "
        "below snapshots/",
        rp_path_shown(dir), id);
}

/* `*out` stays NULL where it was not fetched. */
static rp_status find_fetched(const rp_hub_name *name, const char *cache, char **out, rp_error *err) {
    rp_hub_repo repo;
    bool memory = false;
    rp_status status = rp_hub_repo_open(cache, name->id, &repo, err);
    if (status) return status;
    *out = rp_hub_snapshot(repo.folder, name->revision[0] ? name->revision : "main", &memory);
    rp_hub_repo_finish(&repo);
    return memory ? rp_fail_memory(err, "a path", strlen(cache)) : RP_OK;
}

static rp_status fail_nowhere(const char *text, const rp_hub_name *name, const char *cache, rp_error *err) {
    return rp_fail(
        err, RP_ERROR_FILE,
        "%.*s: there is no such folder, and no model of this name was fetched (%s); check the path, or fetch "
        "it with `reprise pull %s%s%s`",
        rp_text_fit(text, 100), text, cache ? rp_path_shown(cache) : "no cache folder", name->id,
        name->revision[0] ? "@" : "", name->revision);
}

/* ---- names ---- */

/* The text of a name that is no folder: the same error as that of a folder which is not there, unless it can
 * be a model's. */
static rp_status find_name(const char *text, char **out, rp_error *err) {
    rp_hub_name name;
    char *cache = NULL;
    bool memory = false;
    if (find_bundled(text, out, &memory)) return RP_OK;
    if (memory) return rp_fail_memory(err, "a path", strlen(text));
    if (strstr(text, "://") || !rp_hub_name_read(text, NULL, &name)) return rp_folder_check(text, err);
    rp_status status = rp_hub_cache_folder(NULL, &cache, NULL);
    if (!status) status = find_fetched(&name, cache, out, err);
    if (status != RP_ERROR_HOST_MEMORY && !*out)
        status = rp_path_exists(text)    ? rp_folder_check(text, err)
                 : is_bundled_name(text) ? fail_bundled(text, err)
                                         : fail_nowhere(text, &name, cache, err);
    free(cache);
    return status;
}

rp_status rp_find_model(const char *name, char **out, rp_error *err) {
    bool memory = false;
    if (!out) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_find_model: out must not be NULL");
    *out = NULL;
    if (!name || !*name) return rp_folder_check(name, err);
    if (!strncmp(name, bundled_prefix, strlen(bundled_prefix))) {
        const char *asked = name + strlen(bundled_prefix);
        if (find_bundled(asked, out, &memory)) return RP_OK;
        return memory ? rp_fail_memory(err, "a path", strlen(name)) : fail_bundled(asked, err);
    }
    if (!is_folder(name)) return find_name(name, out, err);
    if (rp_hub_is_repo(name)) return open_repo(name, out, err);
    *out = strdup(name);
    return *out ? RP_OK : rp_fail_memory(err, "a path", strlen(name));
}
