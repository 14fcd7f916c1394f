/* The options of finetune and pretrain. */
#include "values.h"

static const char *const trained_tasks[] = {"classify", "multilabel", "regress", "tag",
                                            "answer",   "choose",     "embed",   NULL};
static const char *const recomputes[] = {"auto", "always", "never", NULL};
static const char *const precisions[] = {"f32", "f16", NULL};
static const char *const frozen[] = {"embeddings", "encoder", NULL};
static const char *const schedules[] = {"linear", "constant", "polynomial", NULL};
static const char *const optimizers[] = {"adamw", "lamb", NULL};

/* Options of finetune and pretrain with a value. Zeros that mean something have another value where 0 is the
 * default. */
bool rp_cli_set_training(const char *name, int which, const char *value, rp_cli_options *o) {
    const rp_cli_rule *r = &rp_cli_rules[which];
    const double most = 1e9;
    int word = 0;
    switch (which) {
    case R_TRAIN:
        return rp_cli_read_name(name, r, value, &o->train);
    case R_DEV:
        return rp_cli_read_name(name, r, value, &o->dev);
    case R_LOG:
        return rp_cli_read_name(name, r, value, &o->log);
    case R_PLOT:
        return rp_cli_read_name(name, r, value, &o->plot);
    case R_METRIC:
        return rp_cli_read_name(name, r, value, &o->metric);
    case R_EVAL_EVERY:
        return rp_cli_read_number(name, r, value, 1, 1000000000, &o->eval_every);
    case R_KEEP_COUNT:
        return rp_cli_read_number(name, r, value, 1, 1000000, &o->keep_count);
    case R_SAVE_EVERY:
        if (!rp_cli_read_number(name, r, value, 0, 1000000000, &o->save_every)) return false;
        if (!o->save_every) o->save_every = UINT32_MAX;
        return true;
    case R_TRAIN_TASK:
        if (!rp_cli_read_word(name, r, value, trained_tasks, &word)) return false;
        o->task = word < 6 ? (rp_eval_task)(RP_EVAL_CLASSIFY + word) : RP_EVAL_EMBED;
        return true;
    case R_CORPUS:
        return rp_cli_read_more(name, r, value, &o->corpus, &o->corpus_count);
    case R_INSTANCES:
        return rp_cli_read_more(name, r, value, &o->instances, &o->instance_count);
    case R_WRITE_INSTANCES:
        return rp_cli_read_name(name, r, value, &o->write_instances);
    case R_TOKENIZER:
        return rp_cli_read_name(name, r, value, &o->tokenizer);
    case R_INIT:
        return rp_cli_read_name(name, r, value, &o->init);
    case R_NEW_CONFIG:
        return rp_cli_read_name(name, r, value, &o->config);
    case R_MAX_PREDICTIONS:
        return rp_cli_read_number(name, r, value, 1, 65536, &o->max_predictions);
    case R_NGRAM:
        return rp_cli_read_number(name, r, value, 1, 64, &o->ngram);
    case R_OPTIMIZER:
    case R_TRAIN_OPTIMIZER:
        if (!rp_cli_read_word(name, r, value, optimizers, &word)) return false;
        o->optimizer = (rp_optimizer)(RP_OPTIMIZER_ADAMW + word);
        return true;
    case R_PRETRAIN_WARMUP:
        if (!rp_cli_read_real(name, r, value, most, &o->warmup)) return false;
        if (!(o->warmup > 0)) o->warmup = -1;
        return true;
    case R_PRETRAIN_DECAY:
        if (!rp_cli_read_real(name, r, value, most, &o->weight_decay)) return false;
        if (!(o->weight_decay > 0)) o->weight_decay = -1;
        return true;
    case R_PRETRAIN_EPOCHS:
    case R_EPOCHS:
        return rp_cli_read_number(name, r, value, 1, 1000000, &o->epochs);
    case R_PRETRAIN_STEPS:
    case R_STEPS:
        return rp_cli_read_number(name, r, value, 1, 1000000000, &o->steps);
    case R_PRETRAIN_BATCH:
    case R_TRAIN_BATCH:
        return rp_cli_read_number(name, r, value, 1, 65536, &o->train_batch);
    case R_FREEZE:
        if (!rp_cli_read_word(name, r, value, frozen, &word)) return false;
        o->freeze = (rp_train_freeze)(RP_FREEZE_EMBEDDINGS + word);
        return true;
    case R_LABELS:
        return rp_cli_read_name(name, r, value, &o->labels);
    case R_PRETRAIN_SEED:
    case R_SEED:
        return rp_cli_read_number(name, r, value, 1, 1000000000, &o->seed);
    case R_PRETRAIN_RATE:
    case R_LEARNING_RATE:
        if (!rp_cli_read_real(name, r, value, most, &o->learning_rate)) return false;
        if (o->learning_rate > 0) return true;
        rp_cli_complain("%s: --lr is 0, with which nothing is learnt; try 'reprise %s --help'", name, name);
        return false;
    case R_WARMUP:
        return rp_cli_read_real(name, r, value, most, &o->warmup);
    case R_WEIGHT_DECAY:
        return rp_cli_read_real(name, r, value, most, &o->weight_decay);
    case R_MAX_GRAD_NORM:
        if (!rp_cli_read_real(name, r, value, most, &o->max_grad_norm)) return false;
        if (!(o->max_grad_norm > 0)) o->max_grad_norm = -1;
        return true;
    case R_TEACHER:
        return rp_cli_read_name(name, r, value, &o->teacher);
    case R_LABEL_WEIGHT:
        if (!rp_cli_read_real(name, r, value, most, &o->label_weight)) return false;
        if (!(o->label_weight > 0)) o->label_weight = -1;
        return true;
    case R_LABEL_SMOOTHING:
        return rp_cli_read_real(name, r, value, 1, &o->label_smoothing);
    case R_RECOMPUTE:
        if (!rp_cli_read_word(name, r, value, recomputes, &word)) return false;
        o->recompute = (rp_recompute)word;
        return true;
    case R_TRAIN_PRECISION:
        if (!rp_cli_read_word(name, r, value, precisions, &word)) return false;
        o->precision = (rp_precision)(RP_PRECISION_F32 + word);
        return true;
    case R_PRETRAIN_SCHEDULE:
    case R_SCHEDULE:
        if (!rp_cli_read_word(name, r, value, schedules, &word)) return false;
        o->schedule = (rp_train_schedule)(RP_SCHEDULE_LINEAR + word);
        return true;
    default:
        return rp_cli_set_application(name, which, value, o);
    }
}
