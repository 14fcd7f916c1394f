package dev.reprise;

/** What a model's weights can compute: rp_head of model.h. */
public enum Head {
    POOLER, CLASSIFIER, TOKENS, SPANS, CHOICE, MASKED_LM, ORDER;

    /** The bit of the library's enum. */
    int bit() {
        return 1 << ordinal();
    }
}
