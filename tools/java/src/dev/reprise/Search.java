package dev.reprise;

import java.util.ArrayList;
import java.util.List;

/** The documents of an index that are nearest to texts: rp_search of search.h. By the model that made the index. */
public final class Search extends Texts<List<Hit>> {
    private static final int FUNCTION = Native.function("search");
    private final Index index;
    private int topK;
    private Float threshold;
    private String promptName;
    private String prompt;
    private boolean noTexts;

    /** Of these texts. */
    public Search(Index index, List<String> texts) {
        super(texts);
        this.index = index;
    }

    /** Hits of each query; 0: 10. */
    public Search topK(int topK) {
        this.topK = topK;
        return this;
    }

    /** Leave out hits with a lower score; null: none. */
    public Search threshold(Float threshold) {
        this.threshold = threshold;
        return this;
    }

    /** Of the queries. */
    public Search promptName(String promptName) {
        this.promptName = promptName;
        return this;
    }

    /** The text that stands before them in its place. */
    public Search prompt(String prompt) {
        this.prompt = prompt;
        return this;
    }

    /** Hits have ids and no texts. */
    public Search noTexts(boolean noTexts) {
        this.noTexts = noTexts;
        return this;
    }

    @Override
    int function() {
        return FUNCTION;
    }

    @Override
    Handle second() {
        return index.handle;
    }

    @Override
    void write(Out out) {
        out.i32(topK).flag(threshold != null).f64(threshold == null ? 0 : threshold).name(promptName, "promptName")
                .name(prompt, "prompt").flag(noTexts);
        writeTexts(out);
    }

    @Override
    List<Hit> read(In in, int i) {
        int count = in.i32();
        List<Hit> hits = new ArrayList<Hit>(count);
        for (int k = 0; k < count; k++) {
            hits.add(new Hit(in.f32(), in.i64(), in.name(), in.name()));
        }
        return hits;
    }
}
