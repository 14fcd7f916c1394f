#include "loader/hub_url.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool starts(const char *text, const char *prefix) {
    return !strncmp(text, prefix, strlen(prefix));
}

/* ---- addresses ---- */

/* Bytes of "https://"; 0: another scheme. */
static size_t scheme_of(const char *url) {
    return !strncasecmp(url, "https://", 8) ? 8 : !strncasecmp(url, "http://", 7) ? 7 : 0;
}

bool rp_url_check(const char *url) {
    size_t scheme = scheme_of(url), size = strnlen(url, RP_URL_BYTES);
    if (!scheme || size == RP_URL_BYTES) return false;
    size_t host = strcspn(url + scheme, "/?#");
    if (!host || memchr(url + scheme, '@', host)) return false;
    for (size_t i = 0; i < size; i++)
        if (url[i] <= ' ' || url[i] > '~') return false;
    return true;
}

size_t rp_url_origin(const char *url) {
    size_t scheme = scheme_of(url);
    return scheme + strcspn(url + scheme, "/?#");
}

/* The host without its port; the port, the scheme's own where none stands. */
static size_t split_host(const char *url, const char **host, long *port) {
    size_t scheme = scheme_of(url), size = rp_url_origin(url) - scheme, i = size;
    *host = url + scheme;
    *port = scheme == 8 ? 443 : 80;
    while (i && isdigit((unsigned char)(*host)[i - 1])) i--;
    if (!i || (*host)[i - 1] != ':') return size;
    if (i < size) *port = strtol(*host + i, NULL, 10);
    return i - 1;
}

bool rp_url_same_origin(const char *url, const char *other) {
    const char *a, *b;
    long port_a, port_b;
    size_t size_a = split_host(url, &a, &port_a), size_b = split_host(other, &b, &port_b);
    if (size_a != size_b || strncasecmp(a, b, size_a)) return false;
    if (scheme_of(url) == scheme_of(other)) return port_a == port_b;
    return scheme_of(other) == 8 && port_a == 80 && port_b == 443;
}

/* The two parts one after the other; NULL: out of memory. */
static char *concatenate(const char *a, size_t size, const char *b) {
    char *out = malloc(size + strlen(b) + 1);
    if (!out) return NULL;
    memcpy(out, a, size);
    strcpy(out + size, b);
    return out;
}

char *rp_url_resolve(const char *base, const char *location, bool *memory) {
    size_t origin = rp_url_origin(base), path = strcspn(base, "?#");
    char *url = NULL;
    if (scheme_of(location)) {
        url = concatenate("", 0, location);
    } else if (starts(location, "//")) {
        url = concatenate(base, scheme_of(base) - 2, location);
    } else if (location[0] == '/') {
        url = concatenate(base, origin, location);
    } else {
        size_t before = strcspn(location, "/?#");
        if (memchr(location, ':', before)) return NULL; /* another scheme */
        while (path > origin && base[path - 1] != '/') path--;
        url = path > origin ? concatenate(base, path, location) : NULL;
        if (path <= origin) return NULL;
    }
    if (!url) {
        *memory = true;
    } else if (!rp_url_check(url) || (scheme_of(base) == 8 && scheme_of(url) == 7)) {
        free(url);
        url = NULL;
    }
    return url;
}

bool rp_url_quote(const char *text, bool slashes, char *out, size_t size) {
    size_t at = strlen(out);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c < 128 && isalnum(c)) || strchr("-._~", c) || (slashes && c == '/');
        if (at + 4 > size) return false;
        at += (size_t)snprintf(out + at, size - at, plain ? "%c" : "%%%02X", c);
    }
    return true;
}

/* ---- paths ---- */

