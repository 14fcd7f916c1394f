package dev.reprise;

/** What a task gave for one input: its value, or why there is none. */
public final class Result<T> {
    private final T value;
    private final RepriseException error;
    private final boolean truncated;
    private final int tokens;
    private final int tokensRead;

    Result(T value, RepriseException error, boolean truncated, int tokens, int tokensRead) {
        this.value = value;
        this.error = error;
        this.truncated = truncated;
        this.tokens = tokens;
        this.tokensRead = tokensRead;
    }

    /** The value. A {@link RepriseException} when this input could not be used. */
    public T value() {
        if (error != null) {
            throw error;
        }
        return value;
    }

    /** Why there is no value; null: there is one. */
    public RepriseException error() {
        return error;
    }

    /** Whether the input was longer than the model takes, and was cut. */
    public boolean truncated() {
        return truncated;
    }

    /** The tokens of the input, those included that were cut. */
    public int tokens() {
        return tokens;
    }

    /** The tokens that the model was given. */
    public int tokensRead() {
        return tokensRead;
    }

    @Override
    public String toString() {
        return error == null ? String.valueOf(value) : String.valueOf(error.getMessage());
    }
}
