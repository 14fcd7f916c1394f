/* The checksum of TensorFlow's files. */
#ifndef RP_LOADER_CRC32C_H
#define RP_LOADER_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC32C (Castagnoli) of the bytes. */
uint32_t rp_crc32c(const unsigned char *bytes, size_t size);

#endif
