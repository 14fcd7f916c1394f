package dev.reprise;

/** A word of a text that was explained. */
public final class Word {
    /** As it stands in the text. */
    public final String text;
    /** Where. */
    public final Span span;
    /** By how much the score of the best label falls without it: above 0 it speaks for that label. */
    public final float weight;

    Word(String text, Span span, float weight) {
        this.text = text;
        this.span = span;
        this.weight = weight;
    }

    @Override
    public String toString() {
        return text + " " + weight;
    }
}
