package dev.reprise;

/** Whether vectors are brought to length 1: rp_normalize of tasks.h. */
public enum Normalize {
    /** As the model's folder says. */
    DEFAULT,
    YES,
    NO
}
