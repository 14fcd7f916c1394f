package dev.reprise;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What texts name, in reading order: rp_tag of tasks.h. */
public final class Tag extends Texts<List<Entity>> {
    private static final int FUNCTION = Native.function("tag");
    private Aggregation aggregation;
    private int stride;
    private boolean cut;

    /** Of these texts. */
    public Tag(String... texts) {
        super(Arrays.asList(texts));
    }

    /** Of these texts. */
    public Tag(List<String> texts) {
        super(texts);
    }

    /** How tokens become entities. */
    public Tag aggregation(Aggregation aggregation) {
        this.aggregation = aggregation;
        return this;
    }

    /** Tokens that neighbouring windows share; 0: 64. */
    public Tag stride(int stride) {
        this.stride = stride;
        return this;
    }

    /** Cut a text that is longer than the model takes, in place of reading it in windows. */
    public Tag cut(boolean cut) {
        this.cut = cut;
        return this;
    }

    @Override
    int function() {
        return FUNCTION;
    }

    @Override
    void write(Out out) {
        out.word(aggregation).i32(stride).flag(cut);
        writeTexts(out);
    }

    @Override
    List<Entity> read(In in, int i) {
        int count = in.i32();
        List<Entity> entities = new ArrayList<Entity>(count);
        Units units = new Units(text(i));
        for (int k = 0; k < count; k++) {
            entities.add(new Entity(in.name(), in.f32(), in.i32(), in.name(), units.span(in)));
        }
        return entities;
    }
}
