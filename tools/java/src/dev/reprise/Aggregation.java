package dev.reprise;

/** How tokens become entities: rp_aggregation of tasks.h. */
public enum Aggregation {
    /** Neighbours of one type are one entity. */
    SIMPLE,
    /** One entity a token. */
    NONE,
    /** A word takes the label of its first token. */
    FIRST,
    /** A word takes the label of the mean score. */
    AVERAGE,
    /** A word takes the label of its surest token. */
    MAX
}
