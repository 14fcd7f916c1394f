/* rp_pull: a model of a hub, into the cache that huggingface_hub shares. */
#include "base/os.h"
#include "reprise/pull.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "loader/hub.h"
#include "loader/hub_environment.h"
#include "loader/hub_files.h"
#include "loader/json.h"

enum {
    MAX_LIST_BYTES = 32 << 20,
    MOST_TIMEOUTS = 30, /* that an answer without a file may take in all: a byte now and then is no answer */
};

/* ---- the list of files ---- */

/* A body that is kept. */
typedef struct text {
    char *data;
    size_t size, capacity;
    bool memory, large;
} text;

static bool take_text(void *user, const rp_hub_answer *answer, const void *data, size_t size) {
    text *t = user;
    (void)answer;
    t->large = size > MAX_LIST_BYTES - t->size;
    if (t->large) return false;
    t->memory = !rp_grow((void **)&t->data, &t->capacity, t->size + size, 1);
    if (t->memory) return false;
    memcpy(t->data + t->size, data, size);
    t->size += size;
    return true;
}

static rp_status read_list(rp_hub *hub, const char *url, rp_hub_list *list, rp_error *err) {
    rp_hub_answer *answer = rp_new(rp_hub_answer);
    rp_status status = answer ? RP_OK : rp_fail_memory(err, "an answer", sizeof *answer);
    text body = {0};
    bool again = true;
    for (unsigned tries = 1; !status && again; tries++) {
        const rp_http_request request = {.url = url,
                                         .timeout = rp_hub_answer_timeout(),
                                         .most = MOST_TIMEOUTS * rp_hub_answer_timeout(),
                                         .body = take_text,
                                         .user = &body};
        body.size = 0;
        status = rp_hub_try(hub, &request, "", answer, &again, err);
        if (!status || !again || !rp_hub_wait(hub, answer, tries, &status, err)) break;
        status = RP_OK;
    }
    if (body.memory) status = rp_fail_memory(err, "a list of files", body.size);
    if (body.large)
        status =
            rp_fail(err, RP_ERROR_FORMAT, "%s: the list of files has more than %d bytes; check HF_ENDPOINT",
                    hub->id, MAX_LIST_BYTES);
    if (!status && !body.size)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: the list of files is empty; check HF_ENDPOINT", hub->id);
    if (!status) status = rp_hub_list_read(body.data, body.size, url, list, err);
    free(body.data);
    free(answer);
    return status;
}

static rp_status fetch_list(rp_hub *hub, rp_hub_list *list, rp_error *err) {
    char *url = rp_new_array(char, RP_URL_BYTES);
    if (!url) return rp_fail_memory(err, "an address", RP_URL_BYTES);
    snprintf(url, RP_URL_BYTES, "%s/api/models/%s/revision/", hub->endpoint, hub->id);
    rp_status status = RP_OK;
    if (!rp_url_quote(hub->revision, false, url, RP_URL_BYTES) || !rp_url_check(url))
        status = rp_fail(err, RP_ERROR_ARGUMENT, "%s: the hub's address is too long", hub->id);
    if (!status) status = read_list(hub, url, list, err);
    if (!status) strcpy(hub->commit, list->commit);
    free(url);
    return status;
}

/* ---- files ---- */

/* In the snapshot already: its name, and what it leads to. */
static bool is_there(const rp_hub *hub, const char *path) {
    rp_os_info info;
    char *name = rp_hub_repo_path(&hub->repo, "snapshots/%s/%s", hub->commit, path);
    bool there = name && !rp_os_stat(name, &info) && info.kind == RP_OS_FILE;
    free(name);
    return there;
}

/* What the hub says of one file. */
static rp_status ask_file(rp_hub *hub, rp_hub_file *file, rp_error *err) {
    rp_hub_answer *answer = rp_new(rp_hub_answer);
    char *url = rp_hub_file_url(hub, file->path);
    const rp_http_request request = {.url = url,
                                     .head = true,
                                     .timeout = rp_hub_answer_timeout(),
                                     .most = MOST_TIMEOUTS * rp_hub_answer_timeout()};
    rp_status status = answer && url ? RP_OK : rp_fail_memory(err, "a request", RP_URL_BYTES);
    if (!status) status = rp_hub_ask(hub, &request, file->path, answer, err);
    if (status) goto done;
    const char *etag = answer->linked_etag[0] ? answer->linked_etag : answer->etag;
    const char *wrong = answer->bad                                                 ? answer->bad
                        : !etag[0]                                                  ? "ETag"
                        : !answer->commit[0] || strcmp(answer->commit, hub->commit) ? "X-Repo-Commit"
                                                                                    : NULL;
    if (wrong) {
        status = rp_fail(
            err, RP_ERROR_FORMAT,
            "%s: %s: the answer's %s is missing or not what it should be; check that HF_ENDPOINT is a hub",
            hub->id, rp_path_shown(file->path), wrong);
        goto done;
    }
    strcpy(file->etag, etag);
    file->size = answer->linked_size;
    if (file->size == UINT64_MAX && answer->status == 200) file->size = answer->length;
    if (file->size != UINT64_MAX) hub->progress.all += file->size;
done:
    free(answer);
    free(url);
    return status;
}

