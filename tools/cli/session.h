/* What a command works with: the folder, the device, the model; and how its answers are written. */
#ifndef REPRISE_CLI_SESSION_H
#define REPRISE_CLI_SESSION_H

#include "input.h"
#include "people.h"

typedef struct rp_cli_session {
    const rp_cli_options *options;
    char *dir; /* the model's folder */
    rp_device *device;
    rp_model *model;
    const rp_model_info *info;     /* NULL without a model */
    rp_tokenizer *own_tokenizer;   /* opened without a model */
    rp_index *index;               /* of --index; NULL: none */
    const rp_tokenizer *tokenizer; /* of the model, or own_tokenizer */
    size_t columns;                /* of a row of --format npy; 0: answers are written otherwise */
    void *own;                     /* what the command has opened besides; NULL: nothing */
    void (*close)(struct rp_cli_session *session); /* closes that; NULL: nothing to close */
} rp_cli_session;

/* One answer that is ready to be written. */
typedef struct rp_cli_answer {
    const rp_cli_session *session;
    const rp_cli_item *item;
    const rp_result *result; /* entry `index` is this answer */
    size_t index;
    const rp_encoding *encoding; /* instead of the result, for tokenize */
} rp_cli_answer;

/* One command. */
typedef struct rp_cli_command {
    const char *name, *arguments, *summary;
    const char *help; /* what it does, its JSON, examples */
    uint64_t options; /* bits of options.h */
    rp_cli_shape shape;
    const char *bundled; /* the bundled model that serves it; NULL: none does */
    /* Answer the inputs. NULL: it tokenizes, and needs no device. */
    rp_status (*run)(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                     rp_result **out, rp_error *err);
    void (*people)(const rp_cli_answer *answer, rp_cli_people *out);
    /* Open session->own once the model is open, and close it. NULL: there is none. */
    rp_status (*open)(rp_cli_session *session, rp_error *err);
    void (*close)(rp_cli_session *session);
    bool in_order; /* batches are answered one after another, and a terminal shows a prompt */
    /* The command that these options make of it; NULL after a message: wrong usage. NULL: always itself. */
    const struct rp_cli_command *(*choose)(const rp_cli_options *options);
    /* Commands without inputs (but for the arguments of pull) do all their work here, and return the exit
     * status. */
    int (*main)(const rp_cli_options *options, rp_cli_output *out);
} rp_cli_command;

/* All commands, in the order of --help; ends with NULL. */
extern const rp_cli_command *const rp_cli_commands[];

/* How `answer` is answered with these options (documents.c). */
const rp_cli_command *rp_cli_choose_answer(const rp_cli_options *options);

/* The one of this name, or NULL. */
const rp_cli_command *rp_cli_find_command(const char *name);

/* Open what `command` needs. On failure everything is closed. */
rp_status rp_cli_session_open(rp_cli_session *session, const rp_cli_command *command,
                              const rp_cli_options *options, rp_error *err);
void rp_cli_session_close(rp_cli_session *session);

/* Wait for what --verify-every recomputes and say what it found on standard error. False: something was
 * wrong.
 */
bool rp_cli_session_verified(const rp_cli_session *session, const char *command);

/* For rp_call.log: what the library has to say, each thing once. Called on any thread. */
void rp_cli_say_warning(void *unused, rp_log_level level, const char *message);

/* Open the device that `name` means: an index, a part of a name, or (NULL) the best one. */
rp_status rp_cli_device_open(const char *name, rp_device **out, rp_error *err);

/* Answer every input of `command`; the exit status. */
int rp_cli_answer_inputs(const rp_cli_command *command, const rp_cli_options *options, rp_cli_output *out);

/* The same with a session and a source that are open. `broken`: why nothing can be answered, or RP_OK. */
int rp_cli_answer_session(const rp_cli_command *command, const rp_cli_session *session,
                          const rp_error *broken, rp_cli_input *input, rp_cli_output *out);

/* Append a line: the answer `json` or, where members of the input are kept, an object of these with "answer"
 * and "truncated"; and the same of an item that failed, with "error". */
void rp_cli_keep_answer(const rp_cli_answer *answer, const char *json, size_t size, rp_cli_buffer *out);
void rp_cli_keep_failure(const rp_cli_item *item, const char *message, rp_cli_buffer *out);

/* The texts (and pairs) of items, as the library takes them. Freed by free. */
rp_input *rp_cli_inputs_of(const rp_cli_item *const *items, size_t count);
rp_text *rp_cli_texts_of(const rp_cli_item *const *items, size_t count);

/* Those that have a file of their own. */
extern const rp_cli_command rp_cli_command_classify, rp_cli_command_moderate, rp_cli_command_chat,
    rp_cli_command_eval, rp_cli_command_finetune, rp_cli_command_pretrain, rp_cli_command_convert,
    rp_cli_command_pull, rp_cli_command_devices, rp_cli_command_check, rp_cli_command_index,
    rp_cli_command_search, rp_cli_command_rank, rp_cli_command_score, rp_cli_command_summarize,
    rp_cli_command_serve;

/* What bench does: in reprise it starts reprise-bench, which has another. */
int rp_cli_bench(const rp_cli_options *options, rp_cli_output *out);

/* What serve does: it needs libmicrohttpd (tools/serve), and a build without says so (no_server.c). */
int rp_cli_serve(const rp_cli_options *options, rp_cli_output *out);

/* The writers. */
void rp_cli_json_tokens(const rp_cli_answer *answer, rp_cli_buffer *out);
void rp_cli_people_labels(const rp_cli_answer *answer, rp_cli_people *out);
void rp_cli_people_fills(const rp_cli_answer *answer, rp_cli_people *out);
void rp_cli_people_entities(const rp_cli_answer *answer, rp_cli_people *out);
void rp_cli_people_answers(const rp_cli_answer *answer, rp_cli_people *out);
void rp_cli_people_vectors(const rp_cli_answer *answer, rp_cli_people *out);
void rp_cli_people_order(const rp_cli_answer *answer, rp_cli_people *out);
void rp_cli_people_choices(const rp_cli_answer *answer, rp_cli_people *out);
void rp_cli_people_tokens(const rp_cli_answer *answer, rp_cli_people *out);

#endif
