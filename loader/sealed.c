#include "loader/sealed.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/call.h"
#include "base/os.h"
#include "base/sha.h"
#include "loader/staging.h"

enum { PIECE = 1 << 16, HEX = RP_SHA_TEXT - 1, MOST_FILES = 1024 };

/* How a sealed file ends, but for the hash, in whose place zeros are hashed. */
static const char end[] =
    ",\n  \"seal\": \"0000000000000000000000000000000000000000000000000000000000000000\"\n}\n";
enum { END = sizeof end - 1, AT = END - HEX - 4 }; /* where the hash stands in it */

/* ---- files beside it ---- */

rp_status rp_hash_file(const char *path, char out[65], uint64_t *size, rp_error *err) {
    int fd = -1;
    rp_sha sha;
    rp_status status = rp_file_open(path, &fd, size, err);
    if (status) return status;
    unsigned char *piece = malloc(PIECE);
    if (!piece) status = rp_fail_memory(err, rp_path_shown(path), PIECE);
    rp_sha256_begin(&sha);
    for (ssize_t got = 1; !status && got;) {
        got = rp_os_read(fd, piece, PIECE);
        if (got > 0) rp_sha_add(&sha, piece, (size_t)got);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            status = rp_fail(err, RP_ERROR_FILE, "%s: cannot be read: %s; check the disk",
                             rp_path_shown(path), strerror(errno));
        else
            status = rp_call_check(err);
    }
    if (!status) rp_sha_end(&sha, out);
    free(piece);
    rp_os_close(fd);
    return status;
}

static rp_status hash_beside(const char *dir, const char *name, char out[65], uint64_t *size, rp_error *err) {
    char *path = rp_path_join(dir, name);
    rp_status status = path ? rp_hash_file(path, out, size, err) : rp_fail_memory(err, "a path", strlen(dir));
    free(path);
    return status;
}

rp_status rp_seal_files(rp_json_writer *w, const char *dir, const char *const *names, size_t count,
                        rp_error *err) {
    rp_status status = RP_OK;
    rp_json_write_open(w, "files", '{');
    for (size_t i = 0; !status && i < count; i++) {
        char hash[RP_SHA_TEXT];
        uint64_t size = 0;
        status = hash_beside(dir, names[i], hash, &size, err);
        if (status) break;
        rp_json_write_open(w, names[i], '{');
        rp_json_write_integer(w, "bytes", (int64_t)size);
        rp_json_write_string(w, "sha256", hash);
        rp_json_write_close(w, '}');
    }
    rp_json_write_close(w, '}');
    return status;
}

/* A name of a file in the folder or in a folder of it. */
static bool is_inside(const char *name) {
    return *name && *name != '/' && *name != '.' && !strstr(name, "/.") && strlen(name) < 256;
}

static rp_status check_file(const char *dir, const char *shown, const rp_member *file, rp_error *err) {
    const char *hash = rp_json_string(rp_json_get(&file->value, "sha256"));
    const rp_json *bytes = rp_json_get(&file->value, "bytes");
    char got[RP_SHA_TEXT];
    uint64_t size = 0;
    if (!hash || !rp_json_is(bytes, RP_JSON_INTEGER) || !is_inside(file->key))
        return rp_fail(err, RP_ERROR_FORMAT, "%s: files: must have the size and the hash of files beside it",
                       shown);
    rp_status status = hash_beside(dir, file->key, got, &size, err);
    if (status || !strcmp(got, hash)) return status;
    if (size != (uint64_t)bytes->integer)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s/%s: has %" PRIu64 " bytes, and had %" PRId64 " when it was written: it is damaged",
                       rp_path_shown(dir), file->key, size, bytes->integer);
    return rp_fail(err, RP_ERROR_FORMAT, "%s/%s: is not what was written: it is damaged", rp_path_shown(dir),
                   file->key);
}

/* ---- the file itself ---- */

