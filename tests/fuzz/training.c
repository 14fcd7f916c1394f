/* The files of a checkpoint: trainer.json and training.json, sealed anew so that the reader does not stop at
 * the seal, and trainer_state.json. Whatever they say: it is taken, or refused with a sentence. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "loader/sealed.h"
#include "loop/loop.h"
#include "train/state.h"

/* Seal the object, as it is written, and read it: it must be what it was. */
static void seal_again(const rp_json *root) {
    rp_json_writer w = {0};
    rp_json_document again = {0};
    rp_error err;
    rp_json_write_open(&w, NULL, '{');
    for (uint32_t i = 0; i < root->count; i++)
        if (strcmp(root->members[i].key, "seal"))
            rp_json_write_value(&w, root->members[i].key, &root->members[i].value);
    fuzz_file("sealed.json", NULL, 0);
    if (rp_seal_write(&w, fuzz_folder(), "sealed.json", &err)) return;
    fuzz_status(rp_sealed_read(fuzz_folder(), "sealed.json", &again, &err), &err);
    rp_json_finish(&again);
}

static void read_state(const rp_json *root) {
    rp_train_saved saved = {0};
    rp_error err;
    if (!fuzz_status(rp_train_saved_read(root, "trainer.json", &saved, &err), &err)) {
        FUZZ_CHECK(saved.tokens && saved.sequences && saved.model_count && saved.own_count);
        for (size_t i = 0; i < saved.model_count + saved.own_count; i++)
            FUZZ_CHECK(saved.wanted[i].what && saved.wanted[i].kernel);
    }
    rp_train_saved_finish(&saved);
}

static void read_history(const uint8_t *data, size_t size) {
    rp_loop loop = {.resume = (char *)(uintptr_t) "checkpoint", .task.metric = "accuracy"};
    rp_error err;
    fuzz_file("trainer_state.json", data, size);
    if (!fuzz_status(rp_loop_read_state(&loop, fuzz_folder(), &err), &err)) {
        FUZZ_CHECK(loop.history.size <= 64 * size + 64);
        fuzz_file("trainer_state.json", NULL, 0);
        fuzz_status(rp_loop_write_state(&loop, fuzz_folder(), &err), &err);
    }
    rp_loop_history_finish(&loop.history);
}

/* The first byte says what the rest is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rp_json_document document = {0};
    rp_error err;
    if (!size || size > 1 << 16) return 0;
    if (data[0] == 'h') {
        read_history(data + 1, size - 1);
        return 0;
    }
    if (data[0] == 's') { /* as it is: the seal is wrong, nearly always */
        fuzz_file("sealed.json", data + 1, size - 1);
        fuzz_status(rp_sealed_read(fuzz_folder(), "sealed.json", &document, &err), &err);
    } else if (!rp_json_parse((const char *)data + 1, size - 1, "trainer.json", &document, &err) &&
               document.root.type == RP_JSON_OBJECT) {
        seal_again(&document.root);
        read_state(&document.root);
    }
    rp_json_finish(&document);
    return 0;
}
