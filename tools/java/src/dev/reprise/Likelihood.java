package dev.reprise;

/** How likely a masked language model finds a text. */
public final class Likelihood {
    /** The sum of the natural logarithms of its tokens' probabilities. */
    public final double score;
    /** How many were added up. */
    public final int tokens;

    Likelihood(double score, int tokens) {
        this.score = score;
        this.tokens = tokens;
    }

    @Override
    public String toString() {
        return score + " of " + tokens;
    }
}
