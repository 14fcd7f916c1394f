# A toolchain file for Debian's mingw-w64: cmake -DCMAKE_TOOLCHAIN_FILE=tools/windows/mingw.cmake, with
# -DREPRISE_GLSLANG=OFF -DREPRISE_TESTS=OFF -DREPRISE_SHADERPACK=<a native build>/shaderpack.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc-posix)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
set(CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)

# Headers of this machine's packages that hold for Windows as well; the others of /usr/include do not.
set(REPRISE_HOST_HEADERS ${CMAKE_BINARY_DIR}/host-headers)
file(MAKE_DIRECTORY ${REPRISE_HOST_HEADERS})
foreach(header xxhash.h volk.h volk.c vulkan vk_video)
  if(EXISTS /usr/include/${header} AND NOT EXISTS ${REPRISE_HOST_HEADERS}/${header})
    file(CREATE_LINK /usr/include/${header} ${REPRISE_HOST_HEADERS}/${header} SYMBOLIC)
  endif()
endforeach()
set(REPRISE_XXHASH_INCLUDE_DIR ${REPRISE_HOST_HEADERS} CACHE PATH "")
set(REPRISE_VOLK_INCLUDE_DIR ${REPRISE_HOST_HEADERS} CACHE PATH "")
set(REPRISE_VULKAN_INCLUDE_DIR ${REPRISE_HOST_HEADERS} CACHE PATH "")
