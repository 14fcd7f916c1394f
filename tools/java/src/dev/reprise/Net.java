package dev.reprise;

import java.lang.ref.PhantomReference;
import java.lang.ref.ReferenceQueue;
import java.util.Collections;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Frees what belongs to an object that nobody closed, once nobody can reach it: what java.lang.ref.Cleaner does on systems
 * that have one. */
abstract class Net extends PhantomReference<Object> {
    private static final ReferenceQueue<Object> gone = new ReferenceQueue<Object>();
    private static final Set<Net> watched = Collections.newSetFromMap(new ConcurrentHashMap<Net, Boolean>());

    static {
        Thread thread = new Thread("reprise-net") {
            @Override
            public void run() {
                while (true) {
                    try {
                        Net net = (Net) gone.remove();
                        watched.remove(net);
                        net.free();
                    } catch (InterruptedException again) {
                        continue;
                    } catch (RuntimeException unheard) {
                        continue; // nobody is there to hear it
                    }
                }
            }
        };
        thread.setDaemon(true);
        thread.start();
    }

    Net(Object owner) {
        super(owner, gone);
        watched.add(this);
    }

    /** Called once, when the owner is gone. Must not refer to the owner. */
    abstract void free();

    /** The owner was closed: there is nothing to free. */
    void release() {
        watched.remove(this);
        clear();
    }
}