/* What Windows takes for a device, whatever extension stands behind it. */
static bool is_device(const char *part, size_t size) {
    static const char *const names[] = {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"};
    const char *dot = memchr(part, '.', size);
    if (dot) size = (size_t)(dot - part);
    while (size && part[size - 1] == ' ') size--;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (size == strlen(names[i]) && !strncasecmp(part, names[i], size)) return true;
    bool port = size == 4 && (!strncasecmp(part, "com", 3) || !strncasecmp(part, "lpt", 3));
    return port && isdigit((unsigned char)part[3]);
}

static bool check_part(const char *part, size_t size) {
    if (!size || size > 255 || (part[0] == '.' && (size == 1 || (size == 2 && part[1] == '.')))) return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)part[i] < ' ' || part[i] == 127 || part[i] == '\\') return false;
    return !is_device(part, size);
}

bool rp_hub_path_check(const char *path) {
    if (isalpha((unsigned char)path[0]) && path[1] == ':') return false; /* a drive */
    for (const char *part = path;; part++) {
        size_t size = strcspn(part, "/");
        if (!check_part(part, size)) return false;
        part += size;
        if (!*part) return part - path < RP_URL_BYTES / 4;
    }
}

/* ---- names ---- */

/* One side of the slash: letters, digits, "-", "_" and ".", the last two neither first nor last nor doubled.
 */
static bool check_word(const char *word, size_t size) {
    if (!size || strchr("-.", word[0]) || strchr("-.", word[size - 1])) return false;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)word[i];
        if (c > 127 || (!isalnum(c) && !strchr("-._", c))) return false;
        if (i && strchr("-.", c) && c == (unsigned char)word[i - 1]) return false;
    }
    return true;
}

static bool check_id(const char *id) {
    size_t size = strlen(id), first = strcspn(id, "/");
    if (!check_word(id, first) || !rp_hub_path_check(id)) return false;
    if (size > 4 && !strcmp(id + size - 4, ".git")) return false;
    return first == size || check_word(id + first + 1, size - first - 1);
}

/* What stands behind `endpoint`/; NULL: the text does not begin so. */
static const char *behind(const char *text, const char *endpoint) {
    size_t size = endpoint ? strlen(endpoint) : 0;
    while (size && endpoint[size - 1] == '/') size--;
    return size && !strncmp(text, endpoint, size) && text[size] == '/' ? text + size + 1 : NULL;
}

/* The address of a page, without what stands in front of the name and behind the revision. */
static bool read_page(const char *text, const char *endpoint, char *name, size_t size,
                      const char **revision) {
    const char *at = behind(text, endpoint);
    if (!at) at = behind(text, "https://huggingface.co");
    if (!at) at = behind(text, "https://hf.co");
    if (!at || strlen(at) >= size) return false;
    strcpy(name, at);
    name[strcspn(name, "?#")] = '\0';
    char *tree = strstr(name, "/tree/");
    if (tree) {
        *tree = '\0';
        *revision = tree + strlen("/tree/");
    }
    size_t length = strlen(name);
    if (length && name[length - 1] == '/') name[length - 1] = '\0';
    return true;
}

bool rp_hub_name_read(const char *text, const char *endpoint, rp_hub_name *out) {
    char name[RP_HUB_NAME_BYTES + RP_HUB_REVISION_BYTES + 16];
    const char *revision = NULL;
    *out = (rp_hub_name){{0}, {0}};
    if (strstr(text, "://")) {
        if (!read_page(text, endpoint, name, sizeof name, &revision)) return false;
    } else {
        if (strlen(text) >= sizeof name) return false;
        strcpy(name, text);
    }
    char *at = revision ? NULL : strchr(name, '@');
    if (at) {
        *at = '\0';
        revision = at + 1;
    }
    if (strlen(name) > RP_HUB_NAME_BYTES || !check_id(name)) return false;
    if (revision && (strlen(revision) > RP_HUB_REVISION_BYTES || !rp_hub_path_check(revision))) return false;
    strcpy(out->id, name);
    if (revision) strcpy(out->revision, revision);
    return true;
}
