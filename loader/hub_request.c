/* Requests to a hub: redirects, what errors mean, and trying again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "loader/hub.h"
#include "loader/json.h"

enum { MAX_REDIRECTS = 10, MAX_TRIES = 5, LONGEST_WAIT = 300 };

/* ---- the handler ---- */

bool rp_hub_tell(rp_hub *hub, bool now) {
    double time = rp_seconds();
    if (hub->stopped || !hub->handler || (!now && time - hub->told < 0.1)) return !hub->stopped;
    hub->told = time;
    hub->progress.all_done = hub->finished + hub->progress.done;
    hub->stopped = !hub->handler->take(hub->handler->user, &hub->progress);
    return !hub->stopped;
}

bool rp_hub_go_on(void *user) {
    return rp_hub_tell(user, false);
}

static rp_status fail_stopped(const rp_hub *hub, rp_error *err) {
    return rp_fail(err, RP_ERROR_STOPPED,
                   "%s: stopped; what is there stays, and the next pull goes on from it", hub->id);
}

/* ---- what an answer means ---- */

static rp_status fail_redirects(const rp_hub *hub, const char *file, rp_error *err) {
    return rp_fail(err, RP_ERROR_NETWORK, "%s: %s: %s redirects more than %d times; check HF_ENDPOINT",
                   hub->id, rp_path_shown(file), hub->endpoint, MAX_REDIRECTS);
}

/* " (the hub says: ...)" */
static void say_message(const rp_hub_answer *a, char out[256]) {
    out[0] = '\0';
    if (a->error_message[0]) snprintf(out, 256, " (the hub says: %s)", a->error_message);
}

static rp_status fail_denied(const rp_hub *hub, const rp_hub_answer *a, rp_error *err) {
    char said[256];
    say_message(a, said);
    const char *sent =
        hub->token ? "the token that was sent may not read it" : "no token was sent: set HF_TOKEN";
    if (!strcmp(a->error_code, "GatedRepo"))
        return rp_fail(
            err, RP_ERROR_NETWORK,
            "%s: this model is gated: accept its terms at %.100s/%s, and set HF_TOKEN to a token of that "
            "account (%s)%s",
            hub->id, hub->endpoint, hub->id, sent, said);
    if (strstr(a->error_message, "Invalid credentials"))
        return rp_fail(
            err, RP_ERROR_NETWORK,
            "%s: %.100s does not know the token that was sent; set HF_TOKEN to a valid one, or to none%s",
            hub->id, hub->endpoint, said);
    if (a->status == 403)
        return rp_fail(err, RP_ERROR_NETWORK, "%s: %.100s refuses access (403): %s%s", hub->id, hub->endpoint,
                       sent, said);
    return rp_fail(
        err, RP_ERROR_FILE,
        "%s: %.100s has no model of this name, or it is private; check the name, or for a private model "
        "set HF_TOKEN to a token that may read it (%s)%s",
        hub->id, hub->endpoint, hub->token ? "one was sent" : "none was sent", said);
}

static rp_status fail_answer(const rp_hub *hub, const char *file, const rp_hub_answer *a, rp_error *err) {
    char said[256];
    say_message(a, said);
    if (!strcmp(a->error_code, "RevisionNotFound"))
        return rp_fail(err, RP_ERROR_FILE, "%s: the hub has no revision %s of this model; check --revision%s",
                       hub->id, hub->revision, said);
    if (!strcmp(a->error_code, "EntryNotFound"))
        return rp_fail(err, RP_ERROR_FILE,
                       "%s: the hub lists the file %s but does not have it; try again later%s", hub->id,
                       rp_path_shown(file), said);
    if (a->status == 401 || a->status == 403 || !strcmp(a->error_code, "RepoNotFound") ||
        !strcmp(a->error_code, "GatedRepo"))
        return fail_denied(hub, a, err);
    if (a->status == 404) {
        if (!*file) return fail_denied(hub, a, err);
        return rp_fail(err, RP_ERROR_FILE, "%s: %s: %.100s has no such file (404)%s", hub->id,
                       rp_path_shown(file), hub->endpoint, said);
    }
    if (a->status == 429)
        return rp_fail(
            err, RP_ERROR_NETWORK,
            "%s: %.100s takes no more requests for now (429)%s; wait, or set HF_TOKEN, which allows more",
            hub->id, hub->endpoint, said);
    return rp_fail(err, RP_ERROR_NETWORK,
                   "%s: %s: %.100s answers with status %d%s; try again later, or check "
                   "HF_ENDPOINT",
                   hub->id, *file ? rp_path_shown(file) : "the list of files", hub->endpoint, a->status,
                   said);
}

