package dev.reprise;

import java.util.List;

/** A model with the thresholds of its labels and a policy: rp_moderation of moderate.h. Closed with the model, too. */
public final class Moderation implements AutoCloseable {
    private static final int OPEN = Native.function("moderation_open");
    private static final int CLOSE = Native.function("moderation_close");
    final Handle handle;

    /** The files may be null: the thresholds of the model's folder; no policy. */
    public Moderation(Model model, String thresholds, String policy) {
        long pointer = model.handle.enter();
        try {
            Out out = new Out().i64(pointer).name(thresholds, "thresholds").name(policy, "policy");
            handle = new Handle("moderation", Native.run(OPEN, out).i64(), CLOSE, model, model.handle);
        } finally {
            model.handle.exit();
        }
        handle.watch(this);
    }

    /** Judge each text; {@code call} may be null. */
    public List<Result<Verdict>> run(Moderate request, Call call) {
        return request.answers(handle, call);
    }

    /** The same as JSON, as the command prints it; {@code call} may be null. */
    public List<String> json(Moderate request, Offsets offsets, Call call) {
        return request.json(handle, offsets, call);
    }

    @Override
    public void close() {
        handle.close();
    }
}
