package dev.reprise;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicInteger;

/** When calls are to end, and who hears how they go: for one call or several, one after another or at the same time.
 *
 * <p>Any thread may {@link #cancel} them. Subclasses override {@link #progress}, {@link #log}, {@link #step} and
 * {@link #evaluated}; the library calls the first and the last two on the thread that made the call, and {@code log} on any.
 * What one of them throws ends the call, and is thrown where that was made. */
public class Call {
    private static final int INIT = Native.function("call_init");
    private static final AtomicInteger last = new AtomicInteger();
    final ByteBuffer memory = ByteBuffer.allocateDirect(256); // an rp_call
    private Throwable trouble;

    /** Without a deadline. */
    public Call() {
        this(false, 0);
    }

    /** Ends with {@link Status#DEADLINE} so many seconds from now. */
    public Call(double seconds) {
        this(true, seconds);
    }

    private Call(boolean limited, double seconds) {
        final int number = last.incrementAndGet();
        Native.run(INIT, new Out().f64(seconds).flag(limited).i32(number).flag(overrides("progress", long.class, long.class))
                .flag(overrides("log", boolean.class, String.class)), this);
        Native.register(number, this);
        new Net(this) {
            @Override
            void free() {
                Native.forget(number);
            }
        };
    }

    /** Whether a subclass has such a method of its own: the others are not called. */
    private boolean overrides(String name, Class<?>... types) {
        for (Class<?> type = getClass(); type != Call.class; type = type.getSuperclass()) {
            try {
                type.getDeclaredMethod(name, types);
                return true;
            } catch (NoSuchMethodException none) {
                continue;
            }
        }
        return false;
    }

    /** End the calls that this serves, and those that it will serve, with {@link Status#CANCELLED}. */
    public final void cancel() {
        Native.cancel(memory);
    }

    /** So many of the inputs are done. */
    protected void progress(long done, long total) {
    }

    /** What a user may want to know; a warning, or a note. */
    protected void log(boolean warning, String message) {
    }

    /** Training has made a step. */
    protected void step(TrainingStep step) {
    }

    /** Training has measured the model on the file {@code dev}. */
    protected void evaluated(TrainingEvaluation evaluation) {
    }

    final void hearProgress(long done, long total) {
        try {
            progress(done, total);
        } catch (Throwable raised) {
            trouble(raised);
        }
    }

    final void hearLog(int level, byte[] message) {
        try {
            log(level != 0, new String(message, java.nio.charset.Charset.forName("UTF-8")));
        } catch (Throwable raised) {
            trouble(raised);
        }
    }

    final void hearTraining(int kind, byte[] message) {
        try {
            In in = new In(message, false);
            if (kind == 0) {
                step(new TrainingStep(in));
            } else {
                evaluated(new TrainingEvaluation(in));
            }
        } catch (Throwable raised) {
            trouble(raised);
        }
    }

    private void trouble(Throwable raised) {
        synchronized (memory) {
            if (trouble == null) {
                trouble = raised;
            }
        }
        cancel();
    }

    final void throwTrouble() {
        Throwable raised;
        synchronized (memory) {
            raised = trouble;
            trouble = null;
        }
        if (raised != null) {
            Call.<RuntimeException>raise(raised);
        }
    }

    /** Throw it as it is: other languages throw checked exceptions, too, where none are declared. */
    @SuppressWarnings("unchecked")
    private static <T extends Throwable> void raise(Throwable raised) throws T {
        throw (T) raised;
    }
}
