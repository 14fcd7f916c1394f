# Sourced by tools/java/build --aar: natives for three ABIs, and the AAR around them.

# The program that packs shaders runs here, whatever the natives are for.
packer=${REPRISE_SHADERPACK-}
if [ -z "$packer" ]; then
    quietly "$out/packer-configure.log" cmake -S "$source" -B "$out/packer" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DREPRISE_GLSLANG=OFF -DREPRISE_TESTS=OFF -DREPRISE_TOOLS=OFF
    quietly "$out/packer.log" ninja -C "$out/packer" reprise_shaderpack
    packer=$out/packer/shaderpack
fi

# Headers of this system that every system shares (Vulkan's, volk's, xxHash's, the JDK's), and nothing else of it.
rm -rf "$out/include" && mkdir -p "$out/include"
for name in vulkan vk_video xxhash.h volk.h volk.c; do
    for folder in /usr/include /usr/include/volk /usr/local/include; do
        [ ! -e "$folder/$name" ] || ln -sf "$folder/$name" "$out/include/$name"
    done
done

options=(-DCMAKE_BUILD_TYPE=Release -DREPRISE_SHADERPACK="$packer" -DREPRISE_XXHASH_INCLUDE_DIR="$out/include"
    -DREPRISE_VOLK_INCLUDE_DIR="$out/include" -DREPRISE_VULKAN_INCLUDE_DIR="$out/include")
if [ -n "${ANDROID_NDK_HOME-}" ]; then
    suffix=
    ndk=$(sed -n 's/^Pkg.Revision *= *\([0-9]*\).*/\1/p' "$ANDROID_NDK_HOME/source.properties")
else
    suffix=-shape
    ndk=0
    zig=${REPRISE_ZIG-}
    [ -n "$zig" ] || zig=$(python3 -c 'import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), "zig"))' 2>/dev/null) ||
        { echo "tools/java/build: ANDROID_NDK_HOME names no NDK, and python3 has no ziglang to build the shape of an AAR with" >&2 && exit 1; }
    mkdir -p "$out/jni-headers"
    cp "$JAVA_HOME/include/jni.h" "$JAVA_HOME/include/linux/jni_md.h" "$out/jni-headers"
fi

# The target of zig for an ABI.
zig_target() {
    case $1 in
    arm64-v8a) echo "aarch64-linux-musl" ;;
    armeabi-v7a) echo "arm-linux-musleabihf -mcpu=cortex_a9" ;;
    x86_64) echo "x86_64-linux-musl" ;;
    esac
}

# How CMake builds for an ABI: with the NDK's own toolchain file, or with zig.
toolchain() {
    if [ -n "${ANDROID_NDK_HOME-}" ]; then
        printf '%s\n' "-DCMAKE_TOOLCHAIN_FILE=$ANDROID_NDK_HOME/build/cmake/android.toolchain.cmake" "-DANDROID_ABI=$1" \
            -DANDROID_PLATFORM=android-24 -DANDROID_STL=none
        return
    fi
    # Linked to a libc.so, of which zig needs the names alone: for a static program, which CMake's checks would be, it first
    # compiles all of musl, several minutes for each ABI.
    printf '#!/bin/sh\nexec %s cc -target %s -dynamic -Werror "$@"\n' "$zig" "$(zig_target "$1")" >"$out/cc-$1"
    printf '#!/bin/sh\nexec %s ar "$@"\n' "$zig" >"$out/ar"
    chmod +x "$out/cc-$1" "$out/ar"
    printf '%s\n' -DCMAKE_SYSTEM_NAME=Linux "-DCMAKE_SYSTEM_PROCESSOR=$1" "-DCMAKE_C_COMPILER=$out/cc-$1" "-DCMAKE_AR=$out/ar" \
        -DCMAKE_PLATFORM_NO_VERSIONED_SONAME=ON "-DREPRISE_JNI_INCLUDE_DIR=$out/jni-headers" \
        "-DREPRISE_JNI_SYSTEM_DIR=$out/jni-headers" -DCMAKE_SHARED_LINKER_FLAGS=-s -DCMAKE_EXE_LINKER_FLAGS=-s
}

aar=$out/aar
rm -rf "$aar"
for abi in ${REPRISE_ABIS:-arm64-v8a armeabi-v7a x86_64}; do
    mapfile -t chain < <(toolchain "$abi")
    quietly "$out/configure-$abi.log" cmake -S "$here" -B "$out/$abi" -G Ninja "${options[@]}" "${chain[@]}"
    quietly "$out/build-$abi.log" ninja -C "$out/$abi" reprise reprise_jni reprise_try
    strip=()
    [ -z "${ANDROID_NDK_HOME-}" ] || strip=(--strip)
    quietly "$out/install-$abi.log" cmake --install "$out/$abi" "${strip[@]}" --prefix "$out/stage-$abi"
    mkdir -p "$aar/jni/$abi" "$aar/prefab/modules/reprise/libs/android.$abi"
    cp "$out/stage-$abi/lib/libreprise.so" "$out/stage-$abi/lib/libreprise_jni.so" "$aar/jni/$abi/"
    # An app may start what lies beside its libraries and has such a name.
    cp "$out/stage-$abi/libexec/"reprise-*/reprise-try "$aar/jni/$abi/libreprise_try.so"
    cp "$aar/jni/$abi/libreprise.so" "$aar/prefab/modules/reprise/libs/android.$abi/"
    printf '{"abi": "%s", "api": 24, "ndk": %s, "stl": "none", "static": false}\n' "$abi" "$ndk" \
        >"$aar/prefab/modules/reprise/libs/android.$abi/abi.json"
done

classes "$out/android-classes" android
mkdir -p "$aar/prefab/modules/reprise/include"
cp -r "$source/include/reprise" "$aar/prefab/modules/reprise/include/"
printf '{"schema_version": 2, "name": "reprise", "version": "%s", "dependencies": []}\n' "$version" >"$aar/prefab/prefab.json"
printf '{"export_libraries": [], "library_name": "libreprise", "android": {}}\n' >"$aar/prefab/modules/reprise/module.json"
cp "$here/AndroidManifest.xml" "$here/proguard.txt" "$source/LICENSE" "$aar/"
: >"$aar/R.txt"
jar --create --file "$aar/classes.jar" --no-manifest -C "$out/android-classes" .
rm -f "$out/reprise-$version"*.aar
jar --create --file "$out/reprise-$version$suffix.aar" --no-manifest -C "$aar" .
sed -e "s/@VERSION@/$version/" -e 's#<packaging>jar#<packaging>aar#; s#<artifactId>reprise#<artifactId>reprise-android#' \
    "$here/pom.xml.in" >"$out/reprise-android-$version.pom"
ls -l "$out/reprise-$version$suffix.aar"
[ -z "$suffix" ] || echo "This AAR has the shape of one, for tests: its natives are for musl, and no phone loads them. Set ANDROID_NDK_HOME."
