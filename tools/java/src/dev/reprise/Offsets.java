package dev.reprise;

/** How JSON counts places in texts: rp_offsets of tasks.h. */
public enum Offsets {
    /** Code points, as the command and Python do. */
    CODE_POINTS,
    /** Bytes of the text in UTF-8. */
    BYTES,
    /** Units of UTF-16, as Java does. */
    UTF16
}
