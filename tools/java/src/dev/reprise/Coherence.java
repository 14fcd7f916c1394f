package dev.reprise;

/** Whether two texts stand in order: rp_coherence of tasks.h. The value is the probability that they do. */
public final class Coherence extends Pairs<Float> {
    private static final int FUNCTION = Native.function("coherence");

    /** Add two texts. */
    public Coherence add(String text, String next) {
        put(text, next);
        return this;
    }

    @Override
    int function() {
        return FUNCTION;
    }

    @Override
    void write(Out out) {
        writePairs(out, false);
    }

    @Override
    Float read(In in, int i) {
        return in.f32();
    }
}
