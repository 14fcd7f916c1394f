package dev.reprise;

import java.util.List;

/** A label that may count. */
public final class Moderated {
    /** Its name. */
    public final String label;
    /** The row of the classifier. */
    public final int index;
    /** Of a long text the largest of its windows. */
    public final float score;
    /** It counts from here on. */
    public final float threshold;
    /** It does. */
    public final boolean flagged;
    /** Of a label that counts, the sentences that made the difference. */
    public final List<Span> spans;

    Moderated(String label, int index, float score, float threshold, boolean flagged, List<Span> spans) {
        this.label = label;
        this.index = index;
        this.score = score;
        this.threshold = threshold;
        this.flagged = flagged;
        this.spans = spans;
    }

    @Override
    public String toString() {
        return label + " " + score;
    }
}
