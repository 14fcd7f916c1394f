package dev.reprise;

/** A text with how well it answers a query. */
public final class Ranked {
    /** Its place among those that were given. */
    public final int index;
    /** Higher is better. */
    public final float score;

    Ranked(int index, float score) {
        this.index = index;
        this.score = score;
    }

    @Override
    public String toString() {
        return index + " " + score;
    }
}
