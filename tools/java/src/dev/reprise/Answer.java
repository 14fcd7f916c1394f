package dev.reprise;

/** A part of a context, or of a document, that answers a question. */
public final class Answer {
    /** The probability of its start times that of its end. */
    public final float score;
    /** Where it stands in the context; 0..0 for no answer. Of a document in bytes of UTF-8. */
    public final Span span;
    /** That part of the context; empty for no answer. */
    public final String text;
    /** Of an answer from documents, where it was found; else null. */
    public final Source source;

    Answer(float score, Span span, String text, Source source) {
        this.score = score;
        this.span = span;
        this.text = text;
        this.source = source;
    }

    @Override
    public String toString() {
        return text + " " + score;
    }
}
