/* What the fuzz targets share. A target is one NAME.c with LLVMFuzzerTestOneInput; its inputs lie in
 * corpus/NAME. tools/fuzz builds and runs them. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* End the program, with a report, unless `good`. */
#define FUZZ_CHECK(good)                                     \
    do                                                       \
        if (!(good)) fuzz_failed(__FILE__, __LINE__, #good); \
    while (0)
_Noreturn void fuzz_failed(const char *file, int line, const char *what);

/* A status that is not RP_OK comes with the same status and a sentence in UTF-8; returns it. */
rp_status fuzz_status(rp_status status, const rp_error *err);

/* The scratch folder of this process, in memory where there is such a file system; removed at the end. */
const char *fuzz_folder(void);

/* Write the file `name`, which may be in one folder, to the scratch folder; `data` NULL removes it. */
void fuzz_file(const char *name, const void *data, size_t size);

/* An input that holds a whole folder: what stands before the first line "=== NAME" is names[0], what follows
 * such a line is NAME. Files that the input does not hold, or of no bytes, are removed. `names` ends in NULL.
 */
void fuzz_files(const char *const *names, const uint8_t *data, size_t size);

#endif
