#include "tools/serve/page.h"

#include <microhttpd.h>
#include <string.h>

/* Tags are compared weakly here (RFC 9110, 13.1.2): W/ in front of one changes nothing. No tag has a comma or
 * a quote of its own that could hide ours: the browser sends back what it was given, and a longer tag has
 * other quotes. */
bool rp_page_is_held(const char *accepted) {
    return accepted && (!strcmp(accepted, "*") || strstr(accepted, rp_page_etag));
}

static const char *const headers[][2] = {
    {MHD_HTTP_HEADER_CONTENT_TYPE, "text/html; charset=utf-8"},
    {MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache"},
    {MHD_HTTP_HEADER_ETAG, rp_page_etag},
    {"Content-Security-Policy", rp_page_policy},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
};

int rp_page_answer(struct MHD_Connection *connection) {
    bool held = rp_page_is_held(
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH));
    struct MHD_Response *response =
        MHD_create_response_from_buffer(held ? 0 : rp_page_size, (void *)rp_page, MHD_RESPMEM_PERSISTENT);
    bool good = response;
    for (size_t i = 0; good && i < sizeof headers / sizeof headers[0]; i++) {
        good = MHD_add_response_header(response, headers[i][0], headers[i][1]) == MHD_YES;
    }
    unsigned status = held ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK;
    good = good && MHD_queue_response(connection, status, response) == MHD_YES;
    if (response) MHD_destroy_response(response);
    return good ? (int)status : 0;
}
