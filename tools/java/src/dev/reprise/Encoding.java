package dev.reprise;

/** A text or pair as tokens: rp_encoding of tokenizer.h. All arrays have as many elements. */
public final class Encoding {
    public final int[] ids;
    public final int[] typeIds;
    /** The part of the text, or of the pair where {@link #sequence} is 1, that each token came from. */
    public final Span[] offsets;
    /** 0: the text; 1: the pair; -1: a special token that was added. */
    public final int[] sequence;
    public final int[] words;
    /** How many tokens were cut. */
    public final int leftOut;

    Encoding(In in, String text, String pair) {
        int count = in.i32();
        leftOut = in.i32();
        ids = new int[count];
        typeIds = new int[count];
        offsets = new Span[count];
        sequence = new int[count];
        words = new int[count];
        Units first = new Units(text);
        Units second = new Units(pair == null ? "" : pair);
        for (int i = 0; i < count; i++) {
            ids[i] = in.i32();
            typeIds[i] = in.i32();
            int start = in.i32();
            int end = in.i32();
            sequence[i] = in.i32();
            words[i] = in.i32();
            Units units = sequence[i] == 1 ? second : first;
            start = sequence[i] < 0 ? 0 : units.of(start);
            offsets[i] = new Span(start, sequence[i] < 0 ? 0 : units.of(end));
        }
    }
}
