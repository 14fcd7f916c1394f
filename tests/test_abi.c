/* The layout of the public structs and the values of the enums, as programs have been built with: a change
 * here breaks them. reprise.h says what may change and how. A new field takes the place of `reserved` words:
 * the size stays, and so does every other line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reprise/reprise.h"

typedef struct number {
    const char *what;
    size_t is, was;
} number;

#define STRUCT(type, size) \
    { "sizeof(" #type ")", sizeof(type), size }
#define FIELD(type, field, offset, size)                             \
    {#type "." #field, offsetof(type, field), offset}, {             \
        "sizeof " #type "." #field, sizeof(((type *)0)->field), size \
    }
#define VALUE(name, value) \
    { #name, (size_t)name, value }

/* On machines with pointers of 64 bits. */
static const number numbers[] = {
    STRUCT(rp_error, 512),
    FIELD(rp_error, status, 0, 4),
    FIELD(rp_error, message, 4, 508),
    STRUCT(rp_device_info, 800),
    FIELD(rp_device_info, index, 0, 4),
    FIELD(rp_device_info, name, 4, 256),
    FIELD(rp_device_info, driver, 260, 256),
    FIELD(rp_device_info, api_version, 516, 4),
    FIELD(rp_device_info, vendor_id, 520, 4),
    FIELD(rp_device_info, device_id, 524, 4),
    FIELD(rp_device_info, type, 528, 4),
    FIELD(rp_device_info, memory_bytes, 536, 8),
    FIELD(rp_device_info, max_storage_bytes, 544, 8),
    FIELD(rp_device_info, shared_bytes, 552, 4),
    FIELD(rp_device_info, max_invocations, 556, 4),
    FIELD(rp_device_info, subgroup_size, 560, 4),
    FIELD(rp_device_info, subgroup_broadcast, 564, 1),
    FIELD(rp_device_info, subgroup_arithmetic, 565, 1),
    FIELD(rp_device_info, fp16_arithmetic, 566, 1),
    FIELD(rp_device_info, fp16_storage, 567, 1),
    FIELD(rp_device_info, int8_dot, 568, 1),
    FIELD(rp_device_info, cooperative_matrix, 569, 1),
    FIELD(rp_device_info, timestamps, 570, 1),
    FIELD(rp_device_info, usable, 571, 1),
    FIELD(rp_device_info, reason, 572, 160),
    FIELD(rp_device_info, reserved, 736, 64),
    STRUCT(rp_device_params, 88),
    FIELD(rp_device_params, index, 0, 4),
    FIELD(rp_device_params, name, 8, 8),
    FIELD(rp_device_params, cache_dir, 16, 8),
    FIELD(rp_device_params, shader_dir, 24, 8),
    FIELD(rp_device_params, on_tuning, 32, 8),
    FIELD(rp_device_params, try_program, 40, 8),
    FIELD(rp_device_params, call, 48, 8),
    FIELD(rp_device_params, trials, 56, 4),
    FIELD(rp_device_params, reserved, 64, 24),
    VALUE(RP_TRIALS_DEFAULT, 0),
    VALUE(RP_TRIALS_WITHIN, 1),
    VALUE(RP_TRIALS_APART, 2),
    STRUCT(rp_tuning_handler, 16),
    FIELD(rp_tuning_handler, take, 0, 8),
    FIELD(rp_tuning_handler, user, 8, 8),
    STRUCT(rp_call, 72),
    FIELD(rp_call, deadline, 0, 8),
    FIELD(rp_call, progress, 8, 8),
    FIELD(rp_call, log, 16, 8),
    FIELD(rp_call, user, 24, 8),
    FIELD(rp_call, cancel, 32, 4),
    FIELD(rp_call, reserved, 40, 32),
    VALUE(RP_LOG_NOTE, 0),
    VALUE(RP_LOG_WARNING, 1),
    STRUCT(rp_text, 16),
    FIELD(rp_text, data, 0, 8),
    FIELD(rp_text, size, 8, 8),
    STRUCT(rp_span, 8),
    FIELD(rp_span, start, 0, 4),
    FIELD(rp_span, end, 4, 4),
    STRUCT(rp_record, 56),
    FIELD(rp_record, name, 0, 8),
    FIELD(rp_record, memory, 8, 8),
    FIELD(rp_record, size, 16, 8),
    FIELD(rp_record, offset, 24, 8),
    FIELD(rp_record, descriptor, 32, 4),
    FIELD(rp_record, flags, 36, 4),
    FIELD(rp_record, reserved, 40, 16),
    STRUCT(rp_tokenize_params, 48),
    FIELD(rp_tokenize_params, no_special_tokens, 0, 1),
    FIELD(rp_tokenize_params, max_tokens, 4, 4),
    FIELD(rp_tokenize_params, truncation, 8, 4),
    FIELD(rp_tokenize_params, reserved, 16, 32),
    STRUCT(rp_encoding, 72),
    FIELD(rp_encoding, count, 0, 8),
    FIELD(rp_encoding, ids, 8, 8),
    FIELD(rp_encoding, type_ids, 16, 8),
    FIELD(rp_encoding, offsets, 24, 8),
    FIELD(rp_encoding, sequence, 32, 8),
    FIELD(rp_encoding, words, 40, 8),
    FIELD(rp_encoding, truncated, 48, 1),
    FIELD(rp_encoding, left_out, 52, 4),
    FIELD(rp_encoding, reserved, 56, 16),
    STRUCT(rp_special_ids, 20),
    FIELD(rp_special_ids, cls, 0, 4),
    FIELD(rp_special_ids, sep, 4, 4),
    FIELD(rp_special_ids, mask, 8, 4),
    FIELD(rp_special_ids, pad, 12, 4),
    FIELD(rp_special_ids, unk, 16, 4),
    STRUCT(rp_model_params, 80),
    FIELD(rp_model_params, max_batch_tokens, 0, 4),
    FIELD(rp_model_params, random_seed, 4, 4),
    FIELD(rp_model_params, random_groups, 8, 4),
    FIELD(rp_model_params, precision, 12, 4),
    FIELD(rp_model_params, verify_every, 16, 4),
    FIELD(rp_model_params, verify_all, 20, 1),
    FIELD(rp_model_params, on_mismatch, 24, 8),
    FIELD(rp_model_params, head, 32, 4),
    FIELD(rp_model_params, call, 40, 8),
    FIELD(rp_model_params, reserved, 48, 32),
    STRUCT(rp_mismatch_handler, 16),
    FIELD(rp_mismatch_handler, take, 0, 8),
    FIELD(rp_mismatch_handler, user, 8, 8),
    STRUCT(rp_mismatch, 32),
    FIELD(rp_mismatch, number, 0, 8),
    FIELD(rp_mismatch, output, 8, 4),
    FIELD(rp_mismatch, tokens, 12, 4),
    FIELD(rp_mismatch, error, 16, 8),
    FIELD(rp_mismatch, bound, 24, 8),
    STRUCT(rp_verify_counts, 64),
    FIELD(rp_verify_counts, checked, 0, 8),
    FIELD(rp_verify_counts, wrong, 8, 8),
    FIELD(rp_verify_counts, dropped, 16, 8),
    FIELD(rp_verify_counts, worst, 24, 8),
    FIELD(rp_verify_counts, reserved, 32, 32),
    STRUCT(rp_check_params, 64),
    FIELD(rp_check_params, compile_only, 0, 1),
    FIELD(rp_check_params, config, 8, 8),
    FIELD(rp_check_params, only, 16, 8),
    FIELD(rp_check_params, threads, 24, 4),
    FIELD(rp_check_params, reserved, 32, 32),
    STRUCT(rp_check_result, 624),
    FIELD(rp_check_result, op, 0, 8),
    FIELD(rp_check_result, kernel, 8, 96),
    FIELD(rp_check_result, use, 104, 96),
    FIELD(rp_check_result, error, 200, 8),
    FIELD(rp_check_result, bound, 208, 8),
    FIELD(rp_check_result, verdict, 216, 4),
    FIELD(rp_check_result, statistics, 220, 400),
    VALUE(RP_CHECK_RIGHT, 0),
    VALUE(RP_CHECK_WRONG, 1),
    VALUE(RP_CHECK_REFUSED, 2),
    VALUE(RP_CHECK_SPILLS, 3),
    VALUE(RP_CHECK_LOSES, 4),
    VALUE(RP_CHECK_ENDS, 5),

    STRUCT(rp_convert_params, 56),
    FIELD(rp_convert_params, dtype, 0, 4),
    FIELD(rp_convert_params, overwrite, 4, 1),
    FIELD(rp_convert_params, head, 8, 4),
    FIELD(rp_convert_params, handler, 16, 8),
    FIELD(rp_convert_params, reserved, 24, 32),
    STRUCT(rp_convert_handler, 24),
    FIELD(rp_convert_handler, note, 0, 8),
    FIELD(rp_convert_handler, progress, 8, 8),
    FIELD(rp_convert_handler, user, 16, 8),
#include "abi_train.def"
#include "abi_documents.def"
#include "abi_queue.def"
    VALUE(RP_CONVERT_AS_IS, 0),
    VALUE(RP_CONVERT_F32, 1),
    VALUE(RP_CONVERT_F16, 2),
    STRUCT(rp_model_info, 104),
    FIELD(rp_model_info, dir, 0, 8),
    FIELD(rp_model_info, architecture, 8, 8),
    FIELD(rp_model_info, vocab_size, 16, 4),
    FIELD(rp_model_info, embedding_size, 20, 4),
    FIELD(rp_model_info, hidden_size, 24, 4),
    FIELD(rp_model_info, intermediate_size, 28, 4),
    FIELD(rp_model_info, layers, 32, 4),
    FIELD(rp_model_info, groups, 36, 4),
    FIELD(rp_model_info, inner_layers, 40, 4),
    FIELD(rp_model_info, heads_of_attention, 44, 4),
    FIELD(rp_model_info, max_tokens, 48, 4),
    FIELD(rp_model_info, max_batch_tokens, 52, 4),
    FIELD(rp_model_info, parameters, 56, 8),
    FIELD(rp_model_info, device_bytes, 64, 8),
    FIELD(rp_model_info, precision, 72, 4),
    FIELD(rp_model_info, heads, 76, 4),
    FIELD(rp_model_info, problem, 80, 4),
    FIELD(rp_model_info, label_count, 84, 4),
    FIELD(rp_model_info, labels, 88, 8),
    FIELD(rp_model_info, label_bare, 96, 8),
    STRUCT(rp_sequence, 24),
    FIELD(rp_sequence, ids, 0, 8),
    FIELD(rp_sequence, type_ids, 8, 8),
    FIELD(rp_sequence, count, 16, 4),
    STRUCT(rp_row, 8),
    FIELD(rp_row, sequence, 0, 4),
    FIELD(rp_row, token, 4, 4),
    STRUCT(rp_run_params, 56),
    FIELD(rp_run_params, output, 0, 4),
    FIELD(rp_run_params, rows, 8, 8),
    FIELD(rp_run_params, row_count, 16, 8),
    FIELD(rp_run_params, call, 24, 8),
    FIELD(rp_run_params, patience, 32, 4),
    FIELD(rp_run_params, layers, 40, 8),
    FIELD(rp_run_params, reserved, 48, 8),
    STRUCT(rp_run_times, 40),
    FIELD(rp_run_times, host, 0, 8),
    FIELD(rp_run_times, device, 8, 8),
    FIELD(rp_run_times, submissions, 16, 4),
    FIELD(rp_run_times, reserved, 24, 16),
    STRUCT(rp_input, 32),
    FIELD(rp_input, text, 0, 16),
    FIELD(rp_input, pair, 16, 16),
    STRUCT(rp_json_params, 40),
    FIELD(rp_json_params, offsets, 0, 4),
    FIELD(rp_json_params, reserved, 8, 32),
    STRUCT(rp_classify_params, 48),
    FIELD(rp_classify_params, top_k, 0, 4),
    FIELD(rp_classify_params, call, 8, 8),
    FIELD(rp_classify_params, long_texts, 16, 4),
    FIELD(rp_classify_params, stride, 20, 4),
    FIELD(rp_classify_params, explain, 24, 1),
    FIELD(rp_classify_params, most_parts, 28, 4),
    FIELD(rp_classify_params, patience, 32, 4),
    FIELD(rp_classify_params, reserved, 40, 8),
    STRUCT(rp_word, 24),
    FIELD(rp_word, word, 0, 8),
    FIELD(rp_word, span, 8, 8),
    FIELD(rp_word, weight, 16, 4),
    STRUCT(rp_zero_shot_params, 72),
    FIELD(rp_zero_shot_params, labels, 0, 8),
    FIELD(rp_zero_shot_params, label_count, 8, 8),
    FIELD(rp_zero_shot_params, hypothesis, 16, 8),
    FIELD(rp_zero_shot_params, multi_label, 24, 1),
    FIELD(rp_zero_shot_params, top_k, 28, 4),
    FIELD(rp_zero_shot_params, call, 32, 8),
    FIELD(rp_zero_shot_params, reserved, 40, 32),
    VALUE(RP_LONG_CUT, 0),
    VALUE(RP_LONG_MEAN, 1),
    VALUE(RP_LONG_MAX, 2),
    VALUE(RP_LONG_VOTE, 3),
    STRUCT(rp_label, 16),
    FIELD(rp_label, label, 0, 8),
    FIELD(rp_label, index, 8, 4),
    FIELD(rp_label, score, 12, 4),
    STRUCT(rp_fill_params, 40),
    FIELD(rp_fill_params, top_k, 0, 4),
    FIELD(rp_fill_params, call, 8, 8),
    FIELD(rp_fill_params, reserved, 16, 24),
    STRUCT(rp_fill, 24),
    FIELD(rp_fill, score, 0, 4),
    FIELD(rp_fill, token, 4, 4),
    FIELD(rp_fill, piece, 8, 8),
    FIELD(rp_fill, sequence, 16, 8),
    STRUCT(rp_tag_params, 40),
    FIELD(rp_tag_params, aggregation, 0, 4),
    FIELD(rp_tag_params, stride, 4, 4),
    FIELD(rp_tag_params, call, 8, 8),
    FIELD(rp_tag_params, cut, 16, 1),
    FIELD(rp_tag_params, outside, 17, 1),
    FIELD(rp_tag_params, reserved, 24, 16),
    STRUCT(rp_entity, 32),
    FIELD(rp_entity, label, 0, 8),
    FIELD(rp_entity, score, 8, 4),
    FIELD(rp_entity, index, 12, 4),
    FIELD(rp_entity, word, 16, 8),
    FIELD(rp_entity, span, 24, 8),
    STRUCT(rp_question, 32),
    FIELD(rp_question, question, 0, 16),
    FIELD(rp_question, context, 16, 16),
    STRUCT(rp_answer_params, 56),
    FIELD(rp_answer_params, top_k, 0, 4),
    FIELD(rp_answer_params, max_tokens, 4, 4),
    FIELD(rp_answer_params, stride, 8, 4),
    FIELD(rp_answer_params, max_question_tokens, 12, 4),
    FIELD(rp_answer_params, max_answer_tokens, 16, 4),
    FIELD(rp_answer_params, allow_no_answer, 20, 1),
    FIELD(rp_answer_params, call, 24, 8),
    FIELD(rp_answer_params, reserved, 32, 24),
    STRUCT(rp_answer, 24),
    FIELD(rp_answer, score, 0, 4),
    FIELD(rp_answer, span, 4, 8),
    FIELD(rp_answer, text, 16, 8),
    STRUCT(rp_embed_params, 72),
    FIELD(rp_embed_params, pooling, 0, 4),
    FIELD(rp_embed_params, normalize, 4, 4),
    FIELD(rp_embed_params, prompt_name, 8, 8),
    FIELD(rp_embed_params, prompt, 16, 8),
    FIELD(rp_embed_params, dimensions, 24, 4),
    FIELD(rp_embed_params, call, 32, 8),
    FIELD(rp_embed_params, reserved, 40, 32),
    STRUCT(rp_coherence_params, 40),
    FIELD(rp_coherence_params, call, 0, 8),
    FIELD(rp_coherence_params, reserved, 8, 32),
    STRUCT(rp_choose_params, 40),
    FIELD(rp_choose_params, call, 0, 8),
    FIELD(rp_choose_params, reserved, 8, 32),
    STRUCT(rp_choice, 32),
    FIELD(rp_choice, text, 0, 16),
    FIELD(rp_choice, choices, 16, 8),
    FIELD(rp_choice, choice_count, 24, 8),
    STRUCT(rp_score_params, 40),
    FIELD(rp_score_params, call, 0, 8),
    FIELD(rp_score_params, reserved, 8, 32),
    STRUCT(rp_summarize_params, 48),
    FIELD(rp_summarize_params, call, 8, 8),
    FIELD(rp_summarize_params, reserved, 16, 32),
    STRUCT(rp_sentence, 24),
    STRUCT(rp_hypothesis, 64),
    STRUCT(rp_nbest_tuning, 88),
    STRUCT(rp_eval_params, 168),
    FIELD(rp_eval_params, task, 0, 4),
    FIELD(rp_eval_params, skip_bad, 4, 1),
    FIELD(rp_eval_params, max_tokens, 8, 4),
    FIELD(rp_eval_params, stride, 12, 4),
    FIELD(rp_eval_params, max_answer_tokens, 16, 4),
    FIELD(rp_eval_params, format, 24, 8),
    FIELD(rp_eval_params, text_column, 32, 8),
    FIELD(rp_eval_params, pair_column, 40, 8),
    FIELD(rp_eval_params, label_column, 48, 8),
    FIELD(rp_eval_params, glue, 56, 8),
    FIELD(rp_eval_params, predictions, 64, 8),
    FIELD(rp_eval_params, call, 72, 8),
    FIELD(rp_eval_params, calibrate, 80, 8),
    FIELD(rp_eval_params, target_precision, 88, 8),
    FIELD(rp_eval_params, target_recall, 96, 8),
    FIELD(rp_eval_params, reserved, 104, 64),
    STRUCT(rp_threshold, 80),
    FIELD(rp_threshold, label, 0, 8),
    FIELD(rp_threshold, threshold, 8, 8),
    FIELD(rp_threshold, precision, 16, 8),
    FIELD(rp_threshold, recall, 24, 8),
    FIELD(rp_threshold, support, 32, 8),
    FIELD(rp_threshold, reached, 40, 1),
    FIELD(rp_threshold, reserved, 48, 32),
    STRUCT(rp_moderation_params, 48),
    FIELD(rp_moderation_params, thresholds, 0, 8),
    FIELD(rp_moderation_params, policy, 8, 8),
    FIELD(rp_moderation_params, reserved, 16, 32),
    STRUCT(rp_moderate_params, 48),
    FIELD(rp_moderate_params, normalize, 0, 1),
    FIELD(rp_moderate_params, no_spans, 1, 1),
    FIELD(rp_moderate_params, call, 8, 8),
    FIELD(rp_moderate_params, reserved, 16, 32),
    STRUCT(rp_moderated, 40),
    FIELD(rp_moderated, label, 0, 8),
    FIELD(rp_moderated, index, 8, 4),
    FIELD(rp_moderated, score, 12, 4),
    FIELD(rp_moderated, threshold, 16, 4),
    FIELD(rp_moderated, flagged, 20, 1),
    FIELD(rp_moderated, spans, 24, 8),
    FIELD(rp_moderated, span_count, 32, 8),
    STRUCT(rp_verdict, 32),
    FIELD(rp_verdict, flagged, 0, 1),
    FIELD(rp_verdict, action, 8, 8),
    FIELD(rp_verdict, labels, 16, 8),
    FIELD(rp_verdict, label_count, 24, 8),
    STRUCT(rp_entity_metrics, 72),
    FIELD(rp_entity_metrics, type, 0, 8),
    FIELD(rp_entity_metrics, precision, 8, 8),
    FIELD(rp_entity_metrics, recall, 16, 8),
    FIELD(rp_entity_metrics, f1, 24, 8),
    FIELD(rp_entity_metrics, support, 32, 8),
    FIELD(rp_entity_metrics, reserved, 40, 32),
    STRUCT(rp_metric, 16),
    FIELD(rp_metric, name, 0, 8),
    FIELD(rp_metric, value, 8, 8),
    VALUE(RP_EVAL_BY_MODEL, 0),
    VALUE(RP_EVAL_CLASSIFY, 1),
    VALUE(RP_EVAL_MULTILABEL, 2),
    VALUE(RP_EVAL_REGRESS, 3),
    VALUE(RP_EVAL_TAG, 4),
    VALUE(RP_EVAL_ANSWER, 5),
    VALUE(RP_EVAL_CHOOSE, 6),
    VALUE(RP_EVAL_ORDER, 7),
    VALUE(RP_EVAL_MLM, 8),
    VALUE(RP_EVAL_EMBED, 9),
    STRUCT(rp_pull_progress, 48),
    FIELD(rp_pull_progress, file, 0, 8),
    FIELD(rp_pull_progress, index, 8, 4),
    FIELD(rp_pull_progress, count, 12, 4),
    FIELD(rp_pull_progress, done, 16, 8),
    FIELD(rp_pull_progress, size, 24, 8),
    FIELD(rp_pull_progress, all_done, 32, 8),
    FIELD(rp_pull_progress, all, 40, 8),
    STRUCT(rp_pull_handler, 16),
    FIELD(rp_pull_handler, take, 0, 8),
    FIELD(rp_pull_handler, user, 8, 8),
    STRUCT(rp_pull_params, 88),
    FIELD(rp_pull_params, endpoint, 0, 8),
    FIELD(rp_pull_params, cache_dir, 8, 8),
    FIELD(rp_pull_params, revision, 16, 8),
    FIELD(rp_pull_params, token, 24, 8),
    FIELD(rp_pull_params, output, 32, 8),
    FIELD(rp_pull_params, on_progress, 40, 8),
    FIELD(rp_pull_params, offline, 48, 1),
    FIELD(rp_pull_params, reserved, 56, 32),
    VALUE(RP_OK, 0),
    VALUE(RP_ERROR_ARGUMENT, 1),
    VALUE(RP_ERROR_FILE, 2),
    VALUE(RP_ERROR_FORMAT, 3),
    VALUE(RP_ERROR_UNSUPPORTED, 4),
    VALUE(RP_ERROR_TEXT, 5),
    VALUE(RP_ERROR_HEAD, 6),
    VALUE(RP_ERROR_DEVICE, 7),
    VALUE(RP_ERROR_DEVICE_LOST, 8),
    VALUE(RP_ERROR_HOST_MEMORY, 9),
    VALUE(RP_ERROR_DEVICE_MEMORY, 10),
    VALUE(RP_ERROR_STOPPED, 11),
    VALUE(RP_ERROR_NETWORK, 12),
    VALUE(RP_ERROR_CANCELLED, 13),
    VALUE(RP_ERROR_DEADLINE, 14),
    VALUE(RP_ERROR_BUSY, 15),
    VALUE(RP_DEVICE_OTHER, 0),
    VALUE(RP_DEVICE_INTEGRATED, 1),
    VALUE(RP_DEVICE_DISCRETE, 2),
    VALUE(RP_DEVICE_VIRTUAL, 3),
    VALUE(RP_DEVICE_CPU, 4),
    VALUE(RP_TRUNCATE_LONGEST, 0),
    VALUE(RP_TRUNCATE_NONE, 1),
    VALUE(RP_PRECISION_DEFAULT, 0),
    VALUE(RP_PRECISION_F32, 1),
    VALUE(RP_PRECISION_F16, 2),
    VALUE(RP_PRECISION_INT8, 3),
    VALUE(RP_PRECISION_INT4, 4),
    VALUE(RP_HEAD_POOLER, 1),
    VALUE(RP_HEAD_CLASSIFIER, 2),
    VALUE(RP_HEAD_TOKENS, 4),
    VALUE(RP_HEAD_SPANS, 8),
    VALUE(RP_HEAD_CHOICE, 16),
    VALUE(RP_HEAD_MASKED_LM, 32),
    VALUE(RP_HEAD_ORDER, 64),
    VALUE(RP_PROBLEM_SINGLE_LABEL, 0),
    VALUE(RP_PROBLEM_MULTI_LABEL, 1),
    VALUE(RP_PROBLEM_REGRESSION, 2),
    VALUE(RP_OUTPUT_HIDDEN, 0),
    VALUE(RP_OUTPUT_MEAN, 1),
    VALUE(RP_OUTPUT_CLS, 2),
    VALUE(RP_OUTPUT_MAX, 3),
    VALUE(RP_OUTPUT_POOLED, 4),
    VALUE(RP_OUTPUT_CLASSES, 5),
    VALUE(RP_OUTPUT_TOKENS, 6),
    VALUE(RP_OUTPUT_SPANS, 7),
    VALUE(RP_OUTPUT_CHOICE, 8),
    VALUE(RP_OUTPUT_MASKED_LM, 9),
    VALUE(RP_OUTPUT_ORDER, 10),
    VALUE(RP_OFFSETS_POINTS, 0),
    VALUE(RP_OFFSETS_BYTES, 1),
    VALUE(RP_OFFSETS_UTF16, 2),
    VALUE(RP_AGGREGATE_SIMPLE, 0),
    VALUE(RP_AGGREGATE_NONE, 1),
    VALUE(RP_AGGREGATE_FIRST, 2),
    VALUE(RP_AGGREGATE_AVERAGE, 3),
    VALUE(RP_AGGREGATE_MAX, 4),
    VALUE(RP_POOLING_DEFAULT, 0),
    VALUE(RP_POOLING_MEAN, 1),
    VALUE(RP_POOLING_CLS, 2),
    VALUE(RP_POOLING_MAX, 3),
    VALUE(RP_POOLING_NONE, 4),
    VALUE(RP_NORMALIZE_DEFAULT, 0),
    VALUE(RP_NORMALIZE_YES, 1),
    VALUE(RP_NORMALIZE_NO, 2),
};

