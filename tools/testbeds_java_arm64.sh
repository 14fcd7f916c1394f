#!/usr/bin/env bash
# tools/testbeds java-arm64: the Java classes on an arm64 Java machine with the checks of JNI, over an arm64 driver of the
# processor; QEMU emulates both. It runs the five lines of the README and two of tools/java/tests; some minutes.
#
# The library and JNI are cross-built in build-testbeds/aarch64, as for tools/testbeds aarch64. The machine is Debian's
# openjdk-17-jre-headless:arm64, unpacked into the cache; javac is this system's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh
. tools/testbeds_setup.sh
build=$PWD/build-testbeds
work=$build/java-arm64
cache=${REPRISE_TESTBEDS:-${XDG_CACHE_HOME:-$HOME/.cache}/reprise-testbeds}
. /etc/os-release
release=$VERSION_CODENAME
triplet=aarch64-linux-gnu
mkdir -p "$work/tmp" "$cache"
command -v javac >/dev/null || install_packages "$work/packages.log" openjdk-17-jdk-headless

aarch64
unpack aarch64-java arm64 all "$release" openjdk-17-jre-headless
machine=$cache/aarch64-java/usr/lib/jvm/java-17-openjdk-arm64
find "$machine" -type l -lname '/etc/*' | while read -r link; do # what is configured lies in the root, not in this system
    ln -sfn "$cache/aarch64-java$(readlink "$link")" "$link"
done

say "Building the library and JNI for aarch64"
quietly "$work/configure.log" cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release
quietly "$work/packer.log" ninja -C "$build" reprise_shaderpack
build_cross aarch64 "$triplet" "$triplet" reprise reprise_try
natives=$work/classes/dev/reprise/native/linux-aarch64
rm -rf "$work/classes" "$work/tests"
mkdir -p "$natives"/{lib,share} "$work/tests"
cp -L "$build"/aarch64/libreprise.so.[0-9].[0-9] "$natives/lib/"
soname=$(basename "$natives"/lib/*)
mkdir -p "$natives/share/reprise-${soname#libreprise.so.}/models"
cp -r tools/models/sentiment "$natives/share/reprise-${soname#libreprise.so.}/models/"
home=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
LD_LIBRARY_PATH=$cache/aarch64-tools/usr/lib/x86_64-linux-gnu quietly "$work/jni.log" "$cache/aarch64-tools/usr/bin/$triplet-gcc" \
    --sysroot="$cache/aarch64" -std=gnu11 -O2 -Wall -Wextra -fPIC -shared -Iinclude -Itools/java/jni -I"$home/include" \
    -I"$home/include/linux" tools/java/jni/*.c "$natives/lib/$soname" -Wl,-rpath,"\$ORIGIN" -o "$natives/lib/libreprise_jni.so"
(cd "$natives" && echo lib/libreprise_jni.so && find . -type f ! -name libreprise_jni.so -printf '%P\n') >"$work/files.txt"
mv "$work/files.txt" "$natives/files.txt"
javac --release 8 -Xlint:-options -encoding UTF-8 -d "$work/classes" tools/java/src/dev/reprise/*.java
javac --release 8 -Xlint:-options -encoding UTF-8 -cp "$work/classes" -d "$work/tests" tools/java/tests/*.java tools/java/Five.java

root=$cache/aarch64-trixie
libraries=$(library_path "$root" $triplet):$(library_path "$cache/aarch64-java" $triplet):$(library_path "$cache/aarch64" $triplet)
icd=$(icd_file "$root" $triplet lvp_icd)
java() {
    env VK_DRIVER_FILES="$icd" REPRISE_CACHE_DIR="$work/cache" MESA_SHADER_CACHE_DISABLE=true \
        "$cache/aarch64-tools/usr/bin/qemu-aarch64-static" -cpu neoverse-n1 -L "$root" -E "LD_LIBRARY_PATH=$libraries" \
        "$machine/bin/java" -Xcheck:jni -XX:+UseSerialGC -Djava.io.tmpdir="$work/tmp" -cp "$work/classes:$work/tests" "$@"
}
say "Running"
java -version
java Five 2>"$work/errors" | tee "$work/five"
[ "$(cut -c1-16 "$work/five")" = "POSITIVE 0.99862
NEGATIVE 0.00137" ]
java Tests tokenizer closing 2>>"$work/errors" | tee "$work/output"
! grep -E "^(WARNING|Warning|FATAL) ?.*(JNI|jni)" "$work/output" "$work/five" "$work/errors"
[ -z "$(ls "$work/tmp")" ] || { say "left behind: $(ls "$work/tmp")"; exit 1; }
say "java-arm64: passed"
