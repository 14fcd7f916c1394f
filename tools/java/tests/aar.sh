#!/usr/bin/env bash
# tools/java/tests/aar.sh FILE WORK: what can be seen of an AAR without a phone. Its files, the level of its classes, its
# prefab module; of each native library the processor, the alignment of segments, what it needs and what it shows.
#
# AAPT2 names aapt2 and FRAMEWORK a framework-res.apk: then aapt2 links the manifest. ANDROID_JAR names an android.jar:
# then the classes use no class that is not in it, and compile against it.
set -euo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
file=$1
work=$2
rm -rf "$work"
mkdir -p "$work"
work=$(cd "$work" && pwd)
aar=$work/aar
fail() { echo "$file: $*" >&2 && exit 1; }
same() { # WHAT EXPECTED ACTUAL
    diff "$2" "$3" >&2 || fail "$1: < expected, > found"
}
mkdir "$aar"
unzip -q "$file" -d "$aar"

# The files.
abis="arm64-v8a armeabi-v7a x86_64"
{
    printf '%s\n' AndroidManifest.xml LICENSE R.txt classes.jar proguard.txt prefab/prefab.json prefab/modules/reprise/module.json
    for abi in $abis; do
        printf '%s\n' "jni/$abi/libreprise.so" "jni/$abi/libreprise_jni.so" "jni/$abi/libreprise_try.so" \
            "prefab/modules/reprise/libs/android.$abi/libreprise.so" "prefab/modules/reprise/libs/android.$abi/abi.json"
    done
    (cd "$source/include" && find reprise -name '*.h' | sed 's#^#prefab/modules/reprise/include/#')
} | LC_ALL=C sort >"$work/files.expected"
(cd "$aar" && find . -type f -printf '%P\n') | LC_ALL=C sort >"$work/files"
same files "$work/files.expected" "$work/files"

# Headers of C, and the module that names them.
diff -r "$source/include/reprise" "$aar/prefab/modules/reprise/include/reprise" >&2 || fail "headers"
python3 - "$aar" $abis <<'END'
import json, sys
module = sys.argv[1] + "/prefab/modules/reprise/"
package = json.load(open(sys.argv[1] + "/prefab/prefab.json"))
assert package.pop("version").count(".") == 2
assert package == {"schema_version": 2, "name": "reprise", "dependencies": []}, package
assert json.load(open(module + "module.json"))["library_name"] == "libreprise"
for abi in sys.argv[2:]:
    info = json.load(open(module + "libs/android." + abi + "/abi.json"))
    assert (info["abi"], info["api"], info["stl"], info["static"]) == (abi, 24, "none", False), info
    with open(sys.argv[1] + "/jni/" + abi + "/libreprise.so", "rb") as one, open(module + "libs/android." + abi + "/libreprise.so", "rb") as other:
        assert one.read() == other.read(), abi
END

# Classes of Java 8, of one package, without the desktop's.
mkdir "$work/classes"
unzip -q "$aar/classes.jar" -d "$work/classes"
find "$work/classes" -type f ! -path "$work/classes/dev/reprise/*.class" | grep . >&2 && fail "classes.jar has other files than classes"
find "$work/classes" -name 'DesktopLibrary*' | grep . >&2 && fail "classes.jar has the desktop's class"
for class in "$work"/classes/dev/reprise/*.class; do
    [ "$(od -An -tu1 -j6 -N2 "$class" | tr -s ' ')" = " 0 52" ] || fail "$class is not of Java 8"
done
javap -p -cp "$aar/classes.jar" dev.reprise.Native | sed -nE 's/.* native .* ([a-z]+)\(.*/Java_dev_reprise_Native_\1/p' >"$work/natives"
echo JNI_OnLoad >>"$work/natives"
LC_ALL=C sort -o "$work/natives" "$work/natives"
[ "$(wc -l <"$work/natives")" -gt 3 ] || fail "found no native methods"

