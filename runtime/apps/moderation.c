#include "apps/moderation.h"

#include <math.h>

#include "loader/json.h"
#include "model/model.h"

enum {
    MOST_RULES = 10000,
    MOST_ACTIONS = 1000,
    ACTION_BYTES = 200,
};

/* ---- labels and numbers ---- */

static bool find_label(const rp_moderation *m, const char *name, uint32_t *out) {
    for (*out = 0; *out < m->label_count; (*out)++)
        if (!strcmp(m->labels[*out], name)) return true;
    return false;
}

static rp_status fail_label(const rp_moderation *m, const char *path, const char *where, const char *name,
                            rp_error *err) {
    char list[160] = "";
    for (uint32_t i = 0; i < m->label_count; i++) {
        size_t used = strlen(list), room = sizeof list - used;
        if (strlen(m->labels[i]) + 8 > room) {
            strcat(list, ", ...");
            break;
        }
        strcat(strcat(list, i ? ", " : ""), m->labels[i]);
    }
    return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: the model has no label \"%.*s\"; it has %s",
                   rp_path_shown(path), where, rp_text_fit(name, 60), name, list);
}

static rp_status read_share(const rp_json *value, const char *path, const char *where, const char *name,
                            double *out, rp_error *err) {
    if (rp_json_number(value, out) && *out >= 0 && *out <= 1) return RP_OK;
    return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: the threshold of \"%.*s\" must be a number from 0 to 1",
                   rp_path_shown(path), where, rp_text_fit(name, 60), name);
}

/* ---- thresholds ---- */

rp_status rp_moderation_thresholds(rp_moderation *m, const rp_json *root, const char *path, rp_error *err) {
    const rp_json *list = rp_json_get(root, "thresholds");
    rp_status status = RP_OK;
    if (!list && rp_json_get(root, "intent")) return RP_OK; /* it is for chat alone */
    if (!rp_json_count(list, RP_JSON_OBJECT))
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: \"thresholds\" must be an object with a number for each label that counts",
                       rp_path_shown(path));
    for (uint32_t i = 0; i < m->label_count; i++) m->thresholds[i] = NAN;
    for (uint32_t i = 0; !status && i < list->count; i++) {
        uint32_t label;
        const char *name = list->members[i].key;
        if (!find_label(m, name, &label)) return fail_label(m, path, "thresholds", name, err);
        status = read_share(&list->members[i].value, path, "thresholds", name, &m->thresholds[label], err);
    }
    return status;
}

/* ---- the policy ---- */

/* RP_ERROR_FORMAT where `object` has a key that is none of the NULL-ended `keys`. */
static rp_status check_keys(const rp_json *object, const char *const *keys, const char *path,
                            const char *where, rp_error *err) {
    for (uint32_t i = 0; i < object->count; i++) {
        const char *key = object->members[i].key;
        size_t k = 0;
        while (keys[k] && strcmp(keys[k], key)) k++;
        if (!keys[k])
            return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: \"%.*s\" is not known; leave it out",
                           rp_path_shown(path), where, rp_text_fit(key, 60), key);
    }
    return RP_OK;
}

/* An action: a short text that is not empty and holds no NUL. */
static rp_status read_action(rp_moderation *m, const rp_json *value, const char *path, const char *where,
                             const char **out, rp_error *err) {
    const char *text = rp_json_string(value);
    if (!text || !value->count || value->count > ACTION_BYTES || strlen(text) < value->count)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: an action must be a text of 1 to %d bytes",
                       rp_path_shown(path), where, ACTION_BYTES);
    *out = rp_arena_copy(&m->arena, text, value->count);
    return *out ? RP_OK : rp_fail_memory(err, "the policy", value->count);
}

/* The place of an action in "actions"; 0 for all where there is no such list. */
static rp_status find_severity(const rp_json *actions, const char *action, const char *path, uint32_t *out,
                               rp_error *err) {
    *out = 0;
    if (!actions) return RP_OK;
    for (; *out < actions->count; (*out)++)
        if (!strcmp(actions->items[*out].text, action)) return RP_OK;
    return rp_fail(
        err, RP_ERROR_FORMAT,
        "%s: rules: the action \"%.*s\" is not in \"actions\", which says how severe each is; add it",
        rp_path_shown(path), rp_text_fit(action, 60), action);
}