rp_status rp_file_write(const char *path, const void *data, size_t size, rp_error *err) {
    rp_staging one = {.path = (char *)path, .written = 0};
    one.fd = rp_os_open(path, RP_OS_WRITE | RP_OS_CREATE | RP_OS_NEW);
    if (one.fd < 0) return rp_fail_write(path, err);
    rp_status status = rp_staging_write(&one, data, size, err);
    if (!status) return rp_staging_end(&one, err);
    rp_os_close(one.fd);
    return status;
}

static void hash_text(const char *text, size_t size, char out[RP_SHA_TEXT]) {
    rp_sha sha;
    rp_sha256_begin(&sha);
    rp_sha_add(&sha, text, size);
    rp_sha_end(&sha, out);
}

rp_status rp_seal_write(rp_json_writer *w, const char *dir, const char *name, rp_error *err) {
    char hash[RP_SHA_TEXT];
    size_t size = 0;
    char *path = rp_path_join(dir, name);
    rp_json_write_raw(w, "seal", "\"0000000000000000000000000000000000000000000000000000000000000000\"");
    rp_json_write_close(w, '}');
    char *text = rp_json_writer_finish(w, &size);
    rp_status status = RP_OK;
    if (!path || !text || size < END || memcmp(text + size - END, end, END)) {
        status = rp_fail_memory(err, name, size);
    } else {
        hash_text(text, size, hash);
        memcpy(text + size - END + AT, hash, HEX);
        status = rp_file_write(path, text, size, err);
    }
    free(text);
    free(path);
    return status;
}

/* Read the text of a small file, with a NUL behind it. */
static rp_status read_text(const char *path, char **out, size_t *size, rp_error *err) {
    enum { MOST = 64 << 20 };
    int fd = -1;
    uint64_t bytes = 0;
    rp_status status = rp_file_open(path, &fd, &bytes, err);
    if (status) return status;
    if (bytes > MOST)
        status =
            rp_fail(err, RP_ERROR_FORMAT, "%s: is too large to be what was written", rp_path_shown(path));
    else if (!(*out = malloc((size_t)bytes + 1)))
        status = rp_fail_memory(err, rp_path_shown(path), bytes);
    for (size_t at = 0; !status && at < bytes;) {
        ssize_t got = rp_os_read(fd, *out + at, (size_t)bytes - at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            status = rp_fail(err, RP_ERROR_FILE, "%s: cannot be read: %s; check the disk",
                             rp_path_shown(path), got ? strerror(errno) : "it became shorter");
        at += got > 0 ? (size_t)got : 0;
    }
    rp_os_close(fd);
    *size = (size_t)bytes;
    return status;
}

static rp_status check_seal(const char *path, char *text, size_t size, rp_error *err) {
    char hash[RP_SHA_TEXT], said[HEX];
    bool good = size > END;
    if (good) {
        char *at = text + size - END + AT;
        memcpy(said, at, HEX);
        memset(at, '0', HEX);
        hash_text(text, size, hash);
        good = !memcmp(text + size - END, end, END) && !memcmp(hash, said, HEX);
    }
    if (good) return RP_OK;
    return rp_fail(err, RP_ERROR_FORMAT, "%s: is cut short, or not what was written: it is damaged",
                   rp_path_shown(path));
}

rp_status rp_sealed_read(const char *dir, const char *name, rp_json_document *out, rp_error *err) {
    char *path = rp_path_join(dir, name), *text = NULL;
    size_t size = 0;
    *out = (rp_json_document){0};
    rp_status status = path ? read_text(path, &text, &size, err) : rp_fail_memory(err, "a path", strlen(dir));
    if (!status) status = check_seal(path, text, size, err);
    if (!status) status = rp_json_parse(text, size, path, out, err);
    const rp_json *files = status ? NULL : rp_json_get(&out->root, "files");
    uint32_t count = rp_json_count(files, RP_JSON_OBJECT);
    if (count > MOST_FILES)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: files: are too many", rp_path_shown(path));
    for (uint32_t i = 0; !status && i < count; i++)
        status = check_file(dir, rp_path_shown(path), &files->members[i], err);
    if (status) rp_json_finish(out);
    free(text);
    free(path);
    return status;
}
