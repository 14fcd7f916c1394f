package dev.reprise;

import java.util.ArrayList;
import java.util.List;

/** A model on a device. Any thread may use it: calls take turns, batch by batch.
 *
 * <pre>{@code
 * try (Device device = Device.open(); Model model = Model.open(device, "sentiment")) {
 *     for (Label label : model.classify("a warm and funny film")) {
 *         System.out.println(label.name + " " + label.score);
 *     }
 * }
 * }</pre> */
public final class Model implements AutoCloseable {
    private static final int OPEN = Native.function("model_open");
    private static final int OPEN_RECORDS = Native.function("model_open_records");
    private static final int EVALUATE = Native.function("evaluate");
    private static final int CLOSE = Native.function("model_close");
    private static final int INFO = Native.function("model_info");
    final Handle handle;
    private final Device device;

    private Model(Device device, String name, List<Record> records, Options options, Call call) {
        this.device = device;
        Out out = new Out();
        long pointer = device.handle.enter();
        try {
            out.i64(pointer);
            if (records == null) {
                out.name(name, "name");
            }
            options.write(out);
            List<Object> kept = new ArrayList<Object>();
            kept.add(device);
            if (records != null) {
                Record.write(out, records);
                for (Record record : records) {
                    kept.add(record.memory());
                }
            }
            long opened = Native.run(records == null ? OPEN : OPEN_RECORDS, out, call).i64();
            handle = new Handle("model", opened, CLOSE, kept, device.handle);
        } finally {
            device.handle.exit();
        }
        handle.watch(this);
    }

    /** Open a folder, a model that comes along ("sentiment"), or one in the hub's cache ("org/name"). */
    public static Model open(Device device, String name) {
        return new Model(device, name, null, new Options(), null);
    }

    /** The same with options; {@code call} may be null. */
    public static Model open(Device device, String name, Options options, Call call) {
        return new Model(device, name, null, options, call);
    }

    /** Open records, which stand for the files of a folder; {@code call} may be null. */
    public static Model open(Device device, List<Record> records, Options options, Call call) {
        return new Model(device, null, records, options, call);
    }

    /** How to open a model: rp_model_params of model.h. */
    public static final class Options {
        private int maxBatchTokens;
        private Precision precision;
        private Head head;

        /** The most tokens in one batch. */
        public Options maxBatchTokens(int maxBatchTokens) {
            this.maxBatchTokens = maxBatchTokens;
            return this;
        }

        /** How weights are stored on the device. */
        public Options precision(Precision precision) {
            this.precision = precision;
            return this;
        }

        /** Which head the tensors called classifier, or qa_outputs, belong to, whatever config.json names. */
        public Options head(Head head) {
            this.head = head;
            return this;
        }

        void write(Out out) {
            out.i32(maxBatchTokens).word(precision).i32(head == null ? 0 : head.bit());
        }
    }

    /** The device that it is open on. */
    public Device device() {
        return device;
    }

    /** What it is. */
    public ModelInfo info() {
        long pointer = handle.enter();
        try {
            return new ModelInfo(Native.run(INFO, new Out().i64(pointer)));
        } finally {
            handle.exit();
        }
    }

    /** Its tokenizer, which is closed with it; null: it has none. */
    public Tokenizer tokenizer() {
        long pointer = info().tokenizer;
        return pointer == 0 ? null : new Tokenizer(this, pointer);
    }

    /** Measure it on a file of labelled data; {@code call} may be null. */
    public Evaluation evaluate(String file, EvaluationOptions options, Call call) {
        Out out = new Out();
        long pointer = handle.enter();
        try {
            out.i64(pointer).name(file, "file");
            options.write(out);
            return new Evaluation(Native.run(EVALUATE, out, call));
        } finally {
            handle.exit();
        }
    }

    /** Answer a request: a result for each input, in their order. */
    public <T> List<Result<T>> run(Request<T> request) {
        return request.answers(handle, null);
    }

    /** The same under a call, which may end it or hear how it goes. */
    public <T> List<Result<T>> run(Request<T> request, Call call) {
        return request.answers(handle, call);
    }

    /** Answer a request with a line of JSON for each input, as the command prints it with --json. */
    public List<String> json(Request<?> request) {
        return request.json(handle, Offsets.CODE_POINTS, null);
    }

    /** The same with places counted as {@code offsets} says, under a call, which may be null. */
    public List<String> json(Request<?> request, Offsets offsets, Call call) {
        return request.json(handle, offsets, call);
    }

    /** The labels of a text, best first. */
    public List<Label> classify(String text) {
        return run(new Classify(text)).get(0).value().labels;
    }

    /** The vector of a text. */
    public float[] embed(String text) {
        return run(new Embed(text)).get(0).value().values;
    }

    /** The entities that a text names, in reading order. */
    public List<Entity> tag(String text) {
        return run(new Tag(text)).get(0).value();
    }

    /** The part of a context that answers a question. */
    public Answer answer(String question, String context) {
        return run(new Ask().add(question, context)).get(0).value().get(0);
    }

    /** Close it after the calls that use it. Any number of times. */
    @Override
    public void close() {
        handle.close();
    }
}
