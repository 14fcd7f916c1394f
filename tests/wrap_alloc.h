/* The library's allocations of host memory fail where a test says so. For programs that CMakeLists.txt links
 * with wrap_alloc.c: the linker sends the calls there (--wrap). What other libraries allocate is for
 * test_faults_malloc. */
#ifndef WRAP_ALLOC_H
#define WRAP_ALLOC_H

#include <stdbool.h>

/* From now on allocation number `n` (from 0) of all threads together fails, and the others do not. */
void alloc_begin(int n);

/* True when it came. None fails any more. */
bool alloc_end(void);

#endif
