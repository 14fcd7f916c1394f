# Sourced by tools/testbeds: drivers of other Debian releases, architectures and packages, unpacked into folders of the
# cache. Nothing is installed: no root is needed, and the system's own packages stay as they are.

# Debian's mirror, as this system's apt has it.
debian_mirror() {
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^Debian|Debian|//p' | head -n 1
}

# unpack NAME ARCHITECTURE WITH "SUITE..." PACKAGE...: the packages into $cache/NAME, once; WITH "all", with all that they
# need; "missing", with what of that this system lacks; "nothing", alone.
unpack() {
    local name=$1 architecture=$2 with=$3 suites=$4 suite mirror root=$cache/$1
    shift 4
    local wanted="$architecture $suites $*"
    [ "$(cat "$root/.wanted" 2>/dev/null)" != "$wanted" ] || return 0
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || { say "apt has no mirror of Debian: cannot set up $name"; return 1; }
    say "Setting up $root"
    rm -rf "$root" "$root.apt"
    mkdir -p "$root" "$root.apt"/{lists,archives}/partial
    for suite in $suites; do
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
    done >"$root.apt/sources.list"
    local status=/dev/null
    [ "$with" != missing ] || status=/var/lib/dpkg/status
    cp "$status" "$root.apt/status"
    local target=() apt=(apt-get -o "APT::Architecture=$architecture" -o "APT::Architectures::=$architecture"
        -o "Dir::Etc::SourceList=$root.apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$root.apt/lists" -o "Dir::State::status=$root.apt/status"
        -o "Dir::Cache=$root.apt" -o Debug::NoLocking=true -o "APT::Sandbox::User=$(id -un)")
    [ "${suites##* }" = "$suites" ] || target=(-t "${suites##* }")
    local fetch=(install -y --no-install-recommends --download-only "${target[@]}")
    [ "$with" != nothing ] || fetch=(download)
    quietly "$root.apt/update.log" "${apt[@]}" update || return
    (cd "$root.apt/archives" && quietly "$root.apt/download.log" "${apt[@]}" "${fetch[@]}" "$@") || return
    local package
    for package in "$root.apt"/archives/*.deb; do
        dpkg-deb -x "$package" "$root" || return
    done
    [ -e "$root/lib" ] || ln -s usr/lib "$root/lib" # Debian 13's packages leave it to the base system
    rm -rf "$root.apt"
    printf '%s\n' "$wanted" >"$root/.wanted"
}

# The folders of a root that hold libraries of an architecture such as x86_64-linux-gnu, as one path.
library_path() {
    printf '%s/usr/lib/%s:%s/lib/%s' "$1" "$2" "$1" "$2"
}

# icd_file ROOT TRIPLET NAME: a driver's file that names its library by its place in the root. Beds make it side by side.
icd_file() {
    local root=$1 triplet=$2 name=$3 file=$work/icd/$(basename "$1")-$3.json own
    own=$file.$BASHPID # once: a command that is started has another
    mkdir -p "$work/icd"
    sed "s#\"library_path\": *\"\(/usr/lib/$triplet/\)\?#\"library_path\": \"$root/usr/lib/$triplet/#" \
        "$root/usr/share/vulkan/icd.d/$name"*.json >"$own" && mv "$own" "$file"
    printf '%s' "$file"
}

# The libraries of this system that the programs need and a root lacks, copied to $work/lib-ROOT.
borrow_libraries() {
    local root=$cache/$1 to=$work/lib-$1 path
    mkdir -p "$to"
    ldd "$build/reprise" "$build/tests/test_encoder" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | sort -u |
        while read -r path; do
            case $path in "$build"/*) continue ;; esac
            [ -e "$root/usr/lib/x86_64-linux-gnu/${path##*/}" ] || cp -L "$path" "$to/"
        done
}

debian_13() { # what every bed of it needs, and Mesa of its backports
    unpack trixie amd64 all "trixie trixie-backports" mesa-vulkan-drivers mesa-drm-shim vulkan-validationlayers \
        libvulkan1 libstdc++6
}

debian_13_stable() {
    unpack trixie-stable amd64 all trixie mesa-vulkan-drivers vulkan-validationlayers libvulkan1 libstdc++6
}

swiftshader() {
    unpack swiftshader amd64 nothing "$release" chromium-common
}

# A cross compiler and an emulator of this release, the libraries to build with, and a driver: not this release's, whose
# compiler (LLVM 15) fails on float16 there. The cross compiler's C library has scripts that name where it would be
# installed.
aarch64() {
    unpack aarch64-tools amd64 missing "$release" g++-aarch64-linux-gnu qemu-user-static &&
        unpack aarch64 arm64 all "$release" libc6-dev libstdc++-12-dev libvulkan-dev libvulkan-volk-dev libcmocka-dev \
            libjansson-dev libutf8proc-dev libxxhash-dev &&
        unpack aarch64-trixie arm64 all "trixie trixie-backports" mesa-vulkan-drivers mesa-drm-shim libvulkan1 libstdc++6 &&
        find "$cache/aarch64-tools/usr/aarch64-linux-gnu/lib" -name '*.so' -size -4k -exec grep -Il GROUP {} + |
        xargs -r sed -i 's#/usr/aarch64-linux-gnu/lib/##g'
}

# The same for 32-bit processors, whose programs run here without an emulator.
i386() {
    unpack i386-tools amd64 missing "$release" g++-i686-linux-gnu &&
        unpack i386 i386 all "$release" libc6-dev libstdc++-12-dev libvulkan-dev libvulkan-volk-dev libcmocka-dev \
            libjansson-dev libutf8proc-dev libxxhash-dev libsentencepiece-dev mesa-vulkan-drivers \
            vulkan-validationlayers libcurl4 &&
        find "$cache/i386-tools/usr/i686-linux-gnu/lib" -name '*.so' -size -4k -exec grep -Il GROUP {} + |
        xargs -r sed -i 's#/usr/i686-linux-gnu/lib/##g'
}

# build_cross NAME TRIPLET PREFIX TARGET...: build for another processor, with the compiler PREFIX-gcc of NAME-tools and
# the libraries of NAME.
build_cross() {
    local tools=$cache/$1-tools/usr root=$cache/$1 folder=$build/$1 triplet=$2 prefix=$3
    shift 3
    say "Building ${folder#"$source"/}"
    mkdir -p "$folder"
    cat >"$folder/toolchain.cmake" <<END
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${prefix%%-*})
set(CMAKE_C_COMPILER $tools/bin/$prefix-gcc)
set(CMAKE_CXX_COMPILER $tools/bin/$prefix-g++)
set(CMAKE_SYSROOT $root)
set(CMAKE_LIBRARY_ARCHITECTURE $triplet)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
END
    (
        export LD_LIBRARY_PATH=$tools/lib/x86_64-linux-gnu PATH=$tools/bin:$PATH
        export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$root/usr/lib/$triplet/pkgconfig:$root/usr/share/pkgconfig
        quietly "$folder/configure.log" cmake -S . -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release \
            -DCMAKE_TOOLCHAIN_FILE="$folder/toolchain.cmake" -DREPRISE_GLSLANG=OFF \
            -DREPRISE_SHADERPACK="$build/shaderpack" &&
            quietly "$folder/build.log" ninja -C "$folder" "$@"
    )
}
