#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "session.h"
#include "stop.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* The model that is named, or the one that comes along for this command: it alone, whatever folder of that
 * name is here. */
static rp_status find_model(rp_cli_session *session, const rp_cli_command *command, rp_error *err) {
    char bundled[64];
    snprintf(bundled, sizeof bundled, "bundled:%s", command->bundled ? command->bundled : "");
    const char *named = session->options->model;
    return rp_find_model(named ? named : bundled, &session->dir, err);
}

/* A first start on a device takes seconds: say why, to whoever sits there. */
static void say_tuning(void *said, const char *op) {
    (void)op;
    if (!*(bool *)said) fputs("Measuring the kernels of this device, once ...\n", stderr);
    *(bool *)said = true;
}

void rp_cli_say_warning(void *unused, rp_log_level level, const char *message) {
    enum { MOST = 32 };
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t said[MOST]; /* hashes, FNV-1a */
    static size_t count;
    uint64_t hash = 0xcbf29ce484222325;
    size_t i = 0;
    (void)unused;
    if (level < RP_LOG_WARNING) return;
    for (const char *at = message; *at; at++) hash = (hash ^ (unsigned char)*at) * 0x100000001b3;
    pthread_mutex_lock(&lock);
    while (i < count && said[i] != hash) i++;
    bool new = i == count &&count < MOST;
    if (new) said[count++] = hash;
    pthread_mutex_unlock(&lock);
    if (!new) return;
    rp_cli_progress_end();
    rp_cli_complain("%s", message);
}

rp_status rp_cli_device_open(const char *name, rp_device **out, rp_error *err) {
    static bool said;
    static const rp_tuning_handler handler = {say_tuning, &said};
    static const rp_call call = {.log = rp_cli_say_warning};
    rp_device_params params = {.on_tuning = isatty(STDERR_FILENO) ? &handler : NULL, .call = &call};
    /* One or two digits are an index; more are part of a name, such as "3060". */
    size_t digits = name ? strspn(name, "0123456789") : 0;
    if (name && digits && digits <= 2 && !name[digits])
        params.index = 1 + (uint32_t)strtoul(name, NULL, 10);
    else
        params.name = name;
    return rp_device_open(&params, out, err);
}

/* Ask a command that has a model for nothing: it fails at once when the model has no such head. */
static rp_status check_head(rp_cli_session *session, const rp_cli_command *command, rp_error *err) {
    rp_result *nothing = NULL;
    rp_status status = command->run(session, NULL, 0, &nothing, err);
    rp_result_free(&nothing);
    return status == RP_ERROR_HEAD || status == RP_ERROR_UNSUPPORTED ? status : RP_OK;
}

/* The index, and whether this model made it: nothing is searched for that. */
static rp_status open_index(rp_cli_session *session, rp_error *err) {
    rp_result *nothing = NULL;
    rp_cli_stop_device(session->device);
    rp_status status =
        rp_index_open(session->device, session->options->index_file, NULL, &session->index, err);
    rp_cli_stop_device(NULL);
    if (!status) status = rp_search(session->index, session->model, NULL, 0, NULL, &nothing, err);
    rp_result_free(&nothing);
    return status;
}

rp_status rp_cli_session_open(rp_cli_session *session, const rp_cli_command *command,
                              const rp_cli_options *options, rp_error *err) {
    *session = (rp_cli_session){.options = options};
    rp_status status = find_model(session, command, err);
    if (status) goto done;
    if (!command->run) {
        status = rp_tokenizer_open(session->dir, &session->own_tokenizer, err);
        session->tokenizer = session->own_tokenizer;
        goto done;
    }
    status = rp_cli_device_open(options->device, &session->device, err);
    if (status) goto done;
    rp_model_params params = {.precision = options->precision,
                              .head = options->head,
                              .verify_every = options->verify_every,
                              .verify_all = true};
    rp_cli_stop_device(session->device);
    status = rp_model_open(session->device, session->dir, &params, &session->model, err);
    rp_cli_stop_device(NULL);
    if (status) goto done;
    session->info = rp_model_get_info(session->model);
    session->tokenizer = rp_model_get_tokenizer(session->model);
    if (options->index_file) status = open_index(session, err);
    if (!status) status = check_head(session, command, err);
    if (!status && command->open) {
        session->close = command->close;
        status = command->open(session, err);
    }
done:
    if (status) {
        rp_cli_session_close(session);
        session->options = options;
    }
    return status;
}

bool rp_cli_session_verified(const rp_cli_session *session, const char *command) {
    rp_verify_counts counts;
    if (!session->options || !session->options->verify_every) return true;
    rp_model_verify_counts(session->model, true, &counts);
    rp_cli_complain("%s: %llu sequence%s recomputed in plain C, %llu left out", command,
                    (unsigned long long)counts.checked, counts.checked == 1 ? "" : "s",
                    (unsigned long long)counts.dropped);
    if (!counts.wrong) return true;
    rp_cli_complain("%s: %llu of %llu recomputed sequences differ from what the device gave, by up to %.2g; "
                    "do not trust these answers: try 'reprise check', update the driver, or choose another "
                    "device",
                    command, (unsigned long long)counts.wrong, (unsigned long long)counts.checked,
                    counts.worst);
    return false;
}

void rp_cli_session_close(rp_cli_session *session) {
    if (session->close) session->close(session);
    rp_index_close(&session->index);
    rp_model_close(&session->model);
    rp_device_close(&session->device);
    rp_tokenizer_close(&session->own_tokenizer);
    rp_string_free(&session->dir);
    *session = (rp_cli_session){0};
}
