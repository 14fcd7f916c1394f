/* SHA-1 and SHA-256 (FIPS 180-4), as the hub names the content of its files by them. They tell damage from
 * what was meant; SHA-1 is no protection against who makes two files with one hash on purpose. */
#ifndef RP_BASE_SHA_H
#define RP_BASE_SHA_H

#include <stddef.h>
#include <stdint.h>

typedef struct rp_sha {
    uint32_t state[8];
    unsigned char block[64]; /* bytes that wait for a whole block */
    uint64_t size;           /* bytes so far */
    unsigned words;          /* of the hash: 5 for SHA-1, 8 for SHA-256 */
} rp_sha;

enum { RP_SHA_TEXT = 65 }; /* the longest hash as hex digits, with the NUL */

void rp_sha1_begin(rp_sha *sha);
void rp_sha256_begin(rp_sha *sha);
void rp_sha_add(rp_sha *sha, const void *data, size_t size);

/* The hash of all that was added, in lower-case hex digits: 40 or 64 and a NUL. */
void rp_sha_end(rp_sha *sha, char out[RP_SHA_TEXT]);

#endif
