package dev.reprise;

/** The vectors of a text: one, or one for each token. */
public final class Vectors {
    /** 1, or the number of tokens. */
    public final int rows;
    /** Numbers of a vector. */
    public final int columns;
    /** Row after row. */
    public final float[] values;

    Vectors(int rows, int columns, float[] values) {
        this.rows = rows;
        this.columns = columns;
        this.values = values;
    }

    /** A copy of one row. */
    public float[] row(int i) {
        return java.util.Arrays.copyOfRange(values, i * columns, (i + 1) * columns);
    }

    @Override
    public String toString() {
        return rows + " x " + columns;
    }
}
