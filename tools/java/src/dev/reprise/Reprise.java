package dev.reprise;

import java.util.ArrayList;
import java.util.List;

/** What needs no device. */
public final class Reprise {
    private static final int VERSION = Native.function("version");
    private static final int FIND_MODEL = Native.function("find_model");
    private static final int DEVICES = Native.function("devices");

    private static final int CONVERT = Native.function("convert");

    private Reprise() {
    }

    /** The version of the library, such as "0.2.0". */
    public static String version() {
        return Native.run(VERSION, new Out()).name();
    }

    /** The folder that a model's name means. Uses no network. */
    public static String findModel(String name) {
        return Native.run(FIND_MODEL, new Out().name(name, "name")).name();
    }

    /** Every Vulkan device of this machine, unusable ones too. */
    public static List<DeviceInfo> devices() {
        In in = Native.run(DEVICES, new Out());
        int count = in.i32();
        List<DeviceInfo> devices = new ArrayList<DeviceInfo>(count);
        for (int i = 0; i < count; i++) {
            devices.add(new DeviceInfo(in));
        }
        return devices;
    }

    /** Write a model's folder anew, as Hugging Face's libraries read it, with weights as they are or of another precision
     * ({@link Precision#F32} or {@link Precision#F16}). */
    public static void convert(String model, String out, Precision precision, boolean overwrite) {
        if (precision == Precision.INT8 || precision == Precision.INT4) {
            throw new IllegalArgumentException("precision: F32, F16 or DEFAULT");
        }
        Native.run(CONVERT, new Out().name(model, "model").name(out, "out").word(precision).flag(overwrite));
    }
}
