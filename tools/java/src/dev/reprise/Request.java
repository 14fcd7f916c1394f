package dev.reprise;

import java.util.ArrayList;
import java.util.List;

/** A task with its options and inputs, such as {@link Classify}. Its options are those of the task's params struct in the
 * headers of the library; what is not set is the default. One thread at a time changes it; any number may run it. */
public abstract class Request<T> {
    private static final int OBJECTS = 0;

    Request() {
    }

    abstract int function();

    /** The options and inputs, as the function of the library reads them. */
    abstract void write(Out out);

    /** The value of input {@code i}. */
    abstract T read(In in, int i);

    /** What else than the model is used, and stays open meanwhile. */
    Handle second() {
        return null;
    }

    private In run(Handle handle, int form, Call call) {
        Handle second = second();
        Out out = new Out();
        long pointer = handle.enter();
        try {
            out.i64(pointer).i32(form);
            if (second == null) {
                write(out);
                return Native.run(function(), out, call);
            }
            out.i64(second.enter());
            try {
                write(out);
                return Native.run(function(), out, call);
            } finally {
                second.exit();
            }
        } finally {
            handle.exit();
        }
    }

    final List<Result<T>> answers(Handle handle, Call call) {
        In in = run(handle, OBJECTS, call);
        int count = in.i32();
        List<Result<T>> results = new ArrayList<Result<T>>(count);
        for (int i = 0; i < count; i++) {
            RepriseException error = in.failure();
            if (error != null) {
                results.add(new Result<T>(null, error, false, 0, 0));
                continue;
            }
            boolean truncated = in.flag();
            int tokens = in.i32();
            int taken = in.i32();
            results.add(new Result<T>(read(in, i), null, truncated, tokens, taken));
        }
        return results;
    }

    final List<String> json(Handle handle, Offsets offsets, Call call) {
        return run(handle, offsets.ordinal() + 1, call).names();
    }
}