static rp_status fetch_file(rp_hub *hub, const rp_hub_file *file, rp_error *err) {
    rp_pull_progress *p = &hub->progress;
    p->file = file->path;
    p->done = 0;
    p->size = file->size == UINT64_MAX ? 0 : file->size;
    rp_status status = rp_hub_fetch_blob(hub, file, err);
    if (!status) status = rp_hub_link(&hub->repo, hub->commit, file->path, file->etag, err);
    if (status) return status;
    p->done = p->size;
    p->index++;
    bool on = rp_hub_tell(hub, true);
    hub->finished += p->size;
    p->done = 0;
    if (on) return RP_OK;
    return rp_fail(err, RP_ERROR_STOPPED,
                   "%s: stopped; what is there stays, and the next pull goes on from it", hub->id);
}

/* Fetch the chosen files that are not there, after asking for the sizes of all. */
static rp_status fetch_chosen(rp_hub *hub, const rp_hub_list *list, rp_error *err) {
    size_t count = 0, missing = 0;
    for (size_t i = 0; i < list->count; i++) count += list->chosen[i];
    rp_hub_file *files = rp_new_array(rp_hub_file, count);
    if (!files) return rp_fail_memory(err, "a list of files", count * sizeof *files);
    rp_status status = RP_OK;
    for (size_t i = 0; i < list->count && !status; i++) {
        if (!list->chosen[i] || is_there(hub, list->paths[i])) continue;
        files[missing].path = list->paths[i];
        status = ask_file(hub, &files[missing++], err);
    }
    hub->progress.count = (uint32_t)count;
    hub->progress.index = (uint32_t)(count - missing);
    for (size_t i = 0; i < missing && !status; i++) status = fetch_file(hub, &files[i], err);
    hub->progress.file = "";
    free(files);
    return status;
}

static rp_status fetch_model(rp_hub *hub, rp_hub_list *list, rp_error *err) {
    rp_status status = fetch_list(hub, list, err);
    if (status) return status;
    char *snapshot = rp_hub_repo_path(&hub->repo, "snapshots/%s", hub->commit);
    if (!snapshot) return rp_fail_memory(err, "a path", strlen(hub->repo.folder));
    rp_hub_choose_first(list);
    status = fetch_chosen(hub, list, err);
    if (!status) status = rp_hub_choose(list, snapshot, hub->id, err);
    if (!status) status = fetch_chosen(hub, list, err);
    if (!status && strcmp(hub->revision, hub->commit))
        status = rp_hub_ref_write(&hub->repo, hub->revision, hub->commit, err);
    free(snapshot);
    return status;
}

/* ---- what the caller gets ---- */

/* Copy the files of `snapshot` that were chosen, or (offline) all, to the folder `output`. */
static rp_status copy_files(rp_hub *hub, const rp_hub_list *list, const char *snapshot, const char *output,
                            rp_error *err) {
    const rp_hub_tick tick = {rp_hub_go_on, hub};
    rp_status status = RP_OK;
    for (size_t i = 0; i < list->count && !status; i++) {
        if (!list->chosen[i]) continue;
        char *from = rp_path_join(snapshot, list->paths[i]), *to = rp_path_join(output, list->paths[i]);
        status =
            from && to ? rp_hub_copy(from, to, &tick, err) : rp_fail_memory(err, "a path", strlen(snapshot));
        free(from);
        free(to);
    }
    return status;
}

/* What was fetched before. */
static rp_status find_offline(rp_hub *hub, rp_hub_list *list, const char *cache, rp_error *err) {
    bool memory = false;
    char *snapshot = rp_hub_snapshot(hub->repo.folder, hub->revision, &memory);
    if (memory) return rp_fail_memory(err, "a path", strlen(cache));
    if (!snapshot)
        return rp_fail(
            err, RP_ERROR_FILE,
            "%s: revision %s was not fetched before (%s), and no network is to be used; pull it without "
            "--offline and HF_HUB_OFFLINE",
            hub->id, hub->revision, rp_path_shown(cache));
    rp_status status = rp_hub_list_folder(snapshot, list, err);
    if (!status) status = rp_hub_choose(list, snapshot, hub->id, err);
    if (status == RP_ERROR_UNSUPPORTED || status == RP_ERROR_FORMAT)
        status = rp_fail(
            err, RP_ERROR_FILE,
            "%s: only a part of it is there, and no network is to be used; pull it without --offline and "
            "HF_HUB_OFFLINE",
            rp_path_shown(snapshot));
    if (!status) strcpy(hub->commit, strrchr(snapshot, '/') + 1);
    free(snapshot);
    return status;
}

