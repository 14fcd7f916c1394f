package dev.reprise;

/** What becomes of a text that is longer than the model takes: rp_long_texts of tasks.h. */
public enum LongTexts {
    /** It is cut. */
    CUT,
    /** The mean of the scores of its windows. */
    MEAN,
    /** The largest score that each label has in any window. */
    MAX,
    /** The share of windows whose best label it is. */
    VOTE
}
