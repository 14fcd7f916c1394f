#!/usr/bin/env bash
# tools/testbeds java [--long]: build the jar and test it on the Java machines that are here, with the checks of JNI.
#
# It builds the command and the jar in build-testbeds/java, installs Debian's openjdk-17-jdk-headless where there is no JDK, and
# runs tools/java/tests on every JDK in /usr/lib/jvm: all tasks give the command's JSON byte for byte over odd texts, objects
# are closed while calls run, left alone, cancelled. With --long eight threads use one model for five minutes, not 20
# seconds. At the end a main jar whose manifest allows native access runs, and must say nothing else than its answer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh
work=$PWD/build-testbeds/java
seconds=20
[ "${1-}" != --long ] || seconds=300
mkdir -p "$work"/{tests,tmp}
export REPRISE_CACHE_DIR=$work/cache TMPDIR=$work/tmp LC_ALL=C.UTF-8
command -v javac >/dev/null || install_packages "$work/packages.log" openjdk-17-jdk-headless

say "Building the command and the jar"
quietly "$work/configure.log" cmake -S . -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DREPRISE_TESTS=OFF
quietly "$work/build.log" ninja -C "$work/build" reprise_cli reprise_shaderpack
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
    tools/java/tests/timed.c -Wl,--wrap=rp_classify "$work"/timed/libreprise.so.* -Wl,-rpath,"\$ORIGIN" \
    -o "$work/timed/libreprise_timed.so"

for java in /usr/lib/jvm/*/bin/java; do
    [ ! -L "$(dirname "$(dirname "$java")")" ] || continue
    say "$("$java" -version 2>&1 | head -n 1)"
    "$java" -Xcheck:jni -Xms512m -Xmx512m -XX:+AlwaysPreTouch -Djava.io.tmpdir="$work/tmp" \
        -Dreprise.test.command="$work/build/reprise" -Dreprise.test.models="$PWD/tools/models" \
        -Dreprise.test.seconds="$seconds" -cp "$jar:$work/tests" Tests 2>"$work/errors" | tee "$work/output"
    "$java" -Djava.io.tmpdir="$work/tmp" -Dreprise.library="$work/timed/libreprise_timed.so" -cp "$jar:$work/tests" Overhead
    ! grep -E "^(WARNING|Warning|FATAL) ?.*(JNI|jni)" "$work/output" "$work/errors"
    [ "$("$java" -Djava.io.tmpdir="$work/tmp" -jar "$work/main/five.jar" 2>&1)" = "POSITIVE 0.9986258
NEGATIVE 0.0013741709" ]
done
[ -z "$(ls "$work/tmp")" ] || { say "left behind: $(ls "$work/tmp")"; exit 1; }
say "java: passed"
