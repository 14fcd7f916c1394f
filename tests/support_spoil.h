/* Drivers that get one shader wrong: what it writes to storage buffers has the wrong sign, or a number in it
 * is another one. For cmocka programs. */
#ifndef SUPPORT_SPOIL_H
#define SUPPORT_SPOIL_H

#include "gpu/device.h"

typedef struct spoil_counts {
    uint32_t spoiled; /* pipelines made of a spoiled shader */
    uint32_t made;    /* pipelines in all */
    uint32_t submits;
} spoil_counts;

/* From now on `device` makes wrong shaders of those for which `is_wrong` is true, by their name in
 * shaders/variants.def; of none when it is NULL. It is called from any thread. One device at a time. */
void spoil_begin(rp_device *device, bool (*is_wrong)(const char *shader));

/* The same, but the shaders have `to` where their text has the float `from`. */
void spoil_constant(rp_device *device, bool (*is_wrong)(const char *shader), float from, float to);

/* Since spoil_begin or spoil_constant. */
spoil_counts spoil_seen(void);

/* Mend the device. */
void spoil_end(void);

#endif
