package dev.reprise;

import java.util.List;

/** The labels of a text, best first. */
public final class Classification {
    /** Best first. */
    public final List<Label> labels;
    /** With {@link Classify#explain}, in the order of the text; else empty. */
    public final List<Word> words;

    Classification(List<Label> labels, List<Word> words) {
        this.labels = labels;
        this.words = words;
    }

    /** The best label. */
    public Label best() {
        return labels.get(0);
    }

    @Override
    public String toString() {
        return labels.toString();
    }
}
