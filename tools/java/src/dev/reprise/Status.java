package dev.reprise;

/** Why a call failed: rp_status of status.h. */
public enum Status {
    OK, ARGUMENT, FILE, FORMAT, UNSUPPORTED, TEXT, HEAD, DEVICE, DEVICE_LOST, HOST_MEMORY, DEVICE_MEMORY, STOPPED, NETWORK,
    CANCELLED, DEADLINE, BUSY,
    /** A status of a later version. */
    OTHER;

    private static final Status[] ALL = values();

    static Status of(int number) {
        return number >= 0 && number < OTHER.ordinal() ? ALL[number] : OTHER;
    }
}
