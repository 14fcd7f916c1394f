/* Reprise: ALBERT on every GPU, through Vulkan compute. This header brings the whole API.
 *
 *     rp_device *device = NULL;
 *     rp_model *model = NULL;
 *     rp_result *result = NULL;
 *     rp_error err;
 *     rp_input input = {.text = RP_TEXT("a warm and funny film")};
 *     if (rp_device_open(NULL, &device, &err) || rp_model_open(device, "sentiment", NULL, &model, &err) ||
 *         rp_classify(model, &input, 1, NULL, &result, &err))
 *         fprintf(stderr, "%s\n", err.message);
 *
 * Binary compatibility. Until 1.0 the soname carries MAJOR.MINOR (libreprise.so.0.2), from then on MAJOR.
 * Within one soname a program runs with any later library, because
 * - functions are only added, with the types and meaning they have;
 * - a params struct keeps its size. A new field takes the place of `reserved` words, and its zero value is
 * what the library did before: zero the whole struct (`= {0}`, designated initializers), and it means the
 * same to every version. A library that does not know a field that is set returns RP_ERROR_ARGUMENT;
 * - rp_call keeps its size likewise, since programs make it;
 * - a struct that the library fills for the caller (rp_device_info, rp_run_times, rp_encoding,
 *   rp_verify_counts) keeps its size too; new fields take the place of `reserved`, which older libraries set
 *   to zero;
 * - rp_model_info, rp_mismatch, rp_pull_progress and rp_check_result, which only the library makes and hands
 * out by pointer, may grow at their ends: use them where they are, and copy what you need of them, field by
 * field;
 * - every other struct stays as it is, since arrays of them are passed, or they are returned by value
 *   (rp_special_ids), or are in others: what is new comes through new functions;
 * - enums get new values at their end: take one you do not know for "other".
 */
#ifndef REPRISE_H
#define REPRISE_H

#include "status.h"
#include "call.h"
#include "device.h"
#include "records.h"
#include "tokenizer.h"
#include "check.h"
#include "convert.h"
#include "model.h"
#include "tasks.h"
#include "queue.h"
#include "score.h"
#include "summarize.h"
#include "eval.h"
#include "search.h"
#include "moderate.h"
#include "pull.h"
#include "world.h"
#include "train.h"
#include "finetune.h"
#include "pretrain.h"
#include "documents.h"
#include "chat.h"

#endif
