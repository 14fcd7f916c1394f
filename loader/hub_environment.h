/* Settings of the hub from the environment variables that huggingface_hub reads too. */
#ifndef RP_LOADER_HUB_ENVIRONMENT_H
#define RP_LOADER_HUB_ENVIRONMENT_H

#include <stdbool.h>

#include "base/error.h"

/* The address of the hub without a slash at its end: `wanted`, else HF_ENDPOINT, else the public one.
 * RP_ERROR_ARGUMENT: it is no http or https address. The caller frees `*out`. */
rp_status rp_hub_endpoint(const char *wanted, char **out, rp_error *err);

/* The hub's cache folder, which need not exist: `wanted`, else HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else
 * "hub" in HF_HOME, else "huggingface/hub" in the user's cache folder. "~" and $NAMES in the variables are
 * replaced. RP_ERROR_FILE: there is no home to have it in. The caller frees `*out`. */
rp_status rp_hub_cache_folder(const char *wanted, char **out, rp_error *err);

/* The token for the hub: `wanted`, else HF_TOKEN, else HUGGING_FACE_HUB_TOKEN, else what the file
 * HF_TOKEN_PATH
 * ("token" in HF_HOME) holds; NULL where there is none, or HF_HUB_DISABLE_IMPLICIT_TOKEN is set and `wanted`
 * NULL. An empty `wanted` means none. RP_ERROR_ARGUMENT: it holds what no token may. The caller frees `*out`.
 */
rp_status rp_hub_token(const char *wanted, char **out, rp_error *err);

/* True when HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids the network. */
bool rp_hub_is_offline(void);

/* Seconds after which a pull gives up a request: without an answer (HF_HUB_ETAG_TIMEOUT, else 10), and
 * without a byte of a file (HF_HUB_DOWNLOAD_TIMEOUT, else 10). */
long rp_hub_answer_timeout(void);
long rp_hub_download_timeout(void);

/* The file of trusted certificates that SSL_CERT_FILE, REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names; NULL: the
 * system's. */
const char *rp_hub_certificates(void);

#endif
