package dev.reprise;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Texts for {@link Moderation#run}: rp_moderate of moderate.h. */
public final class Moderate extends Texts<Verdict> {
    private static final int FUNCTION = Native.function("moderate");
    private boolean normalize;
    private boolean noSpans;

    /** Of these texts. */
    public Moderate(String... texts) {
        super(Arrays.asList(texts));
    }

    /** Of these texts. */
    public Moderate(List<String> texts) {
        super(texts);
    }

    /** Undo first what hides words from a filter. */
    public Moderate normalize(boolean normalize) {
        this.normalize = normalize;
        return this;
    }

    /** Do not look for the sentences that made the difference. */
    public Moderate noSpans(boolean noSpans) {
        this.noSpans = noSpans;
        return this;
    }

    @Override
    int function() {
        return FUNCTION;
    }

    @Override
    void write(Out out) {
        out.flag(normalize).flag(noSpans);
        writeTexts(out);
    }

    @Override
    Verdict read(In in, int i) {
        boolean flagged = in.flag();
        String action = in.name();
        int count = in.i32();
        List<Moderated> labels = new ArrayList<Moderated>(count);
        Units units = new Units(text(i));
        for (int k = 0; k < count; k++) {
            String label = in.name();
            int index = in.i32();
            float score = in.f32();
            float threshold = in.f32();
            boolean counts = in.flag();
            int spanCount = in.i32();
            List<Span> spans = new ArrayList<Span>(spanCount);
            for (int s = 0; s < spanCount; s++) {
                spans.add(units.span(in));
            }
            labels.add(new Moderated(label, index, score, threshold, counts, spans));
        }
        return new Verdict(flagged, action, labels);
    }
}
