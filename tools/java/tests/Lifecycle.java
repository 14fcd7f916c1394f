import dev.reprise.Call;
import dev.reprise.Classify;
import dev.reprise.Device;
import dev.reprise.Label;
import dev.reprise.Model;
import dev.reprise.Reprise;
import dev.reprise.RepriseException;
import dev.reprise.Result;
import dev.reprise.Status;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/** Opening, closing, texts that are none, cancelling, and objects that nobody closes. */
final class Lifecycle {
    private Lifecycle() {
    }

    static void texts(Device device) {
        try (final Model model = Model.open(device, "sentiment")) {
            Checks.fails(IllegalArgumentException.class, "input 1: character 2 is half of a pair", () -> model.run(new Classify("ok", "a \ud800")));
            Checks.fails(IllegalArgumentException.class, "input 0: character 0 is half of a pair", () -> model.run(new Classify("\udc00x")));
            Checks.fails(IllegalArgumentException.class, "input 0: character 1 is half of a pair", () -> model.run(new Classify("x\ud800\ud800\udc00")));
            Checks.fails(IllegalArgumentException.class, "input 0: character 3", () -> model.run(new Classify().add("good", "abc\ud800")));
            Checks.fails(NullPointerException.class, "input 1 is null", () -> model.run(new Classify("ok", null)));
            Checks.fails(IllegalArgumentException.class, "NUL", () -> Model.open(device, "senti\0ment"));
            RepriseException none = Checks.refused("nowhere", () -> Model.open(device, "/nowhere"));
            Checks.equal(Status.FILE, none.status(), "status");
            Checks.refused("cannot do tag", () -> model.tag("a"));
            Checks.equal(0, model.run(new Classify()).size(), "no inputs");
            List<Label> labels = model.classify("a warm and funny film");
            Checks.equal("POSITIVE", labels.get(0).name, "label");
            Checks.equal(Arrays.asList("NEGATIVE", "POSITIVE"), model.info().labels, "labels");
            Result<?> cut = model.run(new Classify(Odd.repeat("long ", 2000))).get(0);
            Checks.that(cut.truncated() && cut.tokensRead() < cut.tokens() && cut.tokensRead() == model.info().maxTokens, "truncated");
            Result<?> bad = model.run(new Classify(Odd.repeat("x", 5 << 20))).get(0);
            Checks.equal(Status.TEXT, bad.error().status(), "too long");
            Checks.refused("", () -> bad.value());
        }
    }

    static void closing(Device device) {
        Model model = Model.open(device, "sentiment");
        model.close();
        model.close();
        Checks.fails(IllegalStateException.class, "this model is closed", () -> model.classify("a"));
        Checks.fails(IllegalStateException.class, "this model is closed", () -> model.info());
        Device other = Device.open();
        Model left = Model.open(other, "sentiment");
        other.close();
        Checks.fails(IllegalStateException.class, "this model is closed", () -> left.classify("a"));
        Checks.fails(IllegalStateException.class, "this device is closed", () -> Model.open(other, "sentiment"));
        left.close();
        other.close();
    }

    /** Eight threads run while one closes: each call answers, or finds the model closed. */
    static void closingWhileCallsRun(Device device) throws Exception {
        for (int round = 0; round < 3; round++) {
            final Model model = Model.open(device, "sentiment");
            final String expected = model.classify("a warm and funny film").toString();
            final List<Throwable> wrong = Collections.synchronizedList(new ArrayList<Throwable>());
            final AtomicInteger begun = new AtomicInteger();
            Thread[] threads = new Thread[8];
            for (int i = 0; i < threads.length; i++) {
                threads[i] = new Thread(() -> {
                    try {
                        while (true) {
                            String actual = model.classify("a warm and funny film").toString();
                            Checks.equal(expected, actual, "labels");
                            begun.incrementAndGet();
                        }
                    } catch (IllegalStateException closed) {
                        if (!closed.getMessage().contains("closed")) {
                            wrong.add(closed);
                        }
                    } catch (Throwable raised) {
                        wrong.add(raised);
                    }
                });
                threads[i].start();
            }
            while (begun.get() < 4) {
                Thread.sleep(1);
            }
            Thread second = new Thread(() -> model.close());
            second.start();
            model.close();
            Checks.fails(IllegalStateException.class, "closed", () -> model.classify("a"));
            second.join();
            for (Thread thread : threads) {
                thread.join();
            }
            Checks.equal(Collections.emptyList(), wrong, "closing while calls run");
        }
    }

    static void calls(Device device) throws Exception {
        final Model model = Model.open(device, "sentiment");
        final List<String> told = new ArrayList<String>();
        model.run(new Classify(Odd.texts()), new Call() {
            @Override
            protected void progress(long done, long total) {
                told.add(done + "/" + total);
            }
        });
        Checks.equal("65/65", told.get(told.size() - 1), "progress");
        final Call cancelled = new Call();
        cancelled.cancel();
        Checks.equal(Status.CANCELLED, Checks.refused("", () -> model.run(new Classify("a"), cancelled)).status(), "cancelled");
        Checks.equal(Status.DEADLINE, Checks.refused("", () -> model.run(new Classify("a"), new Call(-1))).status(), "deadline");
        Checks.fails(ArithmeticException.class, "mine", () -> model.run(new Classify("a"), new Call() {
            @Override
            protected void progress(long done, long total) {
                throw new ArithmeticException("mine");
            }
        }));
        Checks.fails(IllegalStateException.class, "its own callback closes it", () -> model.run(new Classify("a"), new Call() {
            @Override
            protected void progress(long done, long total) {
                model.close();
            }
        }));
        Checks.fails(IllegalStateException.class, "its own callback closes it", () -> model.run(new Classify("a"), new Call() {
            @Override
            protected void progress(long done, long total) {
                model.device().close();
            }
        }));
        final Call later = new Call();
        Thread canceller = new Thread(() -> {
            try {
                Thread.sleep(200);
            } catch (InterruptedException none) {
                return;
            }
            later.cancel();
        });
        canceller.start();
        List<String> many = Collections.nCopies(100000, "an hour too long and not one laugh");
        Checks.equal(Status.CANCELLED, Checks.refused("", () -> model.run(new Classify(many), later)).status(), "cancelled from another thread");
        canceller.join();
        Checks.equal("POSITIVE", model.classify("a warm and funny film").get(0).name, "after all of it");
        model.close();
    }

    /** Models that nobody closes go away once nobody can reach them. */
    static void net() throws Exception {
        try (Device device = Device.open()) {
            long before = device.memoryUsed();
            for (int i = 0; i < 5; i++) {
                Checks.that(Model.open(device, "sentiment").info().labels.size() == 2, "labels");
            }
            for (int i = 0; i < 200 && device.memoryUsed() > before; i++) {
                System.gc();
                Thread.sleep(50);
            }
            Checks.equal(before, device.memoryUsed(), "memory of models that nobody closed");
        }
        Checks.that(Reprise.version().startsWith("0."), "version");
        Checks.that(!Reprise.devices().isEmpty(), "devices");
        Checks.that(Reprise.findModel("sentiment").endsWith("sentiment"), "find");
    }
}
