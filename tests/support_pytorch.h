/* Weights of a fixture as torch.save writes them. */
#ifndef SUPPORT_PYTORCH_H
#define SUPPORT_PYTORCH_H

#include <stdio.h>

#include "support_fixture.h"

/* Write every `shards`-th tensor, from `shard` on, to the file `path`, in the form of the layout. False, with
 * a message on standard error, when that fails. */
bool fixture_write_pytorch(const char *path, const fixture_tensor *tensors, size_t count,
                           const fixture_layout *layout, size_t shard, size_t shards, uint64_t *checksum);

/* ---- what support_fixture.c has for it ---- */

size_t fixture_elements(const fixture_tensor *t);
size_t fixture_element_size(const fixture_tensor *t, fixture_dtype dtype);

/* The name that `t` has in a file. */
void fixture_file_name(const fixture_tensor *t, const fixture_layout *layout, char out[FIXTURE_PATH_SIZE]);

/* Write the tensor's elements to `f` and add their bits to `*checksum`. */
bool fixture_write_elements(FILE *f, const fixture_tensor *t, const fixture_layout *layout,
                            uint64_t *checksum);

#endif
