// operator new of the library's one C++ file, for the test that makes it fail: the linker sends its calls
// here.
#include <cstddef>
#include <new>

extern "C" bool fault_new(void);
extern "C" void *__real__Znwm(std::size_t size);
extern "C" void *__wrap__Znwm(std::size_t size);

void *__wrap__Znwm(std::size_t size) {
    if (fault_new()) throw std::bad_alloc();
    return __real__Znwm(size);
}
