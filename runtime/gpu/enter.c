/* Entering a device: calls share it, a lost one is opened again while no call is in it, and a forked process
 * leaves it alone. */

#include "base/os.h"
#include "gpu/device.h"

/* ---- fork ---- */

bool rp_device_forked(const rp_device *device) {
    return device->owner != rp_os_process();
}

rp_status rp_device_check_owner(const rp_device *device, rp_error *err) {
    if (!rp_device_forked(device)) return RP_OK;
    return rp_fail(err, RP_ERROR_DEVICE,
                   "%s was opened by process %ld, and this is %ld, forked from it: a device cannot be used "
                   "across a fork; open it, and its models, after the fork",
                   device->caps.info.name, (long)device->owner, (long)rp_os_process());
}

/* ---- loss ---- */

/* Open the device again, after its users have destroyed their objects. This thread is alone with it. */
static rp_status reopen(rp_device *device, rp_error *err) {
    rp_error why = {0};
    for (rp_device_user *user = device->users; user; user = user->next) user->drop(user);
    rp_device_disconnect(device);
    rp_status status = rp_device_connect(device, &why);
    device->lost = status != RP_OK;
    if (!status) return RP_OK;
    return rp_fail(err, status, "%s was lost and could not be opened again: %s", device->caps.info.name,
                   why.message);
}

rp_status rp_device_enter(rp_device *device, rp_error *err) {
    rp_status status = rp_device_check_owner(device, err);
    for (bool again = false; !status; again = true) {
        pthread_rwlock_rdlock(&device->entered);
        if (!device->lost) return RP_OK;
        pthread_rwlock_unlock(&device->entered);
        if (again) /* other threads lose it as fast as this one opens it */
            return rp_fail(err, RP_ERROR_DEVICE_LOST,
                           "%s was lost again as soon as it had been opened again; use smaller batches, or "
                           "update the driver",
                           device->caps.info.name);
        pthread_rwlock_wrlock(&device->entered);
        bool lost = device->lost;
        if (lost) status = reopen(device, err);
        pthread_rwlock_unlock(&device->entered);
        if (lost && !status)
            rp_log_say(&device->log, RP_LOG_WARNING,
                       "%s was lost, and has been opened again; if that comes often, update the driver",
                       device->caps.info.name);
    }
    return status;
}

void rp_device_enter_to_close(rp_device *device) {
    pthread_rwlock_rdlock(&device->entered);
}

rp_status rp_device_leave(rp_device *device, rp_status status) {
    if (status == RP_ERROR_DEVICE_LOST) device->lost = true;
    pthread_rwlock_unlock(&device->entered);
    return status;
}
