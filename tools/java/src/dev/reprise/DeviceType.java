package dev.reprise;

/** What a device is: rp_device_type of device.h. */
public enum DeviceType {
    OTHER,
    INTEGRATED,
    DISCRETE,
    VIRTUAL,
    /** A software driver. */
    CPU
}
