/* The three functions that Java calls, and what the library calls in Java. */
#include "bridge.h"

#include <jni.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static JavaVM *machine;
static jclass native_class;                                /* dev.reprise.Native */
static jmethodID progress_method, log_method, told_method; /* static methods of it */

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM *vm, void *reserved) {
    (void)reserved;
    JNIEnv *env;
    if ((*vm)->GetEnv(vm, (void **)&env, JNI_VERSION_1_6) != JNI_OK) return JNI_ERR;
    jclass found = (*env)->FindClass(env, "dev/reprise/Native");
    if (!found) return JNI_ERR;
    machine = vm;
    native_class = (*env)->NewGlobalRef(env, found);
    (*env)->DeleteLocalRef(env, found);
    progress_method = (*env)->GetStaticMethodID(env, native_class, "progress", "(IJJ)V");
    if (progress_method) log_method = (*env)->GetStaticMethodID(env, native_class, "log", "(II[B)V");
    if (log_method) told_method = (*env)->GetStaticMethodID(env, native_class, "told", "(II[B)V");
    return told_method ? JNI_VERSION_1_6 : JNI_ERR;
}

/* ---- the library calls Java ---- */

/* The environment of this thread. `*attached`: it was none of Java's, and leave_java makes it so again. */
static JNIEnv *enter_java(bool *attached) {
    JNIEnv *env = NULL;
    *attached = false;
    if ((*machine)->GetEnv(machine, (void **)&env, JNI_VERSION_1_6) == JNI_OK) return env;
#ifdef __ANDROID__
    JNIEnv **slot = &env;
#else
    void **slot = (void **)&env;
#endif
    *attached = (*machine)->AttachCurrentThreadAsDaemon(machine, slot, NULL) == JNI_OK;
    return *attached ? env : NULL;
}

static void leave_java(JNIEnv *env, bool attached) {
    if ((*env)->ExceptionCheck(env)) (*env)->ExceptionClear(env); /* Native catches what it can */
    if (attached) (*machine)->DetachCurrentThread(machine);
}

/* The Java object of a call has this number (rp_java_call_init). */
static jint number_of(const void *user) {
    return (jint)(uintptr_t)user;
}

static void on_progress(void *user, size_t done, size_t total) {
    bool attached;
    JNIEnv *env = enter_java(&attached);
    if (!env) return;
    (*env)->CallStaticVoidMethod(env, native_class, progress_method, number_of(user), (jlong)done,
                                 (jlong)total);
    leave_java(env, attached);
}

static void say(jmethodID method, jint number, jint kind, const void *message, size_t size) {
    bool attached;
    JNIEnv *env = enter_java(&attached);
    if (!env) return;
    jbyteArray bytes = (*env)->NewByteArray(env, (jsize)size);
    if (bytes) {
        (*env)->SetByteArrayRegion(env, bytes, 0, (jsize)size, message);
        (*env)->CallStaticVoidMethod(env, native_class, method, number, kind, bytes);
        (*env)->DeleteLocalRef(env, bytes);
    }
    leave_java(env, attached);
}

static void on_log(void *user, rp_log_level level, const char *message) {
    say(log_method, number_of(user), (jint)level, message, strlen(message));
}

void rp_java_tell(const rp_call *call, int kind, const rp_java_out *message) {
    if (message->size) say(told_method, number_of(call->user), kind, message->data, message->size);
}

/* ---- Java calls the library ---- */

static const struct {
    const char *name;
    rp_java_function run;
} functions[] = {
#define FUNCTION(name) {#name, rp_java_##name},
#include "functions.def"
#undef FUNCTION
};
enum { FUNCTION_COUNT = sizeof functions / sizeof *functions };

/* Arguments: seconds from now (0: no deadline; NaN would be an error of the library), number of the Java
 * object, whether it hears of progress, and of the log. The memory of the call is that of the object. */
