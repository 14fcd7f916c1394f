package dev.reprise;

/** What a text names. */
public final class Entity {
    /** Such as PER, or B-PER without aggregation. */
    public final String label;
    /** Its probability. */
    public final float score;
    /** The place of the token in the tokenized text, without aggregation; else 0. */
    public final int index;
    /** The tokens, decoded. */
    public final String word;
    /** Where it stands. */
    public final Span span;

    Entity(String label, float score, int index, String word, Span span) {
        this.label = label;
        this.score = score;
        this.index = index;
        this.word = word;
        this.span = span;
    }

    @Override
    public String toString() {
        return label + " " + word + " " + score;
    }
}
