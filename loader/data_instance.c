/* Instances of pre-training, as an object a line. */
#include "loader/data_parts.h"

/* The list `key` of whole numbers from `least` on; `*out` NULL where it is missing and `missing` allows
 * that. */
static rp_status numbers_of(rp_data *d, const rp_json *root, const char *key, int64_t least, bool missing,
                            const int32_t **out, uint32_t *count, rp_error *err) {
    const rp_json *list = rp_json_get(root, key);
    *out = NULL;
    *count = 0;
    if (!list || list->type == RP_JSON_NULL)
        return missing ? RP_OK : rp_fail(err, RP_ERROR_FORMAT, "has no %s; write a list of numbers", key);
    if (list->type != RP_JSON_ARRAY)
        return rp_fail(err, RP_ERROR_FORMAT, "%s is %s, must be a list of numbers", key, rp_json_kind(list));
    int32_t *numbers = rp_arena_alloc(&d->arena, list->count + 1ull, sizeof *numbers);
    if (!numbers) return rp_fail_memory(err, "a row", list->count * sizeof *numbers);
    for (uint32_t i = 0; i < list->count; i++) {
        const rp_json *item = &list->items[i];
        if (item->type != RP_JSON_INTEGER || item->integer < least || item->integer > INT32_MAX)
            return rp_fail(err, RP_ERROR_FORMAT,
                           "%s: entry %u is no whole number from %lld to %d, which it must be", key, i + 1,
                           (long long)least, INT32_MAX);
        numbers[i] = (int32_t)item->integer;
    }
    *out = numbers;
    *count = list->count;
    return RP_OK;
}

/* Each is a token, and none stands there twice. */
static rp_status check_positions(rp_data *d, const rp_instance *in, rp_error *err) {
    bool *seen = rp_arena_alloc(&d->arena, in->count, sizeof *seen);
    if (!seen) return rp_fail_memory(err, "a row", in->count);
    for (uint32_t i = 0; i < in->masked; i++) {
        uint32_t at = in->masked_positions[i];
        if (at >= in->count)
            return rp_fail(err, RP_ERROR_FORMAT, "masked_positions: entry %u is %u, and there are %u tokens",
                           i + 1, at, in->count);
        if (seen[at])
            return rp_fail(err, RP_ERROR_FORMAT, "masked_positions: %u stands there twice; list it once", at);
        seen[at] = true;
    }
    return RP_OK;
}

/* Every value is below `below`, unless that is 0. */
static rp_status check_below(const int32_t *values, uint32_t count, uint32_t below, const char *key,
                             rp_error *err) {
    for (uint32_t i = 0; below && values && i < count; i++)
        if (values[i] >= 0 && (uint32_t)values[i] >= below)
            return rp_fail(err, RP_ERROR_FORMAT, "%s: entry %u is %d, and the model has %u of them", key,
                           i + 1, (int)values[i], (unsigned)below);
    return RP_OK;
}

/* What the model takes. */
static rp_status check_model(const rp_data *d, const rp_instance *in, rp_error *err) {
    const rp_data_params *p = &d->params;
    if (p->max_tokens && in->count > p->max_tokens)
        return rp_fail(err, RP_ERROR_FORMAT, "has %u input_ids, more than the %u tokens that are taken",
                       in->count, (unsigned)p->max_tokens);
    rp_status status = check_below(in->ids, in->count, p->vocab_size, "input_ids", err);
    if (!status) status = check_below(in->types, in->count, p->type_vocab_size, "token_type_ids", err);
    if (!status) status = check_below(in->masked_ids, in->masked, p->vocab_size, "masked_ids", err);
    return status;
}

static rp_status order_of(const rp_json *root, int32_t *out, rp_error *err) {
    const rp_json *order = rp_json_get(root, "order");
    *out = -1;
    if (!order || order->type == RP_JSON_NULL) return RP_OK;
    if (order->type != RP_JSON_INTEGER || order->integer > 1)
        return rp_fail(err, RP_ERROR_FORMAT, "order must be 0 (in order), 1 (swapped) or below 0 (not said)");
    if (order->integer >= 0) *out = (int32_t)order->integer;
    return RP_OK;
}

rp_status rp_data_row_instance(rp_data *d, const rp_json *root, rp_data_row *row, rp_error *err) {
    rp_instance *in = &row->instance;
    const int32_t *positions = NULL;
    uint32_t types = 0, ids = 0;
    row->kind = RP_DATA_INSTANCE;
    row->labelled = true;
    rp_status status = numbers_of(d, root, "input_ids", 0, false, &in->ids, &in->count, err);
    if (!status) status = numbers_of(d, root, "token_type_ids", 0, true, &in->types, &types, err);
    if (!status) status = numbers_of(d, root, "masked_positions", 0, false, &positions, &in->masked, err);
    if (!status) status = numbers_of(d, root, "masked_ids", INT32_MIN, false, &in->masked_ids, &ids, err);
    if (status) return status;
    in->masked_positions = (const uint32_t *)positions;
    if (!in->count) return rp_fail(err, RP_ERROR_FORMAT, "input_ids is empty; leave the row out");
    if (in->types && types != in->count)
        return rp_fail(err, RP_ERROR_FORMAT, "has %u input_ids and %u token_type_ids; give each token one",
                       in->count, types);
    if (ids != in->masked)
        return rp_fail(err, RP_ERROR_FORMAT, "has %u masked_positions and %u masked_ids; give each one",
                       in->masked, ids);
    status = check_positions(d, in, err);
    if (!status) status = check_model(d, in, err);
    return status ? status : order_of(root, &in->order, err);
}
