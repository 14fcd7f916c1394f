#define _GNU_SOURCE /* strndup */
#include "loader/hub_environment.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/folders.h"
#include "base/os.h"
#include "loader/hub_url.h"
#include "loader/json.h"

enum { TOKEN_BYTES = 4096, TIMEOUT = 10, LONGEST_TIMEOUT = 24 * 3600 };

/* A variable that is set to something. */
static const char *variable(const char *name) {
    const char *value = rp_os_getenv(name);
    return value && *value ? value : NULL;
}

static bool is_on(const char *name) {
    static const char *const yes[] = {"1", "ON", "YES", "TRUE"};
    const char *value = variable(name);
    for (size_t i = 0; value && i < sizeof yes / sizeof *yes; i++)
        if (!strcasecmp(value, yes[i])) return true;
    return false;
}

bool rp_hub_is_offline(void) {
    return is_on(variable("HF_HUB_OFFLINE") ? "HF_HUB_OFFLINE" : "TRANSFORMERS_OFFLINE");
}

static long timeout(const char *name) {
    const char *value = variable(name);
    long seconds = value ? strtol(value, NULL, 10) : 0;
    return seconds <= 0 ? TIMEOUT : seconds > LONGEST_TIMEOUT ? LONGEST_TIMEOUT : seconds;
}

long rp_hub_answer_timeout(void) {
    return timeout("HF_HUB_ETAG_TIMEOUT");
}

long rp_hub_download_timeout(void) {
    return timeout("HF_HUB_DOWNLOAD_TIMEOUT");
}

const char *rp_hub_certificates(void) {
    const char *file = variable("SSL_CERT_FILE");
    if (!file) file = variable("REQUESTS_CA_BUNDLE");
    return file ? file : variable("CURL_CA_BUNDLE");
}

/* ---- the endpoint ---- */

rp_status rp_hub_endpoint(const char *wanted, char **out, rp_error *err) {
    const char *from = wanted ? wanted : variable("HF_ENDPOINT");
    const char *url = from ? from : "https://huggingface.co";
    size_t size = strlen(url);
    *out = NULL;
    while (size && url[size - 1] == '/') size--;
    char *copy = strndup(url, size);
    if (!copy) return rp_fail_memory(err, "an address", size);
    if (rp_url_check(copy) && !strpbrk(copy, "?#")) {
        *out = copy;
        return RP_OK;
    }
    free(copy);
    return rp_fail(err, RP_ERROR_ARGUMENT,
                   "%s: \"%.*s\" is not the address of a hub; give one such as https://huggingface.co",
                   wanted ? "endpoint" : "HF_ENDPOINT", rp_text_fit(url, 200), url);
}

/* ---- folders ---- */

/* Append to a string that grows; NULL stays NULL. */
static char *append(char *out, const char *text, size_t size) {
    size_t had = out ? strlen(out) : 0;
    char *grown = out ? realloc(out, had + size + 1) : NULL;
    if (!grown) {
        free(out);
        return NULL;
    }
    memcpy(grown + had, text, size);
    grown[had + size] = '\0';
    return grown;
}

/* The $NAME or ${NAME} at `text`: its bytes, and its value; what is not set stays as it stands. */
static size_t read_reference(const char *text, const char **value) {
    char name[128];
    bool braces = text[1] == '{';
    const char *begin = text + 1 + braces;
    size_t size = 0;
    while (isalnum((unsigned char)begin[size]) || begin[size] == '_') size++;
    if (!size || size >= sizeof name || (braces && begin[size] != '}')) return 0;
    memcpy(name, begin, size);
    name[size] = '\0';
    *value = rp_os_getenv(name);
    return *value ? size + 1 + 2 * (size_t)braces : 0;
}

/* The value of a variable that names a folder, as Python's expanduser and expandvars make it. NULL: no
 * memory. */
