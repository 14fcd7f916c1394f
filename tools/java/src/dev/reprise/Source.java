package dev.reprise;

/** Where an answer was found in a collection of documents. */
public final class Source {
    /** Its name; empty of an empty answer. */
    public final String document;
    /** Bytes of the document before the passage that was read. */
    public final long start;
    /** That passage; null of an empty answer. */
    public final String passage;
    /** The score of finding it. */
    public final float found;
    /** What the model gave the answer: the logit of its start plus that of its end. */
    public final float logit;

    Source(String document, long start, String passage, float found, float logit) {
        this.document = document;
        this.start = start;
        this.passage = passage;
        this.found = found;
        this.logit = logit;
    }

    @Override
    public String toString() {
        return document;
    }
}
