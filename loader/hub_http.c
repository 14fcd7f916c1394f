#include "loader/hub_http.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/os.h"
#include "loader/hub_environment.h"

/* ---- libcurl ---- */

/* The few numbers of libcurl's interface that are used; its headers are not needed to build. They are those
 * of curl/curl.h and never change within libcurl.so.4 (https://curl.se/libcurl/abi.html). */
enum {
    LONGS = 0, /* options that take a long; their number is added */
    POINTERS = 10000,
    FUNCTIONS = 20000,
    CURLOPT_WRITEDATA = POINTERS + 1,
    CURLOPT_URL = POINTERS + 2,
    CURLOPT_RANGE = POINTERS + 7,
    CURLOPT_ERRORBUFFER = POINTERS + 10,
    CURLOPT_TIMEOUT = LONGS + 13,
    CURLOPT_WRITEFUNCTION = FUNCTIONS + 11,
    CURLOPT_USERAGENT = POINTERS + 18,
    CURLOPT_LOW_SPEED_LIMIT = LONGS + 19,
    CURLOPT_LOW_SPEED_TIME = LONGS + 20,
    CURLOPT_HTTPHEADER = POINTERS + 23,
    CURLOPT_HEADERDATA = POINTERS + 29,
    CURLOPT_NOPROGRESS = LONGS + 43,
    CURLOPT_NOBODY = LONGS + 44,
    CURLOPT_XFERINFODATA = POINTERS + 57,
    CURLOPT_CAINFO = POINTERS + 65,
    CURLOPT_CONNECTTIMEOUT = LONGS + 78,
    CURLOPT_HEADERFUNCTION = FUNCTIONS + 79,
    CURLOPT_NOSIGNAL = LONGS + 99,
    CURLOPT_PROTOCOLS = LONGS + 181,
    CURLOPT_XFERINFOFUNCTION = FUNCTIONS + 219,
    CURLPROTO_HTTP_AND_HTTPS = 1 | 2,
    CURL_GLOBAL_DEFAULT = 3,
    CURL_ERROR_SIZE = 256,
    /* results */
    CURLE_UNSUPPORTED_PROTOCOL = 1,
    CURLE_URL_MALFORMAT = 3,
    CURLE_COULDNT_RESOLVE_PROXY = 5,
    CURLE_COULDNT_RESOLVE_HOST = 6,
    CURLE_WRITE_ERROR = 23,
    CURLE_OUT_OF_MEMORY = 27,
    CURLE_ABORTED_BY_CALLBACK = 42,
    CURLE_PEER_FAILED_VERIFICATION = 60,
    CURLE_SSL_CACERT_BADFILE = 77,
};

typedef struct curl_library {
    int (*global_init)(long flags);
    void *(*easy_init)(void);
    void (*easy_cleanup)(void *handle);
    void (*easy_reset)(void *handle);
    int (*easy_setopt)(void *handle, int option, ...);
    int (*easy_perform)(void *handle);
    const char *(*easy_strerror)(int code);
    void *(*slist_append)(void *list, const char *text);
    void (*slist_free_all)(void *list);
} curl_library;

static curl_library curl;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static bool loaded;

/* Take the functions out of an open library; false where one is missing. */
static bool take_functions(void *library) {
    const struct {
        const char *name;
        void *place;
    } functions[] = {
        {"curl_global_init", &curl.global_init},       {"curl_easy_init", &curl.easy_init},
        {"curl_easy_cleanup", &curl.easy_cleanup},     {"curl_easy_reset", &curl.easy_reset},
        {"curl_easy_setopt", &curl.easy_setopt},       {"curl_easy_perform", &curl.easy_perform},
        {"curl_easy_strerror", &curl.easy_strerror},   {"curl_slist_append", &curl.slist_append},
        {"curl_slist_free_all", &curl.slist_free_all},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *found = rp_os_symbol(library, functions[i].name);
        if (!found) return false;
        memcpy(functions[i].place, &found, sizeof found);
    }
    return true;
}

/* It stays open: other threads, and libraries beneath it, may use it until the process ends. */
static void load(void) {
    static const char *const names[] = {
        RP_OS_LIBRARY("libcurl", ".4"),     RP_OS_LIBRARY("libcurl-gnutls", ".4"),
        RP_OS_LIBRARY("libcurl-nss", ".4"), RP_OS_LIBRARY("libcurl", ""),
        "/usr/lib/libcurl.4.dylib",
    };
    for (size_t i = 0; !loaded && i < sizeof names / sizeof *names; i++) {
        void *library = rp_os_library_open(names[i], false);
        if (!library) continue;
        loaded = take_functions(library) && !curl.global_init(CURL_GLOBAL_DEFAULT);
        if (!loaded) rp_os_library_close(library);
    }
}

/* ---- a handle ---- */

struct rp_http {
    void *handle;
    char agent[64];
    char error[CURL_ERROR_SIZE];
    rp_hub_answer *answer; /* of the request that is on its way */
    const rp_http_request *request;
    size_t header_bytes, dropped_bytes;
    bool refused, stopped, enough;
};

rp_status rp_http_open(rp_http **out, rp_error *err) {
    *out = NULL;
    pthread_once(&load_once, load);
    if (!loaded)
        return rp_fail(
            err, RP_ERROR_UNSUPPORTED,
            "fetching models needs libcurl (libcurl.so.4), which is not on this system (Debian and Ubuntu: "
            "apt install libcurl4); or copy the model's folder here by other means");
    rp_http *http = calloc(1, sizeof *http);
    if (http) http->handle = curl.easy_init();
    if (http && http->handle) {
        snprintf(http->agent, sizeof http->agent, "reprise/%s", rp_version());
        *out = http;
        return RP_OK;
    }
    free(http);
    return rp_fail_memory(err, "a connection", sizeof *http);
}

