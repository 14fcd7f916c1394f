package dev.reprise;

/** A label that a text may have, with its score. */
public final class Label {
    /** From id2label of the model, or of the request's own labels. */
    public final String name;
    /** The row of the classifier, or the place among the request's labels. */
    public final int index;
    /** A probability, or the raw value of a regression. */
    public final float score;

    Label(String name, int index, float score) {
        this.name = name;
        this.index = index;
        this.score = score;
    }

    @Override
    public String toString() {
        return name + " " + score;
    }
}
