package dev.reprise;

/** A document of an index that is near to a query. */
public final class Hit {
    /** The cosine of its vector and the query's. */
    public final float score;
    /** Of the document, from 0. */
    public final long number;
    /** Its id, or its number. */
    public final String id;
    /** Null with {@link Search#noTexts}. */
    public final String text;

    Hit(float score, long number, String id, String text) {
        this.score = score;
        this.number = number;
        this.id = id;
        this.text = text;
    }

    @Override
    public String toString() {
        return id + " " + score;
    }
}
