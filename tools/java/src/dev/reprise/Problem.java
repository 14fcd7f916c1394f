package dev.reprise;

/** What a classifier's values are: rp_problem of model.h. */
public enum Problem {
    SINGLE_LABEL,
    MULTI_LABEL,
    REGRESSION
}
