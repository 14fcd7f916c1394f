/* The page at /: that it is the file, under a policy that knows its script and style, and that a browser
 * which holds it is told so. A server of the test's own answers with it, on a port that the system chooses.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sha.h"
#include "tools/serve/page.h"

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data, size_t *size,
                              void **state) {
    (void)context, (void)url, (void)method, (void)version, (void)data, (void)size;
    if (!*state) { /* the first call has the headers alone */
        *state = connection;
        return MHD_YES;
    }
    return rp_page_answer(connection) ? MHD_YES : MHD_NO;
}

static struct MHD_Daemon *server;
static uint16_t port;

static int start(void **state) {
    (void)state;
    server = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, NULL, MHD_OPTION_END);
    const union MHD_DaemonInfo *info = server ? MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    port = info ? info->port : 0;
    return port ? 0 : -1;
}

static int stop(void **state) {
    (void)state;
    MHD_stop_daemon(server);
    return 0;
}

/* The whole answer to `method` / with `header` (NULL: none); its end in `*size`. The caller frees it. */
static char *ask(const char *method, const char *header, size_t *size) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char request[512];
    int length =
        snprintf(request, sizeof request, "%s / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n%s%s\r\n",
                 method, header ? header : "", header ? "\r\n" : "");
    int peer = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(write(peer, request, (size_t)length), length);
    enum { ROOM = 1 << 20 };
    char *got = malloc(ROOM);
    assert_non_null(got);
    *size = 0;
    for (ssize_t more; (more = read(peer, got + *size, ROOM - 1 - *size)) > 0;) *size += (size_t)more;
    close(peer);
    got[*size] = '\0';
    return got;
}

static char *body_of(char *got) {
    char *end = strstr(got, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static char *file_text(const char *path) {
    enum { ROOM = 1 << 20 };
    char *text = malloc(ROOM);
    FILE *file = fopen(path, "rb");
    assert_non_null(text);
    assert_non_null(file);
    text[fread(text, 1, ROOM - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void test_page(void **state) {
    (void)state;
    size_t size;
    char *got = ask("GET", NULL, &size), *text = file_text(SOURCE_DIR "/tools/serve/page.html");
    assert_memory_equal(got, "HTTP/1.1 200 ", 13);
    assert_string_equal(body_of(got), text);
    assert_non_null(strstr(got, "\r\nContent-Type: text/html; charset=utf-8\r\n"));
    assert_non_null(strstr(got, "\r\nCache-Control: no-cache\r\n"));
    assert_non_null(strstr(got, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(got, "\r\nReferrer-Policy: no-referrer\r\n"));
    free(text);
    free(got);
}

/* What a policy calls the text between <tag> and </tag>: 'sha256-...', in base64. */
static void name_hash(const char *page, const char *tag, char out[64]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char open[16], close[16], hex[RP_SHA_TEXT];
    snprintf(open, sizeof open, "<%s>", tag);
    snprintf(close, sizeof close, "</%s>", tag);
    const char *start = strstr(page, open), *end = strstr(page, close);
    assert_non_null(start);
    assert_non_null(end);
    start += strlen(open);
    rp_sha sha;
    rp_sha256_begin(&sha);
    rp_sha_add(&sha, start, (size_t)(end - start));
    rp_sha_end(&sha, hex);
    out += sprintf(out, "'sha256-");
    unsigned bits = 0, held = 0;
    for (const char *digit = hex; *digit; digit++) {
        bits = bits << 4 | (unsigned)(*digit <= '9' ? *digit - '0' : *digit - 'a' + 10);
        held += 4;
        if (held >= 6) {
            held -= 6;
            *out++ = digits[bits >> held & 63];
        }
    }
    *out++ = digits[bits << (6 - held) & 63];
    strcpy(out, "='"); /* 256 bits are 42 digits and 4 bits */
}

/* Nothing but the page's own script and style may run, and it speaks to this server alone. */
static void test_policy(void **state) {
    (void)state;
    size_t size;
    char *got = ask("GET", NULL, &size), *page = body_of(got), script[64], style[64];
    char *policy = strstr(got, "\r\nContent-Security-Policy: ");
    assert_non_null(policy);
    name_hash(page, "script", script);
    name_hash(page, "style", style);
    page[-2] = '\0'; /* the headers alone */
    *strstr(policy + 2, "\r\n") = '\0';
    static const char *const parts[] = {"default-src 'none'",     "connect-src 'self'",
                                        "base-uri 'none'",        "form-action 'none'",
                                        "frame-ancestors 'none'", "require-trusted-types-for 'script'"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) assert_non_null(strstr(policy, parts[i]));
    assert_non_null(strstr(policy, script));
    assert_non_null(strstr(policy, style));
    assert_null(strstr(policy, "unsafe"));
    assert_null(strstr(policy, "http"));
    static const char *const leaks[] = {"http://",   "https://",   "src=",         "@import",
                                        "innerHTML", "eval(",      "localStorage", "sessionStorage",
                                        "style=\"",  "onclick=\"", "WebSocket",    "document.cookie"};
    for (size_t i = 0; i < sizeof leaks / sizeof leaks[0]; i++) {
        if (strstr(page, leaks[i])) fail_msg("the page has %s", leaks[i]);
    }
    free(got);
}

/* A browser that holds this page gets no second one; one that holds another does. */
static void test_held(void **state) {
    (void)state;
    char header[256], inside[64];
    size_t length = strlen(rp_page_etag);
    assert_true(length > 10 && rp_page_etag[0] == '"' && rp_page_etag[length - 1] == '"');
    snprintf(inside, sizeof inside, "%.*s", (int)length - 2, rp_page_etag + 1);
    static const struct {
        const char *format; /* with the tag's inside */
        bool held;
    } cases[] = {{"\"%s\"", true},
                 {"W/\"%s\"", true},
                 {"\"other\", W/\"%s\"", true},
                 {"\"a\",\"%s\",\"b\"", true},
                 {"*", true},
                 {"", false},
                 {"\"\"", false},
                 {"x", false},
                 {"\"x%s\"", false},
                 {"\"%sx\"", false},
                 {"%s", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char value[128];
        snprintf(value, sizeof value, cases[i].format, inside);
        snprintf(header, sizeof header, "If-None-Match: %s", value);
        size_t size;
        char *got = ask("GET", header, &size), etag[96];
        snprintf(etag, sizeof etag, "\r\nETag: %s\r\n", rp_page_etag);
        if (memcmp(got, cases[i].held ? "HTTP/1.1 304 " : "HTTP/1.1 200 ", 13)) {
            fail_msg("%s: %.20s", header, got);
        }
        assert_non_null(strstr(got, etag));
        assert_int_equal(*body_of(got) == '\0', cases[i].held);
        free(got);
    }
    assert_false(rp_page_is_held(NULL));
}

static void test_head(void **state) {
    (void)state;
    size_t size;
    char *got = ask("HEAD", NULL, &size), length[64];
    snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", rp_page_size);
    assert_memory_equal(got, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(got, length));
    assert_string_equal(body_of(got), "");
    free(got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_head),
    };
    return cmocka_run_group_tests_name("serve page", tests, start, stop);
}
