/* Ids of SPIR-V in the order in which a module has them: it packs into fewer bytes so (gpu/pack.h). */
#ifndef TOOLS_SPIRV_IDS_H
#define TOOLS_SPIRV_IDS_H

#include <stddef.h>
#include <stdint.h>

/* Give each id of a whole module (rp_spirv_whole) a new number: types, constants and variables in the order
 * of the module, then the others in the order in which they are first named. Returns 0, or an opcode whose
 * operands are not known here (UINT32_MAX: no memory, or ids that are out of bounds); the module is as it was
 * then. */
uint32_t rp_spirv_order_ids(uint32_t *words, size_t count);

#endif
