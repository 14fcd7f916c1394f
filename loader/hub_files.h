/* The list of a model's files on a hub, and which of them a pull fetches to open the model. */
#ifndef RP_LOADER_HUB_FILES_H
#define RP_LOADER_HUB_FILES_H

#include "base/alloc.h"
#include "loader/hub_answer.h"
#include "loader/json_tree.h"

/* A list of files. Every path in it has passed rp_hub_path_check. */
typedef struct rp_hub_list {
    char commit[RP_HUB_COMMIT + 1];
    const char **paths; /* [count], sorted */
    bool *chosen;       /* [count] true: fetch the file; false at first */
    size_t count;
    rp_json_document document;
    rp_arena names; /* holds the paths of rp_hub_list_folder */
} rp_hub_list;

/* Read a list from the `size` bytes of `text`, which the hub sent. RP_ERROR_FORMAT names `shown`, where the
 * text came from, and what is wrong, such as a bad commit or a path that leads out of its folder. The caller
 * finishes `out` on success and on failure. */
rp_status rp_hub_list_read(const char *text, size_t size, const char *shown, rp_hub_list *out, rp_error *err);

/* Make a list of the regular files in a folder and in its folders, three deep, following links. */
rp_status rp_hub_list_folder(const char *dir, rp_hub_list *out, rp_error *err);

void rp_hub_list_finish(rp_hub_list *list);

/* Set `chosen` for the files that say which others are needed: modules.json and the indexes of shards. The
 * pull fetches these into the snapshot before it calls rp_hub_choose. */
void rp_hub_choose_first(rp_hub_list *list);

/* Set `chosen` for all files that a model is opened from: of the folder itself and of those that modules.json
 * names, configuration, tokenizer and weights (model.safetensors or its shards, else pytorch_model.bin or its
 * shards; of a model that has neither, the TensorFlow checkpoint). `snapshot` is the folder that holds the
 * files of rp_hub_choose_first; `id` stands in messages. RP_ERROR_UNSUPPORTED: nothing in the list can be
 * opened; the message says what there is. RP_ERROR_FORMAT: an index or modules.json is damaged, or a shard is
 * not in the list. */
rp_status rp_hub_choose(rp_hub_list *list, const char *snapshot, const char *id, rp_error *err);

#endif
