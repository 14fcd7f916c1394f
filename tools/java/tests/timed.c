/* Linked into a libreprise_jni of the test Overhead with -Wl,--wrap=rp_classify: when this thread entered
 * rp_classify and left it, in nanoseconds of the thread's processor time. */
#define _GNU_SOURCE
#include <jni.h>
#include <reprise/reprise.h>
#include <time.h>

static _Thread_local jlong entered, left;

static jlong now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (jlong)t.tv_sec * 1000000000 + t.tv_nsec;
}

rp_status __real_rp_classify(rp_model *model, const rp_input *inputs, size_t count,
                             const rp_classify_params *params, rp_result **out, rp_error *err);
rp_status __wrap_rp_classify(rp_model *model, const rp_input *inputs, size_t count,
                             const rp_classify_params *params, rp_result **out, rp_error *err);

rp_status __wrap_rp_classify(rp_model *model, const rp_input *inputs, size_t count,
                             const rp_classify_params *params, rp_result **out, rp_error *err) {
    entered = now();
    rp_status status = __real_rp_classify(model, inputs, count, params, out, err);
    left = now();
    return status;
}

JNIEXPORT jlong JNICALL Java_Overhead_now(JNIEnv *env, jclass class) {
    (void)env;
    (void)class;
    return now();
}

JNIEXPORT jlong JNICALL Java_Overhead_inside(JNIEnv *env, jclass class) {
    (void)env;
    (void)class;
    return left - entered;
}
