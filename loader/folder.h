/* Finds the files of a model in a folder, also when they do not have the names that Hugging Face gives them.
 */
#ifndef RP_LOADER_FOLDER_H
#define RP_LOADER_FOLDER_H

#include <stdbool.h>

#include "base/error.h"

enum { RP_FOLDER_NAME = 300 }; /* room for a name relative to the folder */

/* Sets `*fits` when the file `name` of `dir` is one that the search is for. Only RP_ERROR_HOST_MEMORY ends
 * the search. */
typedef rp_status rp_folder_test(const char *dir, const char *name, bool *fits, rp_error *err);

/* Find the first two names, in byte order, of files in `dir` for which `fits` is set; "" in place of a name
 * that is not there. A folder that does not exist has no files. RP_ERROR_FILE when it cannot be read. */
rp_status rp_folder_list(const char *dir, rp_folder_test *fits, char first[RP_FOLDER_NAME],
                         char second[RP_FOLDER_NAME], rp_error *err);

/* Find the name of a file, relative to `dir`; "" when there is none:
 * the configuration: config.json, else the only *config*.json with the fields of a model, there or in
 * assets/; the SentencePiece model: spiece.model, 30k-clean.model, else the only *.model that is one, there
 * or in assets/; the list of word pieces: vocab.txt or assets/vocab.txt. RP_ERROR_FORMAT names two that serve
 * equally well. Thread-safe. */
rp_status rp_folder_config(const char *dir, char name[RP_FOLDER_NAME], rp_error *err);
rp_status rp_folder_spiece(const char *dir, char name[RP_FOLDER_NAME], rp_error *err);
rp_status rp_folder_vocab(const char *dir, char name[RP_FOLDER_NAME], rp_error *err);

#endif
