/* The index file: vectors, and the texts that they are of. Little-endian, as all that is read here:
 *
 *     head     rp_index_head, RP_INDEX_HEAD bytes
 *     vectors  float16 [count, width], of length 1 or 0
 *     texts    of each document its id and its text, without anything between
 *     table    rp_index_entry [count + 1]: where they are; begins at a multiple of 8
 *     checks   uint64: of every RP_INDEX_BLOCK rows of vectors, their checksum
 *
 * Checksums are XXH64: they tell damage from what was written, and are no protection against who means to
 * deceive. So nothing of the file is trusted for them: offsets and sizes are checked as those of any file. */
#ifndef RP_APPS_INDEX_FILE_H
#define RP_APPS_INDEX_FILE_H

#include "base/alloc.h"
#include "reprise/search.h"

enum {
    RP_INDEX_HEAD = 4096,
    RP_INDEX_BLOCK = 4096, /* rows */
    RP_INDEX_VERSION = 1,
    RP_INDEX_NAME = 256,
    RP_INDEX_PROMPT = 2048,
};
#define RP_INDEX_MAGIC "RPRINDEX"
#define RP_INDEX_COUNT_MAX (1ull << 40)
#define RP_INDEX_BARE 0x80000000u /* of rp_index_entry.id */

typedef struct rp_index_head {
    char magic[8];
    uint32_t version, width;
    uint64_t size; /* of the file, bytes */
    uint64_t count;
    uint64_t texts_at, table_at, checks_at; /* bytes */
    uint64_t table_check, checks_check;     /* checksums of the table and of the checks */
    uint64_t identity;                      /* of the model (rp_index_identify); 0: none made it */
    uint32_t pooling, dimensions;           /* rp_pooling; 0: all */
    char model[RP_INDEX_NAME], prompt[RP_INDEX_PROMPT]; /* NUL-terminated UTF-8 */
    char unused[RP_INDEX_HEAD - 96 - RP_INDEX_NAME - RP_INDEX_PROMPT];
    uint64_t check; /* of all before it */
} rp_index_head;

typedef struct rp_index_entry {
    uint64_t at;    /* bytes of the texts before the id; of the last entry: all */
    uint32_t id;    /* bytes of the id, and RP_INDEX_BARE */
    uint32_t check; /* the low half of the checksum of id and text */
} rp_index_entry;

/* An index file that is mapped and checked, but for vectors and texts. */
typedef struct rp_index_file {
    char *path;
    const unsigned char *bytes;
    uint64_t size;
    rp_index_head head;
    const unsigned char *vectors, *texts, *table, *checks; /* in `bytes` */
} rp_index_file;

/* Map the file and check it. RP_ERROR_FILE, RP_ERROR_FORMAT, RP_ERROR_UNSUPPORTED name it. The caller closes
 * `*out`, on failure too. */
rp_status rp_index_file_open(const char *path, rp_index_file *out, rp_error *err);
void rp_index_file_close(rp_index_file *file);

/* Check the rows from `first` on, a multiple of RP_INDEX_BLOCK, `count` of them or up to the end: by their
 * checksums, and that each number is finite. RP_ERROR_FORMAT. */
rp_status rp_index_check_rows(const rp_index_file *file, uint64_t first, uint64_t count, rp_error *err);

/* Row `row` as floats. */
void rp_index_row(const rp_index_file *file, uint64_t row, float *out);

/* Document `row` < count, as rp_index_document says. */
rp_status rp_index_read(const rp_index_file *file, uint64_t row, rp_document *out, rp_error *err);

/* A number, true or false, as JSON writes it. */
bool rp_index_is_bare(rp_text id);

uint64_t rp_index_hash(const void *data, size_t size, uint64_t seed);

/* The bytes of an index of so many documents before its texts, and of the table and the checks. */
static inline uint64_t rp_index_vector_bytes(uint64_t count, uint32_t width) {
    return count * width * 2;
}
static inline uint64_t rp_index_table_bytes(uint64_t count) {
    return (count + 1) * sizeof(rp_index_entry);
}
static inline uint64_t rp_index_check_bytes(uint64_t count) {
    return rp_div_up(count, RP_INDEX_BLOCK) * sizeof(uint64_t);
}

#endif