static rp_status check_actions(const rp_json *actions, const char *path, rp_error *err) {
    if (!actions) return RP_OK;
    bool good = rp_json_count(actions, RP_JSON_ARRAY) && actions->count <= MOST_ACTIONS;
    for (uint32_t i = 0; good && i < actions->count; i++) {
        good = rp_json_count(&actions->items[i], RP_JSON_STRING);
        for (uint32_t k = 0; good && k < i; k++)
            good = strcmp(actions->items[i].text, actions->items[k].text) != 0;
    }
    return good ? RP_OK
                : rp_fail(
                      err, RP_ERROR_FORMAT,
                      "%s: \"actions\" must be a list of different texts, the most severe first, at most %d",
                      rp_path_shown(path), MOST_ACTIONS);
}

static rp_status read_rule(rp_moderation *m, const rp_json *value, const rp_json *actions, const char *path,
                           rp_moderation_rule *out, rp_error *err) {
    static const char *const keys[] = {"label", "threshold", "action", NULL};
    if (!rp_json_is(value, RP_JSON_OBJECT))
        return rp_fail(err, RP_ERROR_FORMAT, "%s: rules: a rule must be an object", rp_path_shown(path));
    rp_status status = check_keys(value, keys, path, "rules", err);
    if (status) return status;
    const char *name = rp_json_string(rp_json_get(value, "label"));
    if (!name)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: rules: a rule must have a \"label\"", rp_path_shown(path));
    if (!find_label(m, name, &out->label)) return fail_label(m, path, "rules", name, err);
    out->threshold = m->thresholds[out->label];
    const rp_json *threshold = rp_json_get(value, "threshold");
    if (threshold)
        status = read_share(threshold, path, "rules", name, &out->threshold, err);
    else if (isnan(out->threshold))
        status = rp_fail(err, RP_ERROR_FORMAT,
                         "%s: rules: \"%.*s\" has no threshold of its own; give the rule one",
                         rp_path_shown(path), rp_text_fit(name, 60), name);
    if (!status) status = read_action(m, rp_json_get(value, "action"), path, "rules", &out->action, err);
    return status ? status : find_severity(actions, out->action, path, &out->severity, err);
}

rp_status rp_moderation_policy(rp_moderation *m, const rp_json *root, const char *path, rp_error *err) {
    static const char *const keys[] = {"rules", "actions", "default", NULL};
    if (!rp_json_is(root, RP_JSON_OBJECT))
        return rp_fail(err, RP_ERROR_FORMAT, "%s: a policy must be an object", rp_path_shown(path));
    const rp_json *rules = rp_json_get(root, "rules"), *actions = rp_json_get(root, "actions");
    const rp_json *otherwise = rp_json_get(root, "default");
    rp_status status = check_keys(root, keys, path, "the policy", err);
    if (!status) status = check_actions(actions, path, err);
    if (!status && otherwise) status = read_action(m, otherwise, path, "default", &m->fallback, err);
    if (status) return status;
    if (!rp_json_count(rules, RP_JSON_ARRAY) || rules->count > MOST_RULES)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: \"rules\" must be a list of 1 to %d rules",
                       rp_path_shown(path), MOST_RULES);
    m->rules = rp_new_array(rp_moderation_rule, rules->count);
    if (!m->rules) return rp_fail_memory(err, "the policy", rules->count * sizeof *m->rules);
    for (; !status && m->rule_count < rules->count; m->rule_count++)
        status = read_rule(m, &rules->items[m->rule_count], actions, path, &m->rules[m->rule_count], err);
    m->policy = true;
    return status;
}

