package dev.reprise;

/** A token for a mask. */
public final class Fill {
    /** Its probability over the whole vocabulary. */
    public final float score;
    /** Its id. */
    public final int token;
    /** The token, decoded alone. */
    public final String piece;
    /** The text with this mask filled, decoded. */
    public final String sequence;

    Fill(float score, int token, String piece, String sequence) {
        this.score = score;
        this.token = token;
        this.piece = piece;
        this.sequence = sequence;
    }

    @Override
    public String toString() {
        return piece + " " + score;
    }
}
