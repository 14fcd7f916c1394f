package dev.reprise;

/** How the vectors of tokens become one: rp_pooling of tasks.h. */
public enum Pooling {
    /** As the model's folder says. */
    DEFAULT,
    MEAN,
    CLS,
    MAX,
    /** One vector a token. */
    NONE
}
