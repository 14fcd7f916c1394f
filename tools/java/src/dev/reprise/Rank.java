package dev.reprise;

import java.util.ArrayList;
import java.util.List;

/** Texts in the order of how well they answer a query: rp_rank of search.h. */
public final class Rank extends Groups<List<Ranked>> {
    private static final int FUNCTION = Native.function("rank");
    private RankScore score;
    private int topK;
    private String promptName;
    private String prompt;

    /** Add a query with the texts. */
    public Rank add(String query, List<String> documents) {
        put(query, documents);
        return this;
    }

    /** What a score is. */
    public Rank score(RankScore score) {
        this.score = score;
        return this;
    }

    /** Texts of each query; 0: all. */
    public Rank topK(int topK) {
        this.topK = topK;
        return this;
    }

    /** Of the queries of an embedding model. */
    public Rank promptName(String promptName) {
        this.promptName = promptName;
        return this;
    }

    /** The text that stands before them in its place. */
    public Rank prompt(String prompt) {
        this.prompt = prompt;
        return this;
    }

    @Override
    int function() {
        return FUNCTION;
    }

    @Override
    void write(Out out) {
        out.word(score).i32(topK).name(promptName, "promptName").name(prompt, "prompt");
        writeGroups(out);
    }

    @Override
    List<Ranked> read(In in, int i) {
        int count = in.i32();
        List<Ranked> ranked = new ArrayList<Ranked>(count);
        for (int k = 0; k < count; k++) {
            ranked.add(new Ranked(in.i32(), in.f32()));
        }
        return ranked;
    }
}