static void test_layout(void **state) {
    (void)state;
    int changed = 0;
    if (sizeof(void *) != 8) skip();
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (numbers[i].is == numbers[i].was) continue;
        fprintf(stderr, "%s is %zu, was %zu\n", numbers[i].what, numbers[i].is, numbers[i].was);
        changed++;
    }
    assert_int_equal(changed, 0);
}

/* ---- what a library does with fields that it does not know ---- */

static void refused_as(const char *field, rp_status status, const rp_error *err) {
    assert_int_equal(status, RP_ERROR_ARGUMENT);
    assert_non_null(strstr(err->message, field));
}

static void refused(rp_status status, const rp_error *err) {
    refused_as("params.reserved", status, err);
}

/* A reserved array of four words, or of three or two, where later cases repeat the last. */
#define WORD(i) \
    { (i) == 0, (i) == 1, (i) == 2, (uint64_t)((i) == 3) << 63 }
#define WORD3(i) \
    { (i) == 0, (i) == 1, (uint64_t)((i) > 1) << 63 }
#define WORD2(i) \
    { (i) == 0, (uint64_t)((i) > 0) << 63 }

/* Each of the words alone. */
static void test_unknown_fields_are_refused(void **state) {
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_result *result = (rp_result *)&device;
    rp_encoding encoding;
    rp_error err;
    rp_input input = {.text = {"a", 1}};
    (void)state;
    const char *sentiment = SOURCE_DIR "/tools/models/sentiment";
    assert_int_equal(rp_device_open(NULL, &device, &err), RP_OK);
    assert_int_equal(rp_model_open(device, sentiment, NULL, &model, &err), RP_OK);
    for (int i = 0; i < 4; i++) {
        rp_device_params open = {.reserved = WORD3(i)};
        rp_device *other = device;
        refused(rp_device_open(&open, &other, &err), &err);
        assert_null(other);
        rp_model_params load = {.reserved = WORD(i)};
        rp_model *none = model;
        refused(rp_model_open(device, sentiment, &load, &none, &err), &err);
        assert_null(none);
        rp_check_params check = {.reserved = WORD(i)};
        refused(rp_check_kernels(device, &check, NULL, NULL, NULL, &err), &err);
        rp_convert_params convert = {.reserved = WORD(i)};
        refused(rp_convert(sentiment, "no-folder", &convert, &err), &err);
        rp_trainer_params train = {.reserved = WORD(i)};
        rp_trainer *trainer = NULL;
        refused(rp_trainer_open(device, sentiment, &train, &trainer, &err), &err);
        assert_null(trainer);
        rp_finetune_params teach = {
            .model = sentiment, .train = "no-file", .out = "no-folder", .reserved = WORD(i)};
        refused(rp_finetune(device, &teach, &err), &err);
        rp_classify_params classify = {.reserved = {i + 1}};
        refused(rp_classify(model, &input, 1, &classify, &result, &err), &err);
        assert_null(result);
        rp_zero_shot_params zero_shot = {
            .labels = (const char *const[]){"a"}, .label_count = 1, .reserved = WORD(i)};
        refused(rp_zero_shot(model, &input.text, 1, &zero_shot, &result, &err), &err);
        assert_null(result);
        rp_embed_params embed = {.reserved = WORD(i)};
        refused(rp_embed(model, &input.text, 1, &embed, &result, &err), &err);
        rp_fill_params fill = {.reserved = WORD3(i)}; /* it has no such heads, which comes later */
        refused(rp_fill_mask(model, &input.text, 1, &fill, &result, &err), &err);
        rp_tag_params tag = {.reserved = WORD2(i)};
        refused(rp_tag(model, &input.text, 1, &tag, &result, &err), &err);
        rp_question question = {input.text, input.text};
        rp_answer_params answer = {.reserved = WORD3(i)};
        refused(rp_answer_questions(model, &question, 1, &answer, &result, &err), &err);
        rp_coherence_params coherence = {.reserved = WORD(i)};
        refused(rp_coherence(model, &input, 1, &coherence, &result, &err), &err);
        rp_choose_params choose = {.reserved = WORD(i)};
        refused(rp_choose(model, &(rp_choice){input.text, &input.text, 1}, 1, &choose, &result, &err), &err);
        rp_moderation_params rules = {.reserved = WORD(i)};
        rp_moderation *moderation = NULL;
        refused(rp_moderation_open(model, &rules, &moderation, &err), &err);
        assert_null(moderation);
        assert_int_equal(rp_moderation_open(model, NULL, &moderation, &err), RP_OK);
        rp_moderate_params moderate = {.reserved = WORD(i)};
        refused(rp_moderate(moderation, &input.text, 1, &moderate, &result, &err), &err);
        rp_moderation_close(&moderation);
        rp_eval_params eval = {.reserved = WORD(i)};
        rp_evaluation *evaluation = (rp_evaluation *)&device;
        refused(rp_eval(model, "no-file", &eval, &evaluation, &err), &err);
        assert_null(evaluation);
        rp_call call = {.reserved = WORD(i)};
        rp_classify_params called = {.call = &call};
        refused_as("call.reserved", rp_classify(model, &input, 1, &called, &result, &err), &err);
        rp_tokenize_params tokenize = {.reserved = WORD(i)};
        refused(
            rp_tokenize(rp_model_get_tokenizer(model), input.text, input.pair, &tokenize, &encoding, &err),
            &err);
        rp_run_params run = {.reserved = {i + 1}};
        refused(rp_model_run(model, NULL, 0, &run, NULL, 0, NULL, &err), &err);
    }
    rp_model_close(&model);
    rp_device_close(&device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_unknown_fields_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
