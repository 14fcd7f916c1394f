/* Checks of the addresses, names and paths that a pull sends to a hub or makes files of. */
#ifndef RP_LOADER_HUB_URL_H
#define RP_LOADER_HUB_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Most bytes of an address, and of a model's name. */
enum { RP_URL_BYTES = 8192, RP_HUB_NAME_BYTES = 96, RP_HUB_REVISION_BYTES = 200 };

/* True for "http://HOST..." and "https://HOST..." of printable ASCII, without a user in front of the host. */
bool rp_url_check(const char *url);

/* The length of "https://HOST:PORT" at the start of a checked address. */
size_t rp_url_origin(const char *url);

/* True when both checked addresses name the same scheme, host and port; an http one on its usual port is also
 * the same as an https `other` on its. */
bool rp_url_same_origin(const char *url, const char *other);

/* The checked address that a Location header of an answer from `base` names; the caller frees it. NULL: out
 * of memory
 * (`*memory`), or a pull must not follow the address, because its scheme is neither http nor https, or is
 * http where the answer came by https. */
char *rp_url_resolve(const char *base, const char *location, bool *memory);

/* Append `text` to `out`, with every byte but letters, digits and "-._~" (and "/" with `slashes`) as %XX.
 * False: the `size` bytes of `out` are too few. */
bool rp_url_quote(const char *text, bool slashes, char *out, size_t size);

/* True when `path`, as a hub or a user gives it, stays below the folder it is joined to, on every system:
 * parts of 1 to 255 bytes between single slashes, none of them "." or "..", no backslash, no control
 * character, no drive, and no name that Windows keeps for a device. */
bool rp_hub_path_check(const char *path);

/* The name of a model, as a user writes it. */
typedef struct rp_hub_name {
    char id[RP_HUB_NAME_BYTES + 1];           /* "org/name" or "name" */
    char revision[RP_HUB_REVISION_BYTES + 1]; /* "" where the name has none */
} rp_hub_name;

/* Read "org/name", "name", both also with "@revision", and the address of a model's page (below `endpoint` or
 * the public hub, also .../tree/REVISION). False: it is no such name. */
bool rp_hub_name_read(const char *text, const char *endpoint, rp_hub_name *out);

#endif
