// The operators of C++ as the standard has them, over malloc and free: what the test that makes malloc fail
// puts in the place of a sanitizer's, which have no new handler and do not call malloc.
#include <cstdlib>
#include <new>

static void *get(std::size_t size, std::size_t alignment) {
    for (;;) {
        void *memory = alignment ? aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment)
                                 : malloc(size ? size : 1);
        if (memory) return memory;
        const std::new_handler handler = std::get_new_handler();
        if (!handler) throw std::bad_alloc();
        handler();
    }
}

static void *get_or_null(std::size_t size) noexcept {
    try {
        return get(size, 0);
    } catch (const std::bad_alloc &) {
        return nullptr;
    }
}

#define EXPORT __attribute__((visibility("default")))
EXPORT void *operator new(std::size_t size) {
    return get(size, 0);
}
EXPORT void *operator new[](std::size_t size) {
    return get(size, 0);
}
EXPORT void *operator new(std::size_t size, const std::nothrow_t &) noexcept {
    return get_or_null(size);
}
EXPORT void *operator new[](std::size_t size, const std::nothrow_t &) noexcept {
    return get_or_null(size);
}
EXPORT void *operator new(std::size_t size, std::align_val_t a) {
    return get(size, std::size_t(a));
}
EXPORT void *operator new[](std::size_t size, std::align_val_t a) {
    return get(size, std::size_t(a));
}
EXPORT void operator delete(void *memory) noexcept {
    free(memory);
}
EXPORT void operator delete[](void *memory) noexcept {
    free(memory);
}
EXPORT void operator delete(void *memory, std::size_t) noexcept {
    free(memory);
}
EXPORT void operator delete[](void *memory, std::size_t) noexcept {
    free(memory);
}
EXPORT void operator delete(void *memory, const std::nothrow_t &) noexcept {
    free(memory);
}
EXPORT void operator delete[](void *memory, const std::nothrow_t &) noexcept {
    free(memory);
}
EXPORT void operator delete(void *memory, std::align_val_t) noexcept {
    free(memory);
}
EXPORT void operator delete[](void *memory, std::align_val_t) noexcept {
    free(memory);
}
EXPORT void operator delete(void *memory, std::size_t, std::align_val_t) noexcept {
    free(memory);
}
EXPORT void operator delete[](void *memory, std::size_t, std::align_val_t) noexcept {
    free(memory);
}