rp_status rp_java_call_init(rp_java_call *c, rp_error *err) {
    const double seconds = rp_java_f64(&c->in);
    const bool limited = rp_java_bool(&c->in);
    const int32_t number = rp_java_i32(&c->in);
    const bool progress = rp_java_bool(&c->in), log = rp_java_bool(&c->in);
    if (!c->call) c->in.bad = true;
    if (rp_java_done(&c->in, err)) return err->status;
    *c->call = (rp_call){.deadline = limited ? rp_clock() + seconds : 0,
                         .progress = progress ? on_progress : NULL,
                         .log = log ? on_log : NULL,
                         .user = (void *)(uintptr_t)(uint32_t)number};
    return RP_OK;
}

JNIEXPORT jint JNICALL Java_dev_reprise_Native_find(JNIEnv *env, jclass class, jbyteArray name) {
    (void)class;
    char text[64] = "";
    const jsize size = (*env)->GetArrayLength(env, name);
    if (size >= (jsize)sizeof text) return -1;
    (*env)->GetByteArrayRegion(env, name, 0, size, (jbyte *)text);
    for (int i = 0; i < FUNCTION_COUNT; i++)
        if (!strcmp(functions[i].name, text)) return i;
    return -1;
}

/* The rp_call in a direct buffer of at least its size; NULL: there is no buffer. */
static rp_call *call_of(JNIEnv *env, jobject buffer) {
    if (!buffer || (*env)->GetDirectBufferCapacity(env, buffer) < (jlong)sizeof(rp_call)) return NULL;
    return (*env)->GetDirectBufferAddress(env, buffer);
}

/* Run function `which`, and leave its whole reply in c->out. */
static void answer(rp_java_call *c, jint which) {
    rp_error err = {RP_ERROR_ARGUMENT, "there is no such function"};
    rp_java_put_i32(&c->out, RP_OK);
    rp_status status = RP_ERROR_ARGUMENT;
    if (which >= 0 && which < FUNCTION_COUNT) status = functions[which].run(c, &err);
    if (status == RP_OK && !c->out.short_of_memory) return;
    if (status == RP_OK) {
        status = RP_ERROR_HOST_MEMORY;
        snprintf(err.message, sizeof err.message, "no memory for the answers: ask for fewer at a time");
    }
    c->out.size = 0;
    c->out.short_of_memory = false;
    rp_java_put_i32(&c->out, (int32_t)status);
    rp_java_put_name(&c->out, err.message);
}

/* The reply, or NULL with an OutOfMemoryError of Java. `request` has `size` bytes of use. */
JNIEXPORT jbyteArray JNICALL Java_dev_reprise_Native_call(JNIEnv *env, jclass class, jint which,
                                                          jbyteArray request, jint size, jobject call) {
    (void)class;
    uint8_t small[2048], *bytes = small, reply[512];
    if (size < 0 || size > (*env)->GetArrayLength(env, request)) size = 0;
    if ((size_t)size > sizeof small) bytes = malloc((size_t)size);
    rp_java_call c = {.in = {bytes, bytes + size, false}, .call = call_of(env, call)};
    if (bytes) {
        (*env)->GetByteArrayRegion(env, request, 0, size, (jbyte *)bytes);
        answer(&c, which);
    }
    if (!c.out.size) { /* not even an error fits */
        c.out.data = c.out.data ? c.out.data : reply;
        memset(c.out.data, 0, 8);
        c.out.data[0] = RP_ERROR_HOST_MEMORY;
        c.out.size = 8;
    }
    jbyteArray made = (*env)->NewByteArray(env, (jsize)c.out.size);
    if (made) (*env)->SetByteArrayRegion(env, made, 0, (jsize)c.out.size, (const jbyte *)c.out.data);
    if (c.out.data != reply) free(c.out.data);
    if (bytes != small) free(bytes);
    return made;
}

JNIEXPORT void JNICALL Java_dev_reprise_Native_cancel(JNIEnv *env, jclass class, jobject call) {
    (void)class;
    rp_call_cancel(call_of(env, call));
}

/* Where the bytes of a direct buffer are; 0: it is no such buffer. */
JNIEXPORT jlong JNICALL Java_dev_reprise_Native_address(JNIEnv *env, jclass class, jobject buffer) {
    (void)class;
    return (jlong)(uintptr_t)(*env)->GetDirectBufferAddress(env, buffer);
}
