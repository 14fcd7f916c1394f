package dev.reprise;

/** What the driver says of a device: rp_device_info of device.h. */
public final class DeviceInfo {
    private static final DeviceType[] TYPES = DeviceType.values();
    public final int index;
    public final String name;
    public final String driver;
    /** The version of Vulkan, packed as VK_MAKE_API_VERSION does. */
    public final int apiVersion;
    public final int vendorId;
    public final int deviceId;
    public final DeviceType type;
    /** The size of the largest heap of the device's own memory. */
    public final long memoryBytes;
    public final boolean usable;
    /** Why it is not usable; empty where it is. */
    public final String reason;

    DeviceInfo(In in) {
        index = in.i32();
        name = in.name();
        driver = in.name();
        apiVersion = in.i32();
        vendorId = in.i32();
        deviceId = in.i32();
        int number = in.i32();
        type = number < TYPES.length ? TYPES[number] : DeviceType.OTHER;
        memoryBytes = in.i64();
        usable = in.flag();
        reason = in.name();
    }

    @Override
    public String toString() {
        return name + ", " + driver;
    }
}