# symbols FILE: lines "UND NAME" and "DEF NAME".
symbols() {
    readelf --dyn-syms -W "$1" | awk '$1 ~ /^[0-9]+:$/ && $8 != "" && $5 != "LOCAL" { sub(/@.*/, "", $8); print ($7 == "UND" ? "UND" : "DEF"), $8 }'
}
for abi in $abis; do
    case $abi in arm64-v8a) machine=AArch64 ;; armeabi-v7a) machine=ARM ;; x86_64) machine='Advanced Micro Devices X86-64' ;; esac
    for library in "$aar/jni/$abi"/*.so; do
        name=$abi/$(basename "$library")
        readelf -hW "$library" | grep -q "Machine: *$machine\$" || fail "$name is not for $machine"
        segments=$(readelf -lW "$library" | awk '$1 == "LOAD" { print $NF }')
        [ -n "$segments" ] || fail "$name has no segments"
        for alignment in $segments; do
            [ $((alignment % 16384)) = 0 ] || fail "$name: a segment is not aligned to 16 KiB"
        done
        readelf -dW "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vxE 'libreprise\.so|lib(c|m|dl)\.so' >&2 && fail "$name needs more"
        readelf -dW "$library" | grep -q TEXTREL && fail "$name has text relocations"
        symbols "$library" | grep -E '^UND (_Z|__cxa_(throw|begin)|__gxx)' >&2 && fail "$name needs a C++ runtime"
        readelf -SW "$library" | grep -qE '\.symtab|\.debug' && fail "$name is not stripped"
    done
    symbols "$aar/jni/$abi/libreprise.so" | sed -n 's/^DEF //p' | LC_ALL=C sort >"$work/$abi.exports"
    same "exports of $abi/libreprise.so" "$source/tests/abi_functions.txt" "$work/$abi.exports"
    symbols "$aar/jni/$abi/libreprise_jni.so" | sed -n 's/^DEF //p' | LC_ALL=C sort >"$work/$abi.jni"
    same "exports of $abi/libreprise_jni.so" "$work/natives" "$work/$abi.jni"
    symbols "$aar/jni/$abi/libreprise_jni.so" | sed -n 's/^UND \(rp_.*\)/\1/p' | LC_ALL=C sort -u |
        LC_ALL=C comm -23 - "$work/$abi.exports" | grep . >&2 && fail "$abi/libreprise_jni.so calls these, which the library has not"
    symbols "$aar/jni/$abi/libreprise_jni.so" | sed -n 's/^UND //p' | grep -v '^rp_' | LC_ALL=C sort -u >"$work/$abi.called"
    sed -nE 's/^([A-Za-z0-9_]+) ([0-9]+)$/\1 \2/p' "$source/tests/bionic_symbols.txt" | awk '$2 <= 24 { print $1 }' | LC_ALL=C sort -u >"$work/android"
    sed 's/^__errno_location$/__errno/' "$work/$abi.called" | grep -vE '^(__stack_chk_fail|__cxa_finalize|_ITM_.*|__gmon_start__|__deregister.*|__register.*|__aeabi_.*|__tls_get_addr)$' |
        LC_ALL=C sort | LC_ALL=C comm -23 - "$work/android" | grep . >&2 && fail "$abi/libreprise_jni.so calls these, which Android has not"
done

# What the rules for R8 name is there.
for name in $(sed -nE 's/^-keep class (dev\.[A-Za-z.]+) .*/\1/p' "$aar/proguard.txt"); do
    [ -e "$work/classes/$(tr . / <<<"$name").class" ] || fail "proguard.txt keeps $name, which is not there"
done

checked="files, prefab, classes, libraries"
if [ -n "${ANDROID_JAR-}" ]; then
    unzip -Z1 "$ANDROID_JAR" '*.class' | sed 's#/#.#g; s/\.class$//' | LC_ALL=C sort >"$work/android.classes"
    jdeps -v "$aar/classes.jar" 2>/dev/null | sed -nE 's/^ +dev\.reprise\.[^ ]+ +-> ([^ ]+).*/\1/p' | grep -v '^dev\.reprise\.' |
        LC_ALL=C sort -u >"$work/used.classes"
    [ -s "$work/used.classes" ] || fail "jdeps finds no class that the classes use"
    LC_ALL=C comm -23 "$work/used.classes" "$work/android.classes" | grep . >&2 && fail "classes.jar uses these, which $ANDROID_JAR has not"
    mkdir "$work/compiled"
    find "$source/tools/java/src" -name '*.java' ! -name DesktopLibrary.java >"$work/sources"
    javac -source 8 -target 8 -bootclasspath "$ANDROID_JAR" -Xlint:-options -encoding UTF-8 -d "$work/compiled" "@$work/sources" ||
        fail "the classes do not compile against $ANDROID_JAR"
    checked="$checked, $(wc -l <"$work/used.classes") classes of android.jar"
fi
if [ -n "${AAPT2-}" ]; then
    "$AAPT2" link --static-lib -I "$FRAMEWORK" --manifest "$aar/AndroidManifest.xml" --min-sdk-version 24 -o "$work/lib.apk" >&2 || fail "aapt2 refuses the manifest"
    checked="$checked, aapt2"
fi
echo "$(basename "$file"): $checked"
