/* Status codes and error messages, shared by every function of the library.
 *
 * Every function that can fail returns an rp_status. Most also take an `rp_error *` (NULL is allowed) and, on
 * failure, write one sentence there that names the file, the field or the device, and what to do about it.
 * The library never prints, exits or aborts. */
#ifndef REPRISE_STATUS_H
#define REPRISE_STATUS_H

#if defined(_WIN32)
#define RP_API __declspec(dllexport)
#else
#define RP_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rp_status {
    RP_OK = 0,
    RP_ERROR_ARGUMENT, /* the caller broke a rule of this function (a NULL handle, an index out of range) */
    RP_ERROR_FILE,     /* a file or folder is missing or cannot be read */
    RP_ERROR_FORMAT,   /* a file is damaged, or contradicts another file of the same model */
    RP_ERROR_UNSUPPORTED, /* a legal model, file or request that this version or device cannot serve */
    RP_ERROR_TEXT,        /* an input text or token sequence cannot be used */
    RP_ERROR_HEAD,        /* the model has no head for this task */
    RP_ERROR_DEVICE, /* no Vulkan loader, no usable device, or a Vulkan call failed; or a forked process */
    RP_ERROR_DEVICE_LOST,   /* the device stopped answering while it worked; the next call opens it again */
    RP_ERROR_HOST_MEMORY,   /* out of host memory */
    RP_ERROR_DEVICE_MEMORY, /* out of device memory */
    RP_ERROR_STOPPED,       /* rp_device_stop was called, or a progress handler said so */
    RP_ERROR_NETWORK,       /* a hub cannot be reached, refuses, or asks to wait */
    RP_ERROR_CANCELLED,     /* rp_call_cancel was called */
    RP_ERROR_DEADLINE,      /* rp_call.deadline has passed */
    RP_ERROR_BUSY,          /* a queue is full: try again later */
} rp_status;

/* Where a failing call explains itself. The message is UTF-8, NUL-terminated and cut to fit.
 * Owned by the caller; written only on failure. One rp_error must not be shared by two threads at a time. */
typedef struct rp_error {
    rp_status status;
    char message[508];
} rp_error;

/* A short constant name of a status, such as "device lost". Never NULL. Thread-safe. */
RP_API const char *rp_status_name(rp_status status);

/* The version of the library that is running, such as "0.2.0". Thread-safe. */
RP_API const char *rp_version(void);

#ifdef __cplusplus
}
#endif
#endif
