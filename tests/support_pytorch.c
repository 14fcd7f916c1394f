#include "support_pytorch.h"

#include <stdlib.h>
#include <string.h>

static void put_number(FILE *f, uint64_t value, int size) {
    for (int i = 0; i < size; i++) fputc(i < 8 ? (int)(value >> 8 * i & 255) : 0, f);
}

static void put_text(FILE *f, const char *text) { // BINUNICODE
    fputc('X', f);
    put_number(f, strlen(text), 4);
    fputs(text, f);
}

static void put_pair(FILE *f, const fixture_tensor *t, uint64_t first, uint64_t second) {
    fputc('(', f);
    for (int i = 0; i < (t->columns ? 2 : 1); i++) {
        fputc('J', f);
        put_number(f, i ? second : first, 4);
    }
    fputc('t', f);
}

/* The key of a storage; they are in order as text too. */
static void key_of(size_t number, char out[24]) {
    snprintf(out, 24, "%05zu", number);
}

static void put_tensor(FILE *f, const fixture_tensor *t, const fixture_layout *layout, size_t number) {
    static const char *const types[] = {"Float", "Half", "BFloat16", "Double"};
    char name[FIXTURE_PATH_SIZE], key[24];
    fixture_file_name(t, layout, name);
    put_text(f, name);
    fputs("ctorch._utils\n_rebuild_tensor_v2\n((", f);
    put_text(f, "storage");
    fprintf(f, "ctorch\n%sStorage\n", t->scale < 0 ? "Char" : types[layout->dtype]);
    key_of(number, key);
    put_text(f, key);
    put_text(f, "cpu");
    fputc('J', f);
    put_number(f, fixture_elements(t), 4);
    if (layout->form == FIXTURE_OLD) fputc('N', f);
    fputs("tQK", f);
    fputc(0, f); // the offset
    put_pair(f, t, t->rows, t->columns);
    put_pair(f, t, layout->transposed || !t->columns ? 1 : t->columns, layout->transposed ? t->rows : 1);
    fputs("\x89"
          "ccollections\nOrderedDict\n)RtR",
          f);
}

static void put_state(FILE *f, const fixture_tensor *tensors, size_t count, const fixture_layout *layout,
                      size_t shard, size_t shards) {
    fputs("\x80\x02}(", f);
    for (size_t i = shard; i < count; i += shards) put_tensor(f, &tensors[i], layout, i);
    fputs("u.", f);
}

/* ---- before torch 1.6 ---- */

static bool write_old(FILE *f, const fixture_tensor *tensors, size_t count, const fixture_layout *layout,
                      size_t shard, size_t shards, uint64_t *checksum) {
    char key[24];
    bool ok = true;
    fputs("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.", f);
    put_state(f, tensors, count, layout, shard, shards);
    fputs("\x80\x02](", f);
    for (size_t i = shard; i < count; i += shards) {
        key_of(i, key);
        put_text(f, key);
    }
    fputs("e.", f);
    for (size_t i = shard; ok && i < count; i += shards) {
        put_number(f, fixture_elements(&tensors[i]), 8);
        ok = fixture_write_elements(f, &tensors[i], layout, checksum);
    }
    return ok;
}

/* ---- since torch 1.6 ---- */

typedef struct entry {
    char name[40];
    uint64_t at, size;
} entry;

/* What stands in front of an entry's data, or in the directory. */
static void put_header(FILE *f, const entry *e, bool directory) {
    fputs(directory ? "PK\1\2" : "PK\3\4", f);
    if (directory) put_number(f, 20, 2);
    put_number(f, 20, 2);
    put_number(f, 0, 12); // flags, method, time, date, checksum
    put_number(f, e->size, 4);
    put_number(f, e->size, 4);
    put_number(f, strlen(e->name), 2);
    put_number(f, 0, directory ? 12 : 2);
    if (directory) put_number(f, e->at, 4);
    fputs(e->name, f);
}

static bool write_zip(FILE *f, const fixture_tensor *tensors, size_t count, const fixture_layout *layout,
                      size_t shard, size_t shards, uint64_t *checksum) {
    char *state = NULL, key[24];
    size_t state_size, n = 1;
    bool ok = true;
    FILE *memory = open_memstream(&state, &state_size);
    entry *entries = calloc(count + 1, sizeof *entries);
    if (!memory || !entries) return false;
    put_state(memory, tensors, count, layout, shard, shards);
    fclose(memory);
    entries[0] = (entry){.name = "archive/data.pkl", .size = state_size};
    put_header(f, &entries[0], false);
    fwrite(state, 1, state_size, f);
    for (size_t i = shard; ok && i < count; i += shards, n++) {
        key_of(i, key);
        snprintf(entries[n].name, sizeof entries[n].name, "archive/data/%s", key);
        entries[n].at = (uint64_t)ftell(f);
        entries[n].size = fixture_elements(&tensors[i]) * fixture_element_size(&tensors[i], layout->dtype);
        put_header(f, &entries[n], false);
        ok = fixture_write_elements(f, &tensors[i], layout, checksum);
    }
    uint64_t at = (uint64_t)ftell(f);
    for (size_t i = 0; i < n; i++) put_header(f, &entries[i], true);
    uint64_t size = (uint64_t)ftell(f) - at;
    fputs("PK\5\6", f);
    put_number(f, 0, 4);
    put_number(f, n, 2);
    put_number(f, n, 2);
    put_number(f, size, 4);
    put_number(f, at, 4);
    put_number(f, 0, 2);
    free(entries);
    free(state);
    return ok;
}

bool fixture_write_pytorch(const char *path, const fixture_tensor *tensors, size_t count,
                           const fixture_layout *layout, size_t shard, size_t shards, uint64_t *checksum) {
    FILE *f = fopen(path, "wb");
    bool ok = f != NULL;
    if (ok) {
        if (layout->form == FIXTURE_OLD)
            ok = write_old(f, tensors, count, layout, shard, shards, checksum);
        else
            ok = write_zip(f, tensors, count, layout, shard, shards, checksum);
        ok = !ferror(f) && ok;
        ok = fclose(f) == 0 && ok;
    }
    if (!ok) fprintf(stderr, "%s: cannot be written\n", path);
    return ok;
}
