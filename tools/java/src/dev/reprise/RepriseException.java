package dev.reprise;

/** What the library says of a call, or of one input, that failed. */
public final class RepriseException extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final Status status;

    RepriseException(Status status, String message) {
        super(message);
        this.status = status;
    }

    /** Which kind of failure it is: {@link Status#CANCELLED} after {@link Call#cancel}, for instance. */
    public Status status() {
        return status;
    }
}
