/* Texts of a corpus, and what every instance of one must be. */
#ifndef SUPPORT_CORPUS_H
#define SUPPORT_CORPUS_H

#include "loader/corpus.h"
#include "support_fixture.h"

#define CORPUS_TOKENIZER SOURCE_DIR "/tools/models/pretrained"

enum { CORPUS_FILES = 4, CORPUS_WORDS = 1000 };

/* The folder of a test, and the files of the corpus in it. */
typedef struct corpus_place {
    char dir[FIXTURE_PATH_SIZE], paths[CORPUS_FILES][FIXTURE_PATH_SIZE + 32];
    rp_tokenizer *tokenizer;      /* that instances are made with */
    char words[CORPUS_WORDS][32]; /* each is one piece, and a word */
    int32_t word_ids[CORPUS_WORDS];
} corpus_place;

/* The place of this program, made and removed by the functions for cmocka's groups. */
extern corpus_place corpus_here;
int corpus_begin(void **state);
int corpus_end(void **state);

/* Write file number `number`. */
void corpus_write(size_t number, const char *text, size_t size);

/* rp_corpus_open with the first `count` files. */
rp_status corpus_open(size_t count, const rp_corpus_params *params, rp_corpus **out, rp_error *err);

/* A corpus of one text, and one of its instances; they fail the test where they cannot be had. */
rp_corpus *corpus_of(const char *text, rp_corpus_params params);
rp_instance corpus_read(rp_corpus *corpus, uint64_t epoch, uint64_t i);

/* A growing text. Zero-initialise; free `data`. */
typedef struct corpus_text {
    char *data;
    size_t size, room;
} corpus_text;

void corpus_add(corpus_text *text, const char *part);

/* A random number from 0 to below `count`, not from the library's generator. */
uint32_t corpus_below(uint32_t count);

/* Fill in words and word_ids. */
void corpus_find_words(void);

/* Documents of so many lines of so many random words of one token; to be freed. */
char *corpus_words(size_t documents, size_t lines, size_t count);

/* Is token `i` one to be predicted, and what was it? */
bool corpus_is_masked(const rp_instance *in, size_t i);
int32_t corpus_original(const rp_instance *in, size_t i);

/* [CLS] A [SEP] B [SEP], of which neither is empty, with the types that belong to it; returns where B begins.
 */
size_t corpus_check(const rp_instance *in, uint32_t most);

#endif