void rp_http_close(rp_http *http) {
    if (!http) return;
    curl.easy_cleanup(http->handle);
    free(http);
}

/* ---- what libcurl calls ---- */

enum { MAX_HEADER_BYTES = 1 << 18, MAX_DROPPED_BYTES = 1 << 20 };

static size_t take_header(char *line, size_t one, size_t size, void *pointer) {
    rp_http *http = pointer;
    (void)one; /* 1 */
    http->header_bytes += size;
    if (http->header_bytes > MAX_HEADER_BYTES) {
        snprintf(http->error, sizeof http->error, "the answer has more than %d bytes of headers",
                 MAX_HEADER_BYTES);
        return 0;
    }
    rp_hub_answer_line(http->answer, line, size, (double)time(NULL));
    return size;
}

/* What explains a refusal to a browser, or stands behind a redirect, is dropped, and a long one cut. */
static size_t take_body(char *data, size_t one, size_t size, void *pointer) {
    rp_http *http = pointer;
    int status = http->answer->status;
    (void)one;
    if (http->request->body && (status == 200 || status == 206)) {
        http->refused = !http->request->body(http->request->user, http->answer, data, size);
        return http->refused ? 0 : size;
    }
    http->dropped_bytes += size;
    http->enough = http->dropped_bytes > MAX_DROPPED_BYTES;
    return http->enough ? 0 : size;
}

static int take_progress(void *pointer, int64_t total, int64_t now, int64_t up_total, int64_t up_now) {
    rp_http *http = pointer;
    (void)total, (void)now, (void)up_total, (void)up_now;
    http->stopped = http->request->go_on && !http->request->go_on(http->request->pull);
    return http->stopped;
}

/* ---- sending ---- */

/* Set what every request has. Options that an old libcurl does not know are left as they are: each has a safe
 * default, but for the address. */
static bool set_options(rp_http *http, const rp_http_request *request) {
    void *handle = http->handle;
    const char *certificates = rp_hub_certificates();
    char range[32];
    curl.easy_reset(handle);
    curl.easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl.easy_setopt(handle, CURLOPT_PROTOCOLS, (long)CURLPROTO_HTTP_AND_HTTPS);
    curl.easy_setopt(handle, CURLOPT_USERAGENT, http->agent);
    curl.easy_setopt(handle, CURLOPT_ERRORBUFFER, http->error);
    curl.easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, request->timeout);
    curl.easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl.easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, request->timeout);
    curl.easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header);
    curl.easy_setopt(handle, CURLOPT_HEADERDATA, http);
    curl.easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
    curl.easy_setopt(handle, CURLOPT_WRITEDATA, http);
    curl.easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, take_progress);
    curl.easy_setopt(handle, CURLOPT_XFERINFODATA, http);
    curl.easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    if (request->most) curl.easy_setopt(handle, CURLOPT_TIMEOUT, request->most);
    if (request->head) curl.easy_setopt(handle, CURLOPT_NOBODY, 1L);
    if (certificates) curl.easy_setopt(handle, CURLOPT_CAINFO, certificates);
    snprintf(range, sizeof range, "%" PRIu64 "-", request->from);
    if (request->from && curl.easy_setopt(handle, CURLOPT_RANGE, range)) return false;
    return !curl.easy_setopt(handle, CURLOPT_URL, request->url);
}

/* The headers of a request as libcurl's list; NULL: no memory. */
static void *make_headers(const rp_http_request *request) {
    void *list = curl.slist_append(NULL, "Accept-Encoding: identity"), *longer;
    if (!list || !request->token) return list;
    size_t size = strlen(request->token) + 32;
    char *text = malloc(size);
    if (text) snprintf(text, size, "Authorization: Bearer %s", request->token);
    longer = text ? curl.slist_append(list, text) : NULL;
    free(text);
    if (!longer) curl.slist_free_all(list);
    return longer;
}

static rp_http_end end_of(const rp_http *http, int code) {
    if (http->stopped) return RP_HTTP_STOPPED;
    if (http->refused) return RP_HTTP_REFUSED;
    if (http->enough || !code) return RP_HTTP_ANSWERED;
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_WRITE_ERROR: /* of a header that was not taken */
    case CURLE_OUT_OF_MEMORY:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return RP_HTTP_FAILED;
    default:
        return RP_HTTP_BROKEN;
    }
}

rp_http_end rp_http_send(rp_http *http, const rp_http_request *request, rp_hub_answer *answer,
                         char why[RP_HTTP_WHY]) {
    int code = CURLE_OUT_OF_MEMORY;
    http->answer = answer;
    http->request = request;
    http->error[0] = why[0] = '\0';
    http->header_bytes = http->dropped_bytes = 0;
    http->refused = http->stopped = http->enough = false;
    rp_hub_answer_begin(answer);
    void *headers = make_headers(request);
    if (headers && set_options(http, request)) {
        curl.easy_setopt(http->handle, CURLOPT_HTTPHEADER, headers);
        code = curl.easy_perform(http->handle);
    }
    if (headers) curl.slist_free_all(headers);
    rp_http_end end = end_of(http, code);
    if (end >= RP_HTTP_BROKEN)
        snprintf(why, RP_HTTP_WHY, "%.*s", RP_HTTP_WHY - 1,
                 http->error[0] ? http->error : curl.easy_strerror(code));
    return end;
}
