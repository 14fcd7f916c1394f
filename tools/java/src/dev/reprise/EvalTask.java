package dev.reprise;

/** What is measured, or taught: rp_eval_task of eval.h. */
public enum EvalTask {
    /** What the model's head is for. */
    BY_MODEL,
    CLASSIFY, MULTILABEL, REGRESS, TAG, ANSWER, CHOOSE, ORDER, MLM, EMBED
}
