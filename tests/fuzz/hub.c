/* What a hub answers: headers, redirects, the list of files, and the files that say which others are needed.
 * The input is "headers", then "list", "modules.json" and an index, as fuzz_files cuts it. */
#include "loader/hub_answer.h"
#include "loader/hub_files.h"
#include "fuzz.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/json.h"

static char *read_file(const char *name, size_t *size) {
    char *path = rp_path_join(fuzz_folder(), name), *text = NULL;
    uint64_t bytes = 0;
    int fd = -1;
    *size = 0;
    if (!rp_file_open(path, &fd, &bytes, NULL)) {
        text = malloc((size_t)bytes + 1);
        ssize_t got = read(fd, text, (size_t)bytes);
        *size = got > 0 ? (size_t)got : 0;
        close(fd);
    }
    free(path);
    return text;
}

/* What is left of each header may be a file's name, or be sent to. */
static void check_answer(const rp_hub_answer *a) {
    static const char base[] = "https://hub.example/org/name";
    bool memory = false;
    FUZZ_CHECK(!a->etag[0] || rp_hub_etag_check(a->etag));
    FUZZ_CHECK(!a->linked_etag[0] || rp_hub_etag_check(a->linked_etag));
    FUZZ_CHECK(!strchr(a->etag, '/') && !strchr(a->etag, '.') && !strchr(a->linked_etag, '/'));
    FUZZ_CHECK(!a->commit[0] || rp_hub_commit_check(a->commit));
    FUZZ_CHECK(a->status == 0 || (a->status >= 100 && a->status < 1000));
    FUZZ_CHECK(a->range_start == UINT64_MAX || a->range_start <= UINT64_MAX / 2);
    for (const char *at = a->error_message; *at; at++) FUZZ_CHECK(*at >= ' ' && *at <= '~');
    char *url = a->location[0] ? rp_url_resolve(base, a->location, &memory) : NULL;
    FUZZ_CHECK(!memory);
    if (url) FUZZ_CHECK(rp_url_check(url) && strlen(url) < RP_URL_BYTES && rp_url_origin(url) <= strlen(url));
    if (url && rp_url_same_origin(base, url)) FUZZ_CHECK(!strncasecmp(url, "https://hub.example", 19));
    free(url);
}

static void take_headers(void) {
    size_t size;
    char *text = read_file("headers", &size);
    rp_hub_answer *a = malloc(sizeof *a);
    rp_hub_answer_begin(a);
    for (size_t at = 0; text && at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t line = end ? (size_t)(end - (text + at)) + 1 : size - at;
        char *exact = malloc(line); /* so that a byte too far is seen */
        memcpy(exact, text + at, line);
        rp_hub_answer_line(a, exact, line, 1e9);
        free(exact);
        check_answer(a);
        at += line;
    }
    free(a);
    free(text);
}

static void take_list(void) {
    size_t size;
    char *text = read_file("list", &size);
    rp_error err = {0};
    rp_hub_list list = {.count = 0};
    if (text && !fuzz_status(rp_hub_list_read(text, size, "https://hub.example/list", &list, &err), &err)) {
        FUZZ_CHECK(rp_hub_commit_check(list.commit));
        for (size_t i = 0; i < list.count; i++) {
            const char *path = list.paths[i];
            FUZZ_CHECK(path[0] != '/' && !strchr(path, '\\') && !strstr(path, "/../"));
            FUZZ_CHECK(strncmp(path, "../", 3) && strcmp(path, ".."));
            FUZZ_CHECK(strlen(path) < 3 || strcmp(path + strlen(path) - 3, "/.."));
        }
        rp_hub_choose_first(&list);
        fuzz_status(rp_hub_choose(&list, fuzz_folder(), "org/name", &err), &err);
    }
    rp_hub_list_finish(&list);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {
        "headers", "list", "modules.json", "model.safetensors.index.json", "0_T/pytorch_model.bin.index.json",
        NULL};
    rp_hub_name name;
    fuzz_files(names, data, size);
    take_headers();
    take_list();
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    if (rp_hub_name_read(text, "https://hub.example", &name)) {
        FUZZ_CHECK(rp_hub_path_check(name.id));
        FUZZ_CHECK(!name.revision[0] || rp_hub_path_check(name.revision));
    }
    free(text);
    return 0;
}
