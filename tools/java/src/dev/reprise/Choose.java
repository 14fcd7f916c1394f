package dev.reprise;

import java.util.List;

/** How probable each choice is to go on a text: rp_choose of tasks.h. */
public final class Choose extends Groups<float[]> {
    private static final int FUNCTION = Native.function("choose");

    /** Add a text with its choices. */
    public Choose add(String text, List<String> choices) {
        put(text, choices);
        return this;
    }

    @Override
    int function() {
        return FUNCTION;
    }

    @Override
    void write(Out out) {
        writeGroups(out);
    }

    @Override
    float[] read(In in, int i) {
        int rows = in.i32();
        return in.floats(rows * in.i32());
    }
}
