/* Where the files of a model come from: the file system or, while a thread reads from records, those records.
 * Whatever reads a model's files opens them here, by the paths that it makes of the model's folder. */
#ifndef RP_LOADER_MODEL_FILE_H
#define RP_LOADER_MODEL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "reprise/records.h"

/* `dir`/`name`, to be freed; NULL when out of memory. */
char *rp_path_join(const char *dir, const char *name);

/* The end of `path`, short enough to leave room in an error message for what is wrong. */
const char *rp_path_shown(const char *path);

/* The folder that records stand for: no such folder is looked at. A record NAME has the path
 * "records/NAME". */
#define RP_RECORDS_DIR "records"

/* Records, checked, in the order of their names. */
typedef struct rp_records {
    const rp_record **sorted; /* [count]; the records are the caller's */
    size_t count;
} rp_records;

/* Check `records` [count] for `function`: names, that memory and files have the bytes that are said.
 * RP_ERROR_ARGUMENT names one that cannot be. On success the caller frees out->sorted. */
rp_status rp_records_check(const rp_record *records, size_t count, const char *function, rp_records *out,
                           rp_error *err);

/* From now on this thread finds the files of RP_RECORDS_DIR among `records`, which it borrows; NULL: in the
 * file system again. Whoever begins ends, before it returns to a caller of the library. */
void rp_records_use(const rp_records *records);

/* Open a regular file of the file system for reading; `*size` gets its bytes. Never waits, as opening a pipe
 * would. The caller closes `*fd`. RP_ERROR_FILE when it is missing, unreadable or no regular file. */
rp_status rp_file_open(const char *path, int *fd, uint64_t *size, rp_error *err);

/* An open file. */
typedef struct rp_model_file {
    const unsigned char *memory; /* NULL: the bytes are in the file of `fd` */
    int fd;                      /* -1: there is none */
    bool borrowed;               /* `fd` is that of a record, which its owner closes */
    uint64_t offset, size;       /* the bytes in the file of `fd`; and how many they are */
} rp_model_file;

/* Open a regular file or a record; it never waits. The caller ends with rp_model_file_close, within the time
 * that the records are used. RP_ERROR_FILE when it is missing, unreadable or no regular file. */
rp_status rp_model_file_open(const char *path, rp_model_file *out, rp_error *err);
void rp_model_file_close(rp_model_file *source);

/* Copy `size` bytes from byte `at` on. False where the file has not as many, or the disk fails. */
bool rp_model_file_read(const rp_model_file *source, uint64_t at, void *to, size_t size);

/* Read the whole file, of at most `most` bytes. `*data`, behind which there is a NUL, is the caller's (free);
 * NULL after a failure. RP_ERROR_FILE, RP_ERROR_FORMAT when there are more, RP_ERROR_HOST_MEMORY. */
rp_status rp_model_file_load(const char *path, uint64_t most, char **data, size_t *size, rp_error *err);

/* True when something, whatever it is, has this name. */
bool rp_path_exists(const char *path);

/* RP_ERROR_ARGUMENT where the file `out` (NULL: none is written) is one of `inputs` [count], by whatever
 * name; of these some may be NULL. */
rp_status rp_check_output(const char *out, const char *const *inputs, size_t count, rp_error *err);

/* RP_ERROR_ARGUMENT or RP_ERROR_FILE unless `dir` names a folder. */
rp_status rp_folder_check(const char *dir, rp_error *err);

/* True while this thread reads from records. */
bool rp_records_used(void);

/* Call `take` for the name of each file and folder in `dir`, in any order, until it returns something else
 * than RP_OK, which is returned. RP_ERROR_FILE when the folder cannot be read; a folder that does not exist
 * has no files. */
typedef rp_status rp_model_folder_take(void *context, const char *name, rp_error *err);
rp_status rp_model_folder_list(const char *dir, rp_model_folder_take *take, void *context, rp_error *err);

#endif
