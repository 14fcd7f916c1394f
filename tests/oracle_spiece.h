/* libsentencepiece behind C functions, for comparing with. */
#ifndef TESTS_ORACLE_SPIECE_H
#define TESTS_ORACLE_SPIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oracle_spiece oracle_spiece;

/* NULL when it refuses the model. */
oracle_spiece *oracle_spiece_open(const void *data, size_t size);
void oracle_spiece_close(oracle_spiece *oracle);

/* Encode; the number of tokens, kept until the next call. SIZE_MAX: it failed. */
size_t oracle_spiece_encode(oracle_spiece *oracle, const char *text, size_t size);
/* Token `i` of them: its piece, with `*length` bytes. */
const char *oracle_spiece_token(oracle_spiece *oracle, size_t i, int32_t *id, uint32_t *begin, uint32_t *end,
                                size_t *length);

#ifdef __cplusplus
}
#endif
#endif
