package dev.reprise;

/** A part of a text, in units of UTF-16: {@code text.substring(start, end)}. */
public final class Span {
    public final int start;
    public final int end;

    Span(int start, int end) {
        this.start = start;
        this.end = end;
    }

    /** This part of the text that it belongs to. */
    public String of(String text) {
        return text.substring(start, end);
    }

    @Override
    public String toString() {
        return start + ".." + end;
    }
}
