package dev.reprise;

/** A Vulkan device. Any thread may use it. It is closed with the models that are open on it, or once nobody can reach it. */
public final class Device implements AutoCloseable {
    private static final int OPEN = Native.function("device_open");
    private static final int CLOSE = Native.function("device_close");
    private static final int INFO = Native.function("device_info");
    private static final int MEMORY = Native.function("device_memory");
    private static final int STOP = Native.function("device_stop");
    final Handle handle;

    private Device(Options options) {
        Out out = new Out().i32(options.index + 1).name(options.name, "name").name(options.cacheDir, "cacheDir")
                .name(options.shaderDir, "shaderDir").name(options.tryProgram, "tryProgram");
        handle = new Handle("device", Native.run(OPEN, out, options.log).i64(), CLOSE, options.log).watch(this);
    }

    /** The best device: discrete, then integrated, virtual, CPU. */
    public static Device open() {
        return new Device(new Options());
    }

    /** The device that the options ask for. */
    public static Device open(Options options) {
        return new Device(options);
    }

    /** How to choose and open a device: rp_device_params of device.h. */
    public static final class Options {
        private int index = -1;
        private String name;
        private String cacheDir;
        private String shaderDir;
        private String tryProgram;
        private Call log;

        /** Its index in {@link Reprise#devices}. */
        public Options index(int index) {
            this.index = index;
            return this;
        }

        /** A part of its name or of its driver's. */
        public Options name(String name) {
            this.name = name;
            return this;
        }

        /** Where the library keeps pipelines, times and verdicts of kernels; "": nowhere. An Android app passes
         * {@code context.getCodeCacheDir().getPath()}. */
        public Options cacheDir(String cacheDir) {
            this.cacheDir = cacheDir;
            return this;
        }

        /** A folder of GLSL to compile in place of the shaders in the library. */
        public Options shaderDir(String shaderDir) {
            this.shaderDir = shaderDir;
            return this;
        }

        /** A program that tries kernels in a process of its own; "": none. */
        public Options tryProgram(String tryProgram) {
            this.tryProgram = tryProgram;
            return this;
        }

        /** Whose {@link Call#log} hears what is found in calls that have no log of their own. */
        public Options log(Call log) {
            this.log = log;
            return this;
        }
    }

    /** What the driver says of it. */
    public DeviceInfo info() {
        return new DeviceInfo(ask(INFO));
    }

    /** Bytes of device memory that the library has allocated now. */
    public long memoryUsed() {
        return ask(MEMORY).i64();
    }

    /** Stop trying kernels: openings of models that try some, now or later, end with {@link Status#STOPPED}. */
    public void stop() {
        ask(STOP);
    }

    private In ask(int function) {
        long pointer = handle.enter();
        try {
            return Native.run(function, new Out().i64(pointer));
        } finally {
            handle.exit();
        }
    }

    /** Close it and the models that are open on it, after the calls that use them. Any number of times. */
    @Override
    public void close() {
        handle.close();
    }
}
