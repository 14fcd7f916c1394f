/* A JSON file that shows whether somebody changed it or cut it short, it or files beside it: it holds the
 * SHA-256 of both. This tells damage from what was written; it is no protection against who means to deceive.
 */
#ifndef RP_LOADER_SEALED_H
#define RP_LOADER_SEALED_H

#include "loader/json.h"
#include "loader/json_write.h"

/* The SHA-256 of a file, in hex digits, and its size. RP_ERROR_FILE, and as rp_call_check says. */
rp_status rp_hash_file(const char *path, char out[65], uint64_t *size, rp_error *err);

/* Write the member "files" of the object that is open in `w`: size and hash of each file of the folder `dir`.
 */
rp_status rp_seal_files(rp_json_writer *w, const char *dir, const char *const *names, size_t count,
                        rp_error *err);

/* Close the object that is open in `w`, the outermost, after a last member "seal", and write it to the new
 * file `dir`/`name`, whose content is on the disk then. The writer is zeroed in any case. */
rp_status rp_seal_write(rp_json_writer *w, const char *dir, const char *name, rp_error *err);

/* Read such a file. RP_ERROR_FILE: it cannot be read, or a file that it lists; RP_ERROR_FORMAT: one of them
 * is damaged. On success the caller owns `*out` (rp_json_finish). */
rp_status rp_sealed_read(const char *dir, const char *name, rp_json_document *out, rp_error *err);

/* Write the new file `path`, to the disk. RP_ERROR_FILE: it is there, or cannot be written. */
rp_status rp_file_write(const char *path, const void *data, size_t size, rp_error *err);

#endif
