#include "support_records.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BETWEEN = 4099 }; /* no multiple of anything */

/* The bytes of a file, behind one byte, so that their address is odd. */
static unsigned char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    struct stat info;
    if (!file || fstat(fileno(file), &info)) return NULL;
    *size = (size_t)info.st_size;
    unsigned char *bytes = malloc(*size + 1);
    bool read = bytes && fread(bytes + 1, 1, *size, file) == *size;
    fclose(file);
    if (read) return bytes;
    free(bytes);
    return NULL;
}

static bool add_file(records_case *c, const char *path, const char *name, bool in_memory) {
    size_t size = 0;
    rp_record *r = &c->records[c->count];
    unsigned char *bytes = c->count < RECORDS_MOST ? read_file(path, &size) : NULL;
    if (!bytes) {
        fprintf(stderr, "%s: cannot be read, or is one file too many\n", path);
        return false;
    }
    c->buffers[c->count++] = bytes;
    *r = (rp_record){.name = strdup(name), .memory = bytes + 1, .size = size, .descriptor = -1};
    if (in_memory) return true;
    off_t end = lseek(c->descriptor, BETWEEN, SEEK_END);
    r->memory = NULL;
    r->offset = (uint64_t)end;
    r->descriptor = c->descriptor;
    return end > 0 && write(c->descriptor, bytes + 1, size) == (ssize_t)size;
}

static bool add_folder(records_case *c, const char *folder, const char *below, bool in_memory) {
    char path[2 * FIXTURE_PATH_SIZE], name[FIXTURE_PATH_SIZE];
    struct stat info;
    bool good = true;
    snprintf(path, sizeof path, "%s/%s", folder, below);
    DIR *dir = opendir(path);
    for (struct dirent *item; dir && good && (item = readdir(dir));) {
        if (item->d_name[0] == '.') continue;
        snprintf(name, sizeof name, "%s%s%.200s", below, *below ? "/" : "", item->d_name);
        snprintf(path, sizeof path, "%s/%s", folder, name);
        good = !stat(path, &info) && (S_ISDIR(info.st_mode) ? add_folder(c, folder, name, in_memory)
                                                            : add_file(c, path, name, in_memory));
    }
    if (dir) closedir(dir);
    return good && dir;
}

bool records_open(const char *folder, bool in_memory, records_case *out) {
    *out = (records_case){.descriptor = -1};
    if (!fixture_make_dir(out->dir)) return false;
    snprintf(out->path, sizeof out->path, "%.480s/app.apk", out->dir);
    if (!in_memory) out->descriptor = open(out->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return add_folder(out, folder, "", in_memory);
}

void records_close(records_case *c) {
    for (size_t i = 0; i < c->count; i++) {
        free(c->buffers[i]);
        free((char *)c->records[i].name);
    }
    if (c->descriptor >= 0) close(c->descriptor);
    if (c->dir[0]) fixture_remove_dir(c->dir);
    *c = (records_case){.descriptor = -1};
}
