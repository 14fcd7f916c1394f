package dev.reprise;

/** Bytes of a text in UTF-8, as the library counts, to units of UTF-16. It walks on from the last place. */
final class Units {
    private final String text;
    private int bytes;
    private int units;

    Units(String text) {
        this.text = text;
    }

    Span span(In in) {
        int start = of(in.i32());
        return new Span(start, of(in.i32()));
    }

    int of(int place) {
        if (place < bytes) {
            bytes = 0;
            units = 0;
        }
        while (bytes < place && units < text.length()) {
            char c = text.charAt(units++);
            bytes += c < 0x80 ? 1 : c < 0x800 ? 2 : 3;
            if (Character.isHighSurrogate(c)) {
                bytes++;
                units++;
            }
        }
        return units;
    }
}
