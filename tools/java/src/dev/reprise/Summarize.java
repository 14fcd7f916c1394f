package dev.reprise;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The sentences that stand for documents: rp_summarize of summarize.h. */
public final class Summarize extends Texts<List<Sentence>> {
    private static final int FUNCTION = Native.function("summarize");
    private int sentences;

    /** Of these texts. */
    public Summarize(String... texts) {
        super(Arrays.asList(texts));
    }

    /** Of these texts. */
    public Summarize(List<String> texts) {
        super(texts);
    }

    /** Of each summary; 0: 3. */
    public Summarize sentences(int sentences) {
        this.sentences = sentences;
        return this;
    }

    @Override
    int function() {
        return FUNCTION;
    }

    @Override
    void write(Out out) {
        out.i32(sentences);
        writeTexts(out);
    }

    @Override
    List<Sentence> read(In in, int i) {
        int count = in.i32();
        List<Sentence> sentences = new ArrayList<Sentence>(count);
        Units units = new Units(text(i));
        for (int k = 0; k < count; k++) {
            Span span = units.span(in);
            sentences.add(new Sentence(span.of(text(i)), span, in.f32()));
        }
        return sentences;
    }
}
