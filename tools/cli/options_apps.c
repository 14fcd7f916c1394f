/* The options of the applications. */
#include "values.h"

#include <stdlib.h>
#include <string.h>

static const char *const long_ways[] = {"mean", "max", "vote", NULL};

/* A share above 0, which is the default. */
static bool read_share(const char *name, const rp_cli_rule *r, const char *value, double *out) {
    char *end = NULL;
    bool plain = *value && strspn(value, "0123456789.eE+-") == strlen(value);
    *out = plain ? strtod(value, &end) : 0;
    if (plain && !*end && *out > 0 && *out <= 1) return true;
    rp_cli_complain("%s: --%s takes a share above 0, to 1, not '%s'; try 'reprise %s --help'", name, r->name,
                    value, name);
    return false;
}

bool rp_cli_set_application(const char *name, int which, const char *value, rp_cli_options *o) {
    const rp_cli_rule *r = &rp_cli_rules[which];
    int word = 0;
    switch (which) {
    case R_LONG:
        if (!rp_cli_read_word(name, r, value, long_ways, &word)) return false;
        o->long_texts = (rp_long_texts)(RP_LONG_MEAN + word);
        return true;
    case R_CLASSES:
        return rp_cli_read_name(name, r, value, &o->labels);
    case R_TEMPLATE:
        return rp_cli_read_name(name, r, value, &o->hypothesis);
    case R_THRESHOLDS:
        return rp_cli_read_name(name, r, value, &o->thresholds);
    case R_POLICY:
        return rp_cli_read_name(name, r, value, &o->policy);
    case R_CALIBRATE:
        return rp_cli_read_name(name, r, value, &o->calibrate);
    case R_TARGET_PRECISION:
        return read_share(name, r, value, &o->target_precision);
    case R_TARGET_RECALL:
        return read_share(name, r, value, &o->target_recall);
    case R_INDEX:
        return rp_cli_read_name(name, r, value, &o->index_file);
    case R_ID_COLUMN:
        return rp_cli_read_name(name, r, value, &o->id_column);
    case R_LEAST_SCORE:
        o->has_threshold = true;
        return rp_cli_read_cosine(name, r, value, &o->least_score);
    case R_DOCUMENTS:
        return rp_cli_read_name(name, r, value, &o->documents);
    case R_DOCUMENT_INDEX:
        return rp_cli_read_name(name, r, value, &o->index);
    case R_PASSAGES:
        return rp_cli_read_number(name, r, value, 1, 1000, &o->passages);
    case R_ANSWER_THRESHOLD:
        o->threshold_given = true;
        return rp_cli_read_real(name, r, value, 1, &o->threshold);
    case R_FAQ_THRESHOLD:
        o->faq_threshold_given = true;
        return rp_cli_read_real(name, r, value, 1, &o->faq_threshold);
    case R_FAQ:
        return rp_cli_read_name(name, r, value, &o->faq);
    case R_EXAMPLES:
        return rp_cli_read_name(name, r, value, &o->examples);
    case R_EMBED_MODEL:
        return rp_cli_read_name(name, r, value, &o->embed_model);
    case R_ANSWER_MODEL:
        return rp_cli_read_name(name, r, value, &o->answer_model);
    case R_SLOTS:
        return rp_cli_read_name(name, r, value, &o->slots);
    case R_SENTENCES:
        return rp_cli_read_number(name, r, value, 1, RP_SUMMARY_MAX, &o->sentences);
    case R_COHERENCE:
        return rp_cli_read_cosine(name, r, value, &o->coherence);
    case R_NBEST:
        return rp_cli_read_name(name, r, value, &o->nbest);
    case R_WEIGHT:
        return rp_cli_read_name(name, r, value, &o->weight);
    case R_REFERENCES:
        return rp_cli_read_name(name, r, value, &o->references);
    default:
        return rp_cli_set_serving(name, which, value, o);
    }
}

static bool check_classify(const char *name, const bool given[R_COUNT], const rp_cli_options *o) {
    const char *wrong = NULL;
    if (given[R_PATIENCE] && (given[R_LONG] || given[R_EXPLAIN] || given[R_CLASSES]))
        wrong = "--patience is of texts that are read once; leave out --long, --explain and --labels";
    else if (given[R_STRIDE] && !given[R_LONG])
        wrong = "--stride is of the windows of --long; give both";
    else if (given[R_CLASSES] && (given[R_LONG] || given[R_EXPLAIN] || given[R_PAIR]))
        wrong = "--labels takes texts one by one and cuts long ones; leave out --long, --explain and --pair";
    else if ((given[R_TEMPLATE] || given[R_MULTI_LABEL]) && !given[R_CLASSES])
        wrong = "--template and --multi-label say how --labels is asked; name the labels too";
    else if (given[R_EXPLAIN] && (given[R_LONG] || given[R_PAIR]))
        wrong =
            "--explain takes texts one by one, as far as the model reads them; leave out --long and --pair";
    else if (given[R_EXPLAIN] && (o->csv || o->tsv))
        wrong = "--explain gives more than a row of a table holds; take --jsonl or --json";
    if (wrong) rp_cli_complain("%s: %s; try 'reprise %s --help'", name, wrong, name);
    return !wrong;
}

static bool check_calibrate(const char *name, const bool given[R_COUNT]) {
    const char *wrong = NULL;
    if (given[R_TARGET_PRECISION] && given[R_TARGET_RECALL])
        wrong = "give one of --target-precision and --target-recall";
    else if (given[R_CALIBRATE] && !given[R_TARGET_PRECISION] && !given[R_TARGET_RECALL])
        wrong = "--calibrate needs --target-precision or --target-recall";
    else if (!given[R_CALIBRATE] && (given[R_TARGET_PRECISION] || given[R_TARGET_RECALL]))
        wrong = "--target-precision and --target-recall are for --calibrate OUT";
    if (wrong) rp_cli_complain("%s: %s; try 'reprise %s --help'", name, wrong, name);
    return !wrong;
}

bool rp_cli_check_application(const char *name, const bool *given, uint64_t allowed,
                              const rp_cli_options *o) {
    if (allowed & RP_CLI_CLASSIFY && !check_classify(name, given, o)) return false;
    return !(allowed & RP_CLI_EVAL) || check_calibrate(name, given);
}
