/* The files of a folder as records: in memory, or in one file that holds them all. For cmocka programs. */
#ifndef SUPPORT_RECORDS_H
#define SUPPORT_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "reprise/records.h"
#include "support_fixture.h"

enum { RECORDS_MOST = 40 };

typedef struct records_case {
    rp_record records[RECORDS_MOST];
    size_t count;
    void *buffers[RECORDS_MOST];  /* of records in memory, at odd addresses */
    char path[FIXTURE_PATH_SIZE]; /* of the file that holds the records otherwise, at odd offsets */
    char dir[FIXTURE_PATH_SIZE];
    int descriptor; /* of it */
} records_case;

/* Make records of all files below `folder`. False, with a message on standard error, when that fails. */
bool records_open(const char *folder, bool in_memory, records_case *out);
void records_close(records_case *c);

#endif
