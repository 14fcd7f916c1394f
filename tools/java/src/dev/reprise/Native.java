package dev.reprise;

import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.util.concurrent.ConcurrentHashMap;

/** The library: its functions, and what it calls. {@link Out} writes the bytes of calls, {@link In} reads those of replies. */
final class Native {
    private static final ConcurrentHashMap<Integer, WeakReference<Call>> calls =
            new ConcurrentHashMap<Integer, WeakReference<Call>>();

    static {
        load();
    }

    private Native() {
    }

    /** On Android the system finds the library in the app; elsewhere a class that is not in the AAR does. */
    private static void load() {
        String named = System.getProperty("reprise.library");
        Class<?> desktop = null;
        try {
            desktop = Class.forName("dev.reprise.DesktopLibrary");
        } catch (ClassNotFoundException none) {
            desktop = null;
        }
        if (named != null) {
            System.load(new java.io.File(named).getAbsolutePath());
        } else if (desktop == null) {
            System.loadLibrary("reprise_jni");
        } else {
            try {
                desktop.getDeclaredMethod("load").invoke(null);
            } catch (java.lang.reflect.InvocationTargetException failed) {
                throw (UnsatisfiedLinkError) new UnsatisfiedLinkError(failed.getCause().getMessage())
                        .initCause(failed.getCause());
            } catch (ReflectiveOperationException impossible) {
                throw new LinkageError("dev.reprise.DesktopLibrary", impossible);
            }
        }
    }

    /** The number of a function of the library by its name in functions.def. */
    static int function(String name) {
        int number = find(Out.utf8(name));
        if (number < 0) {
            throw new UnsatisfiedLinkError("the native library has no " + name
                    + ": it is of another version than these classes; take both from one build");
        }
        return number;
    }

    private static native int find(byte[] name);

    private static native byte[] call(int function, byte[] request, int size, ByteBuffer call);

    static native void cancel(ByteBuffer call);

    /** Where the bytes of a direct buffer are; 0 for any other buffer. */
    static native long address(ByteBuffer buffer);

    /** Call a function. A {@link RepriseException} when it fails; what a callback of {@code call} threw is thrown here. */
    static In run(int function, Out request, Call call) {
        byte[] reply;
        if (call == null) {
            reply = call(function, request.bytes(), request.size(), null);
        } else {
            try {
                reply = call(function, request.bytes(), request.size(), call.memory);
            } finally {
                call.throwTrouble();
            }
        }
        return new In(reply);
    }

    static In run(int function, Out request) {
        return run(function, request, null);
    }

    /* What the library calls, on any thread. Nothing may be thrown here. */

    static void register(int number, Call call) {
        calls.put(number, new WeakReference<Call>(call));
    }

    static void forget(int number) {
        calls.remove(number);
    }

    private static Call registered(int number) {
        WeakReference<Call> found = calls.get(number);
        return found == null ? null : found.get();
    }

    private static void progress(int number, long done, long total) {
        Call call = registered(number);
        if (call != null) {
            call.hearProgress(done, total);
        }
    }

    private static void log(int number, int level, byte[] message) {
        Call call = registered(number);
        if (call != null) {
            call.hearLog(level, message);
        }
    }

    private static void told(int number, int kind, byte[] message) {
        Call call = registered(number);
        if (call != null) {
            call.hearTraining(kind, message);
        }
    }
}
