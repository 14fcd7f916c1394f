package dev.reprise;

/** What a score of {@link Rank} is: rp_rank_score of search.h. */
public enum RankScore {
    /** As the model's folder says. */
    DEFAULT,
    /** What the model computes. */
    RAW
}
