import dev.reprise.Classify;
import dev.reprise.Device;
import dev.reprise.Embed;
import dev.reprise.Model;

import java.io.File;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/** Eight threads on one model for a while: the same answers, and no more memory at the end than after a third of it. */
final class Threads {
    private Threads() {
    }

    /** Kilobytes of this process outside of what the machine has reserved for its heap, which is touched from the start. */
    static long memory() throws Exception {
        for (String line : Files.readAllLines(new File("/proc/self/status").toPath())) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", ""));
            }
        }
        throw new AssertionError("no VmRSS");
    }

    static void run(Device device, int seconds) throws Exception {
        final List<Throwable> wrong = Collections.synchronizedList(new ArrayList<Throwable>());
        final AtomicLong calls = new AtomicLong();
        long end = System.nanoTime() + seconds * 1000000000L;
        final long[] stop = {end};
        final List<String> texts = Same.ODD.subList(0, 55);
        try (final Model model = Model.open(device, "sentiment")) {
            final List<String> expected = model.json(new Classify(texts));
            final String vectors = model.json(new Embed("x")).get(0);
            Thread[] threads = new Thread[8];
            for (int i = 0; i < threads.length; i++) {
                final int first = i;
                threads[i] = new Thread(() -> {
                    try {
                        for (int k = first; System.nanoTime() < stop[0]; k = (k + 1) % texts.size()) {
                            Checks.equal(expected.get(k), model.json(new Classify(texts.get(k))).get(0), "labels of " + k);
                            if (k == 0) {
                                Checks.equal(vectors, model.json(new Embed("x")).get(0), "vectors");
                            }
                            calls.incrementAndGet();
                        }
                    } catch (Throwable raised) {
                        wrong.add(raised);
                    }
                });
                threads[i].start();
            }
            Thread.sleep(seconds * 1000L / 3);
            long before = memory();
            for (Thread thread : threads) {
                thread.join();
            }
            long after = memory();
            Checks.equal(Collections.emptyList(), wrong, "eight threads");
            System.out.println(calls + " calls; " + before + " KiB after a third of the time, " + after + " KiB at the end");
            Checks.that(after - before < 16384, "memory grew by " + (after - before) + " KiB");
        }
    }
}