/* The folder for rp_model_open, once the files are in the cache. */
static rp_status give_folder(rp_hub *hub, const rp_hub_list *list, const char *output, char **out,
                             rp_error *err) {
    char *snapshot = rp_hub_repo_path(&hub->repo, "snapshots/%s", hub->commit);
    rp_status status = snapshot ? RP_OK : rp_fail_memory(err, "a path", strlen(hub->repo.folder));
    if (!status && output) status = copy_files(hub, list, snapshot, output, err);
    if (!status && output) {
        free(snapshot);
        snapshot = strdup(output);
        if (!snapshot) status = rp_fail_memory(err, "a path", strlen(output));
    }
    if (status) {
        free(snapshot);
        snapshot = NULL;
    }
    *out = snapshot;
    return status;
}

/* ---- the call ---- */

static rp_status check_arguments(const char *name, const rp_pull_params *params, char **out, rp_error *err) {
    if (out) *out = NULL;
    if (!name || !out) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_pull: the name and out must not be NULL");
    if (params->output && !*params->output)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_pull: output is empty; name a folder");
    if (params->on_progress && !params->on_progress->take)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_pull: on_progress has no function");
    return rp_check_reserved(params->reserved, RP_COUNT(params->reserved), "rp_pull", err);
}

/* The name, and the revision: as `params` says, else as the name does, else main. */
static rp_status read_name(const char *text, const rp_pull_params *params, const char *endpoint,
                           rp_hub_name *name, rp_error *err) {
    if (!rp_hub_name_read(text, endpoint, name))
        return rp_fail(
            err, RP_ERROR_ARGUMENT,
            "\"%.*s\" is not the name of a model on a hub; give ORG/NAME, such as albert/albert-base-v2",
            rp_text_fit(text, 200), text);
    const char *given = params->revision;
    if (given && name->revision[0] && strcmp(given, name->revision))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "%s: the name says revision %s, and %.100s was asked for; say one", name->id,
                       name->revision, given);
    if (given && (strlen(given) > RP_HUB_REVISION_BYTES || !rp_hub_path_check(given)))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "%s: \"%.*s\" is no revision; give a branch, a tag or a commit", name->id,
                       rp_text_fit(given, 200), given);
    if (!name->revision[0]) strcpy(name->revision, given ? given : "main");
    return RP_OK;
}

static rp_status pull(rp_hub *hub, const rp_pull_params *params, const char *cache, char **out,
                      rp_error *err) {
    rp_hub_list list = {.count = 0};
    rp_status status = rp_hub_repo_open(cache, hub->id, &hub->repo, err);
    if (status) return status;
    if (params->offline || rp_hub_is_offline()) {
        status = find_offline(hub, &list, cache, err);
    } else {
        status = rp_http_open(&hub->http, err);
        if (!status) status = fetch_model(hub, &list, err);
    }
    if (!status) status = give_folder(hub, &list, params->output, out, err);
    rp_hub_list_finish(&list);
    rp_http_close(hub->http);
    rp_hub_repo_finish(&hub->repo);
    return status;
}

rp_status rp_pull(const char *name, const rp_pull_params *params, char **out, rp_error *err) {
    static const rp_pull_params defaults;
    rp_error why = {0}; /* also of tries that others made good */
    if (!params) params = &defaults;
    char *endpoint = NULL, *cache = NULL, *token = NULL;
    rp_hub_name where;
    rp_status status = check_arguments(name, params, out, &why);
    if (!status) status = rp_hub_endpoint(params->endpoint, &endpoint, &why);
    if (!status) status = read_name(name, params, endpoint, &where, &why);
    if (!status) status = rp_hub_cache_folder(params->cache_dir, &cache, &why);
    if (!status) status = rp_hub_token(params->token, &token, &why);
    if (!status) {
        rp_hub hub = {.endpoint = endpoint,
                      .token = token,
                      .id = where.id,
                      .revision = where.revision,
                      .handler = params->on_progress};
        hub.progress.file = "";
        status = pull(&hub, params, cache, out, &why);
    }
    free(endpoint);
    free(cache);
    free(token);
    if (status && err) *err = why;
    return status;
}
