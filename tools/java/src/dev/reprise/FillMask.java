package dev.reprise;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Tokens for each mask of texts that have "[MASK]" in them: rp_fill_mask of tasks.h. A list for each mask. */
public final class FillMask extends Texts<List<List<Fill>>> {
    private static final int FUNCTION = Native.function("fill_mask");
    private int topK;

    /** Of these texts. */
    public FillMask(String... texts) {
        super(Arrays.asList(texts));
    }

    /** Of these texts. */
    public FillMask(List<String> texts) {
        super(texts);
    }

    /** Tokens for each mask; 0: 5. */
    public FillMask topK(int topK) {
        this.topK = topK;
        return this;
    }

    @Override
    int function() {
        return FUNCTION;
    }

    @Override
    void write(Out out) {
        out.i32(topK);
        writeTexts(out);
    }

    @Override
    List<List<Fill>> read(In in, int i) {
        int masks = in.i32();
        List<List<Fill>> all = new ArrayList<List<Fill>>(masks);
        for (int mask = 0; mask < masks; mask++) {
            int count = in.i32();
            List<Fill> fills = new ArrayList<Fill>(count);
            for (int k = 0; k < count; k++) {
                fills.add(new Fill(in.f32(), in.i32(), in.name(), in.name()));
            }
            all.add(fills);
        }
        return all;
    }
}