static bool is_passing(int status) {
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

static bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* ---- one try ---- */

/* A hop on the way of one request. */
typedef struct hop {
    char *url;
    bool trusted; /* the endpoint itself, and never anything else before: it gets the token */
} hop;

static rp_status send_once(rp_hub *hub, const rp_http_request *request, const hop *at, const char *file,
                           rp_hub_answer *answer, bool *again, rp_error *err) {
    char why[RP_HTTP_WHY];
    rp_http_request now = *request;
    now.url = at->url;
    now.token = at->trusted ? hub->token : NULL;
    now.go_on = rp_hub_go_on;
    now.pull = hub;
    rp_http_end end = rp_http_send(hub->http, &now, answer, why);
    if (hub->stopped) return fail_stopped(hub, err);
    if (end == RP_HTTP_ANSWERED && answer->status) return RP_OK;
    *again = end == RP_HTTP_BROKEN || end == RP_HTTP_ANSWERED; /* without a status: by who speaks no HTTP */
    return rp_fail(
        err, RP_ERROR_NETWORK,
        "%s: %s%s%.*s cannot be reached: %s; check the network, or take what was fetched before with "
        "--offline",
        hub->id, rp_path_shown(file), *file ? ": " : "", rp_text_fit(at->url, 100), at->url,
        why[0] ? why : "no answer");
}

/* What addresses before this one said of the file. */
static void keep_from(const rp_hub_answer *before, rp_hub_answer *answer) {
    if (!answer->commit[0]) strcpy(answer->commit, before->commit);
    if (!answer->linked_etag[0]) strcpy(answer->linked_etag, before->linked_etag);
    if (answer->linked_size == UINT64_MAX) answer->linked_size = before->linked_size;
    if (!answer->bad) answer->bad = before->bad;
}

/* A redirect to where the bytes of a large file are: all there is to know of it stands in this answer. */
static bool tells_enough(const rp_hub_answer *a, const char *from, const char *to) {
    return !rp_url_same_origin(from, to) && a->commit[0] && (a->linked_etag[0] || a->etag[0]);
}

/* Go to where `answer` redirects to. `*final`: there is no need to. */
static rp_status follow(rp_hub *hub, bool head, hop *at, const rp_hub_answer *answer, const char *file,
                        bool *final, rp_error *err) {
    bool memory = false;
    char *next = answer->location[0] ? rp_url_resolve(at->url, answer->location, &memory) : NULL;
    if (memory) return rp_fail_memory(err, "an address", strlen(answer->location));
    if (!next)
        return rp_fail(
            err, RP_ERROR_NETWORK,
            "%s: %s: the hub redirects (%d) to \"%.*s\", which is no address that may be followed; check "
            "HF_ENDPOINT",
            hub->id, rp_path_shown(file), answer->status, rp_text_fit(answer->location, 120),
            answer->location);
    *final = head && tells_enough(answer, at->url, next);
    if (*final) {
        free(next);
        return RP_OK;
    }
    at->trusted = at->trusted && rp_url_same_origin(at->url, next);
    free(at->url);
    at->url = next;
    return RP_OK;
}

rp_status rp_hub_try(rp_hub *hub, const rp_http_request *request, const char *file, rp_hub_answer *answer,
                     bool *again, rp_error *err) {
    hop at = {strdup(request->url), true};
    rp_hub_answer *before = rp_new(rp_hub_answer);
    rp_status status = at.url && before ? RP_OK : rp_fail_memory(err, "a request", sizeof *before);
    bool final = false;
    *again = false;
    if (before) rp_hub_answer_begin(before);
    for (int hops = 0; !status && !final; hops++) {
        status = send_once(hub, request, &at, file, answer, again, err);
        if (status) break;
        keep_from(before, answer);
        if (!is_redirect(answer->status)) {
            final = true;
            if (answer->status == 200 || answer->status == 206) break;
            *again = is_passing(answer->status);
            status = fail_answer(hub, file, answer, err);
        } else if (hops == MAX_REDIRECTS) {
            status = fail_redirects(hub, file, err);
        } else {
            *before = *answer;
            status = follow(hub, request->head, &at, answer, file, &final, err);
        }
    }
    free(at.url);
    free(before);
    return status;
}

/* ---- trying again ---- */

double rp_hub_first_wait = 0.5;

bool rp_hub_wait(rp_hub *hub, const rp_hub_answer *answer, unsigned tries, rp_status *status, rp_error *err) {
    double seconds = rp_hub_first_wait * (double)(1u << (tries < 10 ? tries - 1 : 9));
    bool asked = is_passing(answer->status) && answer->wait >= 0;
    if (tries >= MAX_TRIES) return false;
    if (asked && answer->wait > LONGEST_WAIT) {
        *status = rp_fail(
            err, RP_ERROR_NETWORK,
            "%s: %.100s asks to wait %.0f s before the next request (%d); try again then, or set HF_TOKEN, "
            "which allows more",
            hub->id, hub->endpoint, answer->wait, answer->status);
        return false;
    }
    const rp_hub_tick tick = {rp_hub_go_on, hub};
    if (rp_hub_sleep(asked ? answer->wait : seconds, &tick)) return true;
    *status = fail_stopped(hub, err);
    return false;
}

rp_status rp_hub_ask(rp_hub *hub, const rp_http_request *request, const char *file, rp_hub_answer *answer,
                     rp_error *err) {
    bool again = true;
    rp_status status = RP_OK;
    for (unsigned tries = 1; again; tries++) {
        status = rp_hub_try(hub, request, file, answer, &again, err);
        if (!status || !again || !rp_hub_wait(hub, answer, tries, &status, err)) break;
    }
    return status;
}

char *rp_hub_file_url(const rp_hub *hub, const char *path) {
    char *url = malloc(RP_URL_BYTES);
    if (!url) return NULL;
    snprintf(url, RP_URL_BYTES, "%s/%s/resolve/%s/", hub->endpoint, hub->id, hub->commit);
    rp_url_quote(path, true, url,
                 RP_URL_BYTES); /* it fits: paths are a quarter of it at most, less the rest */
    return url;
}
