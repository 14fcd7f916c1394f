/* The model card: a README.md that says how the model was made. */
#include <math.h>
#include <stdio.h>

#include "base/os.h"
#include "loader/sealed.h"
#include "loop/loop.h"

/* ---- text in Markdown ---- */

/* As code in a cell of a table. */
static void put_code(FILE *out, const char *text) {
    fputc('`', out);
    for (; *text && *text != '\n'; text++) {
        if (*text == '|') fputc('\\', out);
        fputc(*text == '`' ? '\'' : *text, out);
    }
    fputc('`', out);
}

static void put_row(FILE *out, const char *before, const char *key, const char *value) {
    fprintf(out, "| %s%s%.80s | ", before, *before ? "." : "", key);
    put_code(out, value);
    fputs(" |\n", out);
}

/* The members of an object, and of those in it, a row each. False: memory ran out. */
static bool put_members(FILE *out, const char *before, const rp_json *object) {
    bool good = true;
    for (uint32_t i = 0; good && i < rp_json_count(object, RP_JSON_OBJECT); i++) {
        const rp_member *m = &object->members[i];
        rp_json_writer w = {.compact = true};
        size_t size = 0;
        if (!*before && rp_json_is(&m->value, RP_JSON_OBJECT)) {
            good = put_members(out, m->key, &m->value);
        } else if (rp_json_is(&m->value, RP_JSON_STRING)) {
            put_row(out, before, m->key, m->value.text);
        } else {
            rp_json_write_value(&w, NULL, &m->value);
            char *text = rp_json_writer_finish(&w, &size);
            if (text) put_row(out, before, m->key, text);
            good = text;
            free(text);
        }
    }
    return good;
}

/* ---- its parts ---- */

static void put_head(FILE *out, const rp_loop *loop) {
    fputs("---\nlibrary_name: transformers\n", out);
    if (loop->task.pipeline) fprintf(out, "pipeline_tag: %s\n", loop->task.pipeline);
    fputs("tags:\n- reprise\n---\n\n# A model that Reprise trained\n\n", out);
    fprintf(out,
            "Made with Reprise %s in %llu steps. `trainer_state.json` has the course of the training, "
            "`training.json` all that it was asked for.\n",
            REPRISE_VERSION, (unsigned long long)loop->params.steps);
    if (loop->params.command) fprintf(out, "\n~~~~\n%s\n~~~~\n", loop->params.command);
}

/* The evaluation that decided what was kept. */
static bool put_best(FILE *out, const rp_loop *loop, const rp_json *entries) {
    char what[100];
    for (uint32_t i = 0; i < rp_json_count(entries, RP_JSON_ARRAY); i++) {
        const rp_json *entry = &entries->items[i], *step = rp_json_get(entry, "step");
        snprintf(what, sizeof what, "eval_%.60s", rp_loop_metric(loop));
        if (!rp_json_is(step, RP_JSON_INTEGER) || (uint64_t)step->integer != loop->best_step ||
            !rp_json_get(entry, what))
            continue;
        fprintf(
            out,
            "\n## Evaluation\n\nThe best of all evaluations by %s, after step %llu:\n\n| | |\n|---|---|\n",
            rp_loop_metric(loop), (unsigned long long)loop->best_step);
        return put_members(out, "", entry);
    }
    return true;
}

static bool put_last(FILE *out, const rp_json *entries) {
    const rp_json *last = NULL;
    for (uint32_t i = 0; i < rp_json_count(entries, RP_JSON_ARRAY); i++)
        if (rp_json_get(&entries->items[i], "loss")) last = &entries->items[i];
    if (!last) return true;
    fputs("\n## The last step\n\n| | |\n|---|---|\n", out);
    return put_members(out, "", last);
}

static void put_device(FILE *out, const rp_loop *loop) {
    const rp_device_info *info = loop->params.device ? rp_device_get_info(loop->params.device) : NULL;
    fprintf(out, "\n## Versions\n\n| | |\n|---|---|\n");
    put_row(out, "", "Reprise", REPRISE_VERSION);
    if (info) put_row(out, "", "device", info->name);
    if (info) put_row(out, "", "driver", info->driver);
}

/* False: memory ran out. */
static bool write_text(const rp_loop *loop, FILE *out, rp_error *err) {
    rp_json_document history = {0};
    const rp_loop_history *h = &loop->history;
    size_t size = h->size + 3;
    char *entries = malloc(size);
    bool good = entries;
    if (good) snprintf(entries, size, "[%.*s]", (int)h->size, h->size ? h->entries : "");
    good = good && !rp_json_parse(entries, strlen(entries), "trainer_state.json", &history, err);
    if (good) {
        put_head(out, loop);
        good = (!loop->task.evaluate || put_best(out, loop, &history.root)) && put_last(out, &history.root);
    }
    if (good) fputs("\n## What was asked for\n\n| | |\n|---|---|\n", out);
    good = good && put_members(out, "", &loop->recipe.root);
    if (good) put_device(out, loop);
    rp_json_finish(&history);
    free(entries);
    return good;
}

rp_status rp_loop_write_card(const rp_loop *loop, const char *dir, rp_error *err) {
    char *text = NULL, *path = rp_path_join(dir, "README.md");
    size_t size = 0;
    FILE *out = path ? rp_os_memory_open(&text, &size) : NULL;
    bool good = out && write_text(loop, out, err);
    if (out && (ferror(out) | rp_os_memory_close(out, &text, &size))) good = false;
    rp_status status = good ? RP_OK : rp_fail_memory(err, "a model card", size);
    if (!status) rp_os_unlink(path); /* one that was copied along */
    if (!status) status = rp_file_write(path, text, size, err);
    free(text);
    free(path);
    return status;
}