static char *expand(const char *text) {
    char *out = strdup("");
    const char *home = variable("HOME"), *value;
    if (home && text[0] == '~' && (!text[1] || text[1] == '/')) {
        out = append(out, home, strlen(home));
        text++;
    }
    while (out && *text) {
        size_t taken = *text == '$' ? read_reference(text, &value) : 0;
        out = taken ? append(out, value, strlen(value)) : append(out, text, 1);
        text += taken ? taken : 1;
    }
    return out;
}

/* HF_HOME/`name`, or the same in the user's cache folder. NULL: there is neither or, with `*memory`, no
 * memory. */
static char *in_home(const char *name, bool *memory) {
    char below[64], *folder = NULL, *path = NULL;
    const char *home = variable("HF_HOME");
    snprintf(below, sizeof below, "huggingface/%s", name);
    if (!home) return rp_user_cache(below, memory);
    folder = expand(home);
    path = folder ? rp_path_join(folder, name) : NULL;
    *memory = !path;
    free(folder);
    return path;
}

rp_status rp_hub_cache_folder(const char *wanted, char **out, rp_error *err) {
    bool memory = false;
    const char *given = variable("HF_HUB_CACHE");
    *out = NULL;
    if (wanted && !*wanted)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "cache_dir is empty; name a folder, or NULL for the usual one");
    if (!given) given = variable("HUGGINGFACE_HUB_CACHE");
    if (wanted || given) {
        *out = wanted ? strdup(wanted) : expand(given);
        memory = !*out;
    } else {
        *out = in_home("hub", &memory);
    }
    if (memory) return rp_fail_memory(err, "a path", RP_URL_BYTES);
    if (*out && **out) return RP_OK;
    free(*out);
    *out = NULL;
    return rp_fail(
        err, RP_ERROR_FILE,
        "no folder for the hub's cache: HOME names none that exists; set HF_HUB_CACHE to a folder");
}

/* ---- the token ---- */

/* What the file HF_TOKEN_PATH, or "token" where the cache of the hub is, holds. NULL: it is not there or,
 * with
 * `*memory`, there is no memory. */
static char *read_token_file(bool *memory) {
    const char *given = variable("HF_TOKEN_PATH");
    char *path = given ? expand(given) : in_home("token", memory), *text = NULL;
    uint64_t size = 0;
    int fd = -1;
    if (given && !path) *memory = true;
    if (path && !rp_file_open(path, &fd, &size, NULL)) {
        text = calloc(1, TOKEN_BYTES);
        *memory = !text;
        if (text && (size >= TOKEN_BYTES || rp_os_read(fd, text, TOKEN_BYTES - 1) < 0)) text[0] = '\0';
        rp_os_close(fd);
    }
    free(path);
    return text;
}

/* Cut white space at both ends; false: what is left is no token. */
static bool clean_token(char *token) {
    size_t begin = strspn(token, " \t\r\n"), size = strlen(token + begin);
    while (size && strchr(" \t\r\n", token[begin + size - 1])) size--;
    memmove(token, token + begin, size);
    token[size] = '\0';
    for (size_t i = 0; i < size; i++)
        if (token[i] <= ' ' || token[i] > '~') return false;
    return size < TOKEN_BYTES;
}

rp_status rp_hub_token(const char *wanted, char **out, rp_error *err) {
    const char *given = wanted;
    *out = NULL;
    if (!wanted && is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN")) return RP_OK;
    if (!given) given = variable("HF_TOKEN");
    if (!given) given = variable("HUGGING_FACE_HUB_TOKEN");
    bool memory = false;
    char *token = given ? strdup(given) : read_token_file(&memory);
    if (!token) return given || memory ? rp_fail_memory(err, "a token", TOKEN_BYTES) : RP_OK;
    bool good = clean_token(token);
    if (good && *token) {
        *out = token;
        return RP_OK;
    }
    free(token);
    if (good) return RP_OK;
    return rp_fail(err, RP_ERROR_ARGUMENT,
                   "the token for the hub holds a character that no token has; check %s",
                   wanted  ? "the one that was given"
                   : given ? "HF_TOKEN"
                           : "the file HF_TOKEN_PATH");
}
