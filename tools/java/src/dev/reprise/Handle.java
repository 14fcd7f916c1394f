package dev.reprise;

import java.util.ArrayList;
import java.util.List;

/** A pointer of the library that several threads use and one closes. A call holds it; closing waits for calls, and for those
 * of what was opened on it, and a call after that is an IllegalStateException. */
final class Handle {
    private final String what;
    private final int closer;
    private final Handle[] parents;
    private final List<Handle> children = new ArrayList<Handle>();
    private final List<Thread> users = new ArrayList<Thread>();
    private Object kept; // what the library uses as long as this is open
    private long pointer;
    private boolean closing;
    private boolean closed;
    private Net net;

    /** {@code closer} is the function that closes it; the caller has entered {@code parents}. */
    Handle(String what, long pointer, int closer, Object kept, Handle... parents) {
        this.what = what;
        this.pointer = pointer;
        this.closer = closer;
        this.kept = kept;
        this.parents = parents;
        for (Handle parent : parents) {
            synchronized (parent) {
                parent.children.add(this);
            }
        }
    }

    /** Close it once nobody can reach {@code owner}. */
    Handle watch(Object owner) {
        final Handle self = this;
        net = new Net(owner) {
            @Override
            void free() {
                self.close();
            }
        };
        return this;
    }

    /** The pointer, which stays open until {@link #exit}. */
    synchronized long enter() {
        if (closing) {
            throw new IllegalStateException("this " + what + " is closed");
        }
        users.add(Thread.currentThread());
        return pointer;
    }

    /** The same pointer, for a caller that has entered. */
    synchronized long pointer() {
        return pointer;
    }

    synchronized void exit() {
        users.remove(Thread.currentThread());
        if (closing && users.isEmpty()) {
            notifyAll();
        }
    }

    private List<Handle> childrenNow() {
        synchronized (this) {
            return new ArrayList<Handle>(children);
        }
    }

    private void refuseInside() {
        synchronized (this) {
            if (users.contains(Thread.currentThread())) {
                throw new IllegalStateException(
                        "this " + what + " is in use: its own callback closes it; close it after the call");
            }
        }
        for (Handle child : childrenNow()) {
            child.refuseInside();
        }
    }

    /** Close it and what was opened on it, after the calls that use them. Any number of times. */
    void close() {
        close(closer);
    }

    /** The same by another function than the usual one. */
    void close(int closer) {
        refuseInside();
        if (begin()) {
            try {
                for (Handle child : childrenNow()) {
                    child.close();
                }
                Native.run(closer, new Out().i64(pointer));
            } finally {
                end();
            }
        }
    }

    /** True for the one thread that is to close it, once nobody uses it; others wait until it is closed. */
    private synchronized boolean begin() {
        boolean first = !closing;
        closing = true;
        boolean interrupted = false;
        while (first ? !users.isEmpty() : !closed) {
            try {
                wait();
            } catch (InterruptedException later) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        return first;
    }

    private void end() {
        synchronized (this) {
            closed = true;
            pointer = 0;
            kept = null;
            notifyAll();
        }
        if (net != null) {
            net.release();
        }
        for (Handle parent : parents) {
            synchronized (parent) {
                parent.children.remove(this);
            }
        }
    }
}
