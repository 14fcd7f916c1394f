package dev.reprise;

/** A sentence that stands for a document. */
public final class Sentence {
    /** As it stands in the document. */
    public final String text;
    /** Where. */
    public final Span span;
    /** The best sentence of a document has about 1. */
    public final float score;

    Sentence(String text, Span span, float score) {
        this.text = text;
        this.span = span;
        this.score = score;
    }

    @Override
    public String toString() {
        return text;
    }
}
