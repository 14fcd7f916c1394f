/* What Hugging Face's pipelines answer: the cases of tests/goldens/tasks. For cmocka programs. */
#ifndef SUPPORT_TASKS_H
#define SUPPORT_TASKS_H

#include <jansson.h>

#include "reprise/reprise.h"
#include "support_fixture.h"

/* A folder, and calls with their answers. */
typedef struct task_case {
    char dir[FIXTURE_PATH_SIZE]; /* the model's folder */
    bool temporary;              /* dir goes away in task_case_close */
    json_t *root, *calls;
} task_case;

/* Load the case `name` and build its folder. False, with a message on standard error, when that fails. */
bool task_case_open(const char *name, task_case *out);
void task_case_close(task_case *c);

/* Write config.json and the weights again, after a change in `root`; the checksum is not looked at. */
bool task_case_write(const task_case *c);

/* The text of a JSON string; data NULL when it is none. */
rp_text task_text(const json_t *string);

/* Ask `model` for the inputs `which`[0..count) (NULL: the first `count`) of a call. */
rp_status task_run(rp_model *model, const json_t *call, const size_t *which, size_t count, rp_result **out,
                   rp_error *err);

/* Entry `i` of the result, which answers `input` of a call, in the shape of the goldens. Owned by the caller.
 */
json_t *task_answer(const json_t *call, const json_t *input, const rp_result *result, size_t i);

/* Are two answers the same, numbers up to 2e-5 + 2e-4 of their size? `*worst` grows to the largest part of
 * that. */
bool task_same(const json_t *got, const json_t *want, double *worst);

#endif
