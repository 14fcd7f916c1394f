/* Models by name: where one is on this machine, and fetching one from a hub.
 *
 * A hub is a server that speaks the HTTP of Hugging Face's. What is fetched lies in the cache folder of
 * huggingface_hub, in its layout, so that Python programs find what was fetched here and the other way round.
 * Only rp_pull uses a network, through libcurl, which is opened when it is first called: programs that link
 * this library need no libcurl to start. */
#ifndef REPRISE_PULL_H
#define REPRISE_PULL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The folder that a model's name means. Every function of this library that opens a model's folder takes such
 * a name, and looks it up in this way, without a network:
 *
 * 1. a folder that exists, by its path. The folder of a model in the hub's cache (.../models--ORG--NAME)
 * means the snapshot of its main revision, or the only one it has;
 * 2. the name of a model that comes along ("sentiment", "pretrained"): `share/reprise-0.2/models` beside the
 * library or where it was installed. "bundled:sentiment" looks here alone;
 * 3. "ORG/NAME", "NAME" or "ORG/NAME@REVISION" in the hub's cache folder (rp_pull_params.cache_dir).
 *
 * `*out` is owned by the caller (rp_string_free of tokenizer.h). RP_ERROR_FILE when it is nowhere: the
 * message gives the command that would fetch it. Thread-safe. */
RP_API rp_status rp_find_model(const char *name, char **out, rp_error *err);

/* How far a pull has come. Valid while the handler runs. May grow at its end. */
typedef struct rp_pull_progress {
    const char *file;      /* the path in the model's repository that is being fetched; "" before the first */
    uint32_t index, count; /* files that are done, and all of them */
    uint64_t done, size;   /* bytes of this file that are here, and its size; 0: not known */
    uint64_t all_done, all; /* bytes of all files that are here, and of all that are to be fetched */
} rp_pull_progress;

/* Who is told, some ten times a second, also while nothing comes, on the thread that called rp_pull. False
 * ends the pull with RP_ERROR_STOPPED; what is there of a file stays, and the next pull goes on from it. */
typedef struct rp_pull_handler {
    bool (*take)(void *user, const rp_pull_progress *progress);
    void *user;
} rp_pull_handler;

/* How to fetch. The zero value is the default. Strings are borrowed for the call. */
typedef struct rp_pull_params {
    const char *endpoint; /* the hub's address; NULL: HF_ENDPOINT, else https://huggingface.co */
    const char
        *cache_dir; /* NULL: HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else HF_HOME/hub, else huggingface/hub
                       in XDG_CACHE_HOME (where that is absolute) or in .cache of a HOME that exists */
    const char *revision; /* branch, tag or commit; NULL: as the name says, else "main" */
    const char *token;    /* for private and gated models; NULL: HF_TOKEN, else the file HF_TOKEN_PATH, else
                             HF_HOME/token; "": none. It is sent to the endpoint alone, never to where that
                             redirects to */
    const char *output;   /* also copy the files to this folder, which is made; NULL: don't */
    const rp_pull_handler *on_progress; /* NULL: nobody is told, and nothing stops it */
    bool offline;         /* use no network: find what was fetched before. Also with HF_HUB_OFFLINE=1 */
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_pull_params;

/* Fetch the model `name`: "ORG/NAME", "NAME", with "@REVISION" where another than main is wanted, or the
 * address of its page. Only the files that models are opened from are fetched: configuration, tokenizer,
 * modules of sentence-transformers, and weights: model.safetensors (or its shards), else pytorch_model.bin
 * (or its shards), else a TensorFlow checkpoint. `params` may be NULL.
 *
 * `*out` is the folder that now holds them, `params->output` where that is given, for rp_model_open; owned by
 * the caller (rp_string_free of tokenizer.h).
 *
 * Each file is checked by the SHA-256 or SHA-1 that the hub gives for it. What was broken off is taken up
 * where it ended, in this call (a few times, with growing waits or those that the hub asks for) and in the
 * next one. A revision that is fetched anew replaces the old one only when all of its files are there.
 * Nothing outside of the cache folder and `output` is written, whatever the hub answers.
 *
 * RP_ERROR_NETWORK: the hub cannot be reached, refuses, or asks to wait; RP_ERROR_FILE: it has no such model,
 * revision or file, or the disk is full; RP_ERROR_FORMAT: an answer, or the content of a file, is not what it
 * should be; RP_ERROR_UNSUPPORTED: there is no libcurl on this system, or the model has no weights that can
 * be read; RP_ERROR_STOPPED: the handler said so. Thread-safe: any number of threads and processes may fetch
 * the same model at once, and each file is fetched by one of them. */
RP_API rp_status rp_pull(const char *name, const rp_pull_params *params, char **out, rp_error *err);

#ifdef __cplusplus
}
#endif
#endif