const char *rp_moderation_action(const rp_moderation *m, const float *scores, bool flagged) {
    const rp_moderation_rule *best = NULL;
    if (!m->policy) return flagged ? "flag" : "allow";
    for (size_t i = 0; i < m->rule_count; i++) {
        const rp_moderation_rule *rule = &m->rules[i];
        if ((double)scores[rule->label] < rule->threshold) continue;
        if (!best || rule->severity < best->severity) best = rule;
    }
    return best ? best->action : m->fallback;
}

/* ---- opening ---- */

static rp_status read_file(rp_moderation *m, const char *path,
                           rp_status (*read)(rp_moderation *, const rp_json *, const char *, rp_error *),
                           rp_error *err) {
    rp_json_document document = {0};
    rp_status status = rp_json_load(path, &document, err);
    if (!status) status = read(m, &document.root, path, err);
    rp_json_finish(&document);
    return status;
}

/* The file that the model itself has, where it has one. */
static rp_status read_own(rp_moderation *m, const rp_model *model, rp_error *err) {
    const rp_error *why = &model->thresholds_error;
    if (why->status) return rp_fail(err, why->status, "%s", why->message);
    char *path = rp_path_join(model->dir, "thresholds.json");
    if (!path) return rp_fail_memory(err, "the thresholds", strlen(model->dir));
    rp_status status = RP_OK;
    if (model->thresholds.root.type)
        status = rp_moderation_thresholds(m, &model->thresholds.root, path, err);
    else if (!model->from_records && rp_path_exists(path))
        status = read_file(m, path, rp_moderation_thresholds, err);
    free(path);
    return status;
}

static rp_status read_files(rp_moderation *m, const rp_model_info *info, const rp_moderation_params *p,
                            rp_error *err) {
    bool one = info->problem == RP_PROBLEM_SINGLE_LABEL && info->label_count > 1;
    for (uint32_t i = 0; i < m->label_count; i++) m->thresholds[i] = one && !i ? NAN : 0.5;
    rp_status status = p->thresholds ? read_file(m, p->thresholds, rp_moderation_thresholds, err)
                                     : read_own(m, m->model, err);
    if (!status && p->policy) status = read_file(m, p->policy, rp_moderation_policy, err);
    return status;
}

static rp_status check_model(const rp_model_info *info, rp_error *err) {
    if (info->problem == RP_PROBLEM_REGRESSION)
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "%s: the model gives a number; moderate needs labels",
                       rp_path_shown(info->dir));
    return RP_OK;
}

rp_status rp_moderation_open(rp_model *model, const rp_moderation_params *params, rp_moderation **out,
                             rp_error *err) {
    const rp_moderation_params p = params ? *params : (rp_moderation_params){0};
    rp_result *nothing = NULL;
    if (out) *out = NULL;
    if (!model || !out)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_moderation_open: model and out must not be NULL");
    rp_status status = rp_check_reserved(p.reserved, RP_COUNT(p.reserved), "rp_moderation_open", err);
    if (!status) status = rp_classify(model, NULL, 0, NULL, &nothing, err); /* the head's own message */
    rp_result_free(&nothing);
    const rp_model_info *info = status ? NULL : rp_model_get_info(model);
    if (!status) status = check_model(info, err);
    if (status) return status;
    rp_moderation *m = rp_new(rp_moderation);
    if (m)
        *m = (rp_moderation){
            .model = model, .label_count = info->label_count, .labels = info->labels, .fallback = "allow"};
    if (m) m->thresholds = rp_new_array(double, info->label_count);
    if (!m || !m->thresholds)
        status = rp_fail_memory(err, "the thresholds", info->label_count * sizeof(double));
    if (!status) status = read_files(m, info, &p, err);
    if (status) rp_moderation_close(&m);
    *out = m;
    return status;
}

void rp_moderation_finish(rp_moderation *m) {
    free(m->thresholds);
    free(m->rules);
    rp_arena_finish(&m->arena);
}

void rp_moderation_close(rp_moderation **moderation) {
    if (!moderation || !*moderation) return;
    rp_moderation_finish(*moderation);
    free(*moderation);
    *moderation = NULL;
}
