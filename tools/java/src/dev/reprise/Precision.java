package dev.reprise;

/** How weights are stored on the device: rp_precision of model.h. */
public enum Precision {
    /** As the files have them. */
    DEFAULT,
    F32,
    F16,
    INT8,
    INT4
}
