/* The files of a model on a hub, and which of them a model is opened from. */
#ifndef RP_LOADER_HUB_FILES_H
#define RP_LOADER_HUB_FILES_H

#include "base/alloc.h"
#include "loader/hub_answer.h"
#include "loader/json_tree.h"

/* The hub's list. Every path in it has passed rp_hub_path_check. */
typedef struct rp_hub_list {
    char commit[RP_HUB_COMMIT + 1];
    const char **paths; /* [count], sorted */
    bool *chosen;       /* [count], at first none */
    size_t count;
    rp_json_document document;
    rp_arena names; /* of a folder's files */
} rp_hub_list;

/* Read the `size` bytes of `text`. RP_ERROR_FORMAT names `shown` (where it came from) and what is wrong: a
 * commit that is none, or a path that would lead out of a folder. The caller frees what `out` holds, also
 * after a failure (rp_hub_list_finish). */
rp_status rp_hub_list_read(const char *text, size_t size, const char *shown, rp_hub_list *out, rp_error *err);

/* The same of the regular files in a folder and those in it, three deep, links followed. */
rp_status rp_hub_list_folder(const char *dir, rp_hub_list *out, rp_error *err);

void rp_hub_list_finish(rp_hub_list *list);

/* Choose the files that say which others are needed: modules.json and the indexes of shards. They are to be
 * in `snapshot`, the folder of the snapshot, before rp_hub_choose. */
void rp_hub_choose_first(rp_hub_list *list);

/* Choose all that a model is opened from: of the folder itself and of those that modules.json names,
 * configuration, tokenizer and weights (model.safetensors or its shards, else pytorch_model.bin or its
 * shards; of a model that has neither, the TensorFlow checkpoint). RP_ERROR_UNSUPPORTED says what there is
 * instead where nothing of it can be opened; RP_ERROR_FORMAT: an index or modules.json is damaged, or a shard
 * is not in the list. `id` is for messages. */
rp_status rp_hub_choose(rp_hub_list *list, const char *snapshot, const char *id, rp_error *err);

#endif
