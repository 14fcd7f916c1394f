package dev.reprise;

import java.util.List;

/** What moderation says of a text. */
public final class Verdict {
    /** A label counts. */
    public final boolean flagged;
    /** What the policy asks for. */
    public final String action;
    /** Best score first. */
    public final List<Moderated> labels;

    Verdict(boolean flagged, String action, List<Moderated> labels) {
        this.flagged = flagged;
        this.action = action;
        this.labels = labels;
    }

    @Override
    public String toString() {
        return action;
    }
}
