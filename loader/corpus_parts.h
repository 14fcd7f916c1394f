/* What corpus.c and corpus_source.c share. */
#ifndef RP_LOADER_CORPUS_PARTS_H
#define RP_LOADER_CORPUS_PARTS_H

#include "base/alloc.h"
#include "loader/corpus.h"

/* A place in the corpus is a number of bytes, over all files one behind the other. */
typedef struct rp_corpus_file {
    const char *path;
    uint64_t start, size;
} rp_corpus_file;

/* One line. What it points to lives until the next one is read. */
typedef struct rp_corpus_line {
    const char *text; /* without white space around it */
    size_t size;      /* 0: it ends a document */
    uint64_t place;   /* where it begins */
    char mistake[96]; /* why it cannot be used; "": it can */
} rp_corpus_line;

/* Reads lines, of one file after the other. Zero-initialise. */
typedef struct rp_corpus_source {
    rp_arena strings;
    rp_corpus_file *files; /* [file_count] */
    size_t file_count;
    int fd;      /* of files[file]; -1: none is open */
    size_t file; /* the one that is read */
    char *buffer;
    size_t room, begin, end; /* buffer[begin..end) are the bytes from `offset` on */
    uint64_t offset;         /* of the file */
    uint64_t line;           /* lines of the file before it; counted from where reading began */
} rp_corpus_source;

/* Note the files and their sizes. */
rp_status rp_corpus_source_open(rp_corpus_source *s, const char *const *paths, size_t count, rp_error *err);
void rp_corpus_source_close(rp_corpus_source *s);

/* The next line is the one at `place`, which begins one. */
rp_status rp_corpus_seek(rp_corpus_source *s, uint64_t place, rp_error *err);

/* Read the next line. Behind each file there is one of size 0; `*found` false: no file is left. */
rp_status rp_corpus_next(rp_corpus_source *s, rp_corpus_line *line, bool *found, rp_error *err);

/* ---- corpus_block.c ---- */

/* A line that was read ahead. */
typedef struct rp_corpus_ahead {
    rp_corpus_line line;
    size_t at;        /* of its text, in the block's */
    size_t tokens;    /* that it has, */
    rp_status status; /* unless it cannot be tokenized */
    bool found;       /* false: no file is left, and this is no line */
    bool last;        /* nothing is left behind it */
    size_t file;      /* that it is in, and */
    uint64_t number;  /* of it, counted from where reading began */
} rp_corpus_ahead;

/* Zero-initialise, and set what the caller sets; rp_corpus_block_finish. */
typedef struct rp_corpus_block {
    const rp_tokenizer *tokenizer; /* of the caller, as the next two */
    uint32_t threads;              /* that tokenize; 0: as many as there are processors */
    bool one_document;             /* nothing behind the document is read ahead */
    rp_corpus_ahead *lines;        /* [count], of which `next` were given out */
    size_t count, next, line_room, taken;
    char *text;
    size_t size, text_room;
} rp_corpus_block;

/* The next line; its text lives until the next call. */
rp_status rp_corpus_block_next(rp_corpus_block *block, rp_corpus_source *source, rp_corpus_ahead *out,
                               rp_error *err);

/* Forget what was read ahead: the source was set to another place. */
void rp_corpus_block_drop(rp_corpus_block *block);
void rp_corpus_block_finish(rp_corpus_block *block);

#endif
