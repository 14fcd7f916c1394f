/* Of POSIX; what the command takes of it is in posix.h. */
