#!/usr/bin/env bash
# tools/testbeds musl [TARGET...]: what can be shown of Android on a machine without its NDK.
#
# PyPI's ziglang compiles every C file of the library and the command for musl, a C library that has little beyond POSIX as
# Android's has, for each of Android's ABIs, with warnings as errors. Then tests/test_symbols.sh looks at each library: its
# exports, the alignment of its segments, what it asks of the process, and that Android has all that it calls
# (tests/bionic_symbols.txt). In build-testbeds/musl; some minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh
work=$PWD/build-testbeds/musl
mkdir -p "$work/include"
[ -x "$work/python/bin/python" ] || quietly "$work/python.log" python3 -m venv "$work/python"
quietly "$work/pip.log" "$work/python/bin/python" -m pip install --quiet ziglang
zig=$("$work/python/bin/python" -c 'import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), "zig"))')
packer=${REPRISE_SHADERPACK-}
if [ -z "$packer" ]; then
    say "Building the program that packs shaders"
    quietly "$work/native.log" cmake -S . -B "$work/native" -G Ninja -DREPRISE_TOOLS=OFF -DREPRISE_TESTS=OFF
    quietly "$work/native.log" ninja -C "$work/native" reprise_shaderpack
    packer=$work/native/shaderpack
fi
for header in vulkan vk_video volk.h xxhash.h; do # of the system's headers, those that every machine shares
    for place in /usr/include /usr/local/include; do
        [ ! -e "$place/$header" ] || ln -sfn "$place/$header" "$work/include/$header"
    done
done
[ $# != 0 ] || set -- aarch64-linux-musl arm-linux-musleabihf x86_64-linux-musl x86-linux-musl
for target; do
    say "Building for $target"
    out=$work/$target
    mkdir -p "$out"
    printf '#!/bin/sh\nexec %s cc -target %s -Werror "$@"\n' "$zig" "$target" >"$out/cc"
    printf '#!/bin/sh\nexec %s ar "$@"\n' "$zig" >"$out/ar"
    printf '#!/bin/sh\nexec %s ranlib "$@"\n' "$zig" >"$out/ranlib"
    chmod +x "$out/cc" "$out/ar" "$out/ranlib"
    quietly "$out/configure.log" cmake -S . -B "$out" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_SYSTEM_NAME=Linux \
        -DCMAKE_SYSTEM_PROCESSOR="${target%%-*}" -DCMAKE_C_COMPILER="$out/cc" -DCMAKE_AR="$out/ar" \
        -DCMAKE_RANLIB="$out/ranlib" -DREPRISE_TESTS=OFF -DREPRISE_GLSLANG=OFF -DREPRISE_SHADERPACK="$packer" \
        -DREPRISE_XXHASH_INCLUDE_DIR="$work/include" -DREPRISE_VOLK_INCLUDE_DIR="$work/include" \
        -DREPRISE_VULKAN_INCLUDE_DIR="$work/include"
    quietly "$out/build.log" ninja -C "$out" reprise reprise_cli reprise_try
    REPRISE_SYMBOLS_OF_MUSL=1 sh tests/test_symbols.sh "$PWD" "$out" "$out/symbols"
done
say "Every ABI passed"
