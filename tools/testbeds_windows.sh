#!/usr/bin/env bash
# tools/testbeds windows: cross-build by Debian's mingw-w64, pack the zip, and run what is in it under Wine, over Mesa's
# driver: the operating system's functions, every task's and application's answers beside those of the native build, byte
# for byte (tools/python/tests/test_tasks.py, which starts the command some sixty times), a training, the cache under two
# processes and a kill, and the command with Ctrl-C, a console, and names, pipes and line ends of Windows.
# tools/testbeds macos: compile every C file for both processors of macOS, by PyPI's ziglang, warnings as errors.
#
# Logs and the zip stay in build-testbeds/windows. Native builds are taken from build/, where tools/quickstart made it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh
source=$PWD
work=$source/build-testbeds/windows
mkdir -p "$work"
headers=$work/build/host-headers

macos() {
    local python=$work/ziglang/bin/python target
    [ -x "$python" ] || quietly "$work/ziglang.log" python3 -m venv "$work/ziglang"
    quietly "$work/ziglang.log" "$python" -m pip install --quiet ziglang
    mkdir -p "$headers"
    for name in xxhash.h volk.h volk.c vulkan vk_video; do ln -sfn "/usr/include/$name" "$headers/$name"; done
    local defines=()
    for name in VERSION LIBEXEC_BESIDE DATA_BESIDE DATA_BESIDE_LIBEXEC DATA_DIR TO_LIBEXEC LIBEXEC_DIR; do
        defines+=("-DREPRISE_$name=\"x\"")
    done
    for target in x86_64-macos aarch64-macos; do
        say "Compiling for $target"
        local files
        mapfile -t files < <(find loader runtime tools/cli tools/try -name '*.c' ! -name 'os_windows*' \
            ! -path runtime/gpu/compile.c | sort)
        quietly "$work/$target.log" "$python" -m ziglang cc -target $target -fsyntax-only -std=gnu11 -Wall -Wextra -Werror \
            -Wno-missing-field-initializers -Wno-unterminated-string-initialization -Wno-conditional-type-mismatch -I"$headers" -I. -Iinclude -Iruntime "${defines[@]}" "${files[@]}"
    done
    say "macos: ${#files[@]} files compile; nothing was run"
}

if [ "${1-}" = macos ]; then
    macos
    exit
fi

# ---- building ----

install_packages "$work/packages.log" mingw-w64 wine64 xvfb "${build_packages[@]}"
native=$source/build
[ -e "$native/reprise" ] && [ -e "$native/shaderpack" ] || {
    say "Building $native"
    quietly "$work/native.log" cmake -S . -B "$native" -G Ninja -DCMAKE_BUILD_TYPE=Release
    quietly "$work/native.log" ninja -C "$native" reprise_shaderpack reprise_cli
}
say "Building for Windows"
quietly "$work/configure.log" cmake -S . -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_TOOLCHAIN_FILE="$source/tools/windows/mingw.cmake" -DCMAKE_C_FLAGS=-Werror -DREPRISE_GLSLANG=OFF \
    -DREPRISE_TESTS=OFF -DREPRISE_SHADERPACK="$native/shaderpack"
quietly "$work/build.log" ninja -C "$work/build" reprise reprise_cli reprise_try test_os
zip=$(tools/windows/package "$work/build" "$work")
say "$zip: $(stat -c %s "$zip") bytes"

failures=0
passed() { say "passed: $1"; }
failed() {
    say "FAILED: $*"
    failures=$((failures + 1))
}

# Nothing that Windows does not have itself is needed; Vulkan is opened at run time.
needs=$(for file in reprise.exe reprise.dll reprise-try.exe; do
    x86_64-w64-mingw32-objdump -p "$work/build/$file" | sed -n 's/.*DLL Name: //p'
done | sort -fu | grep -viE '^(kernel32|msvcrt|advapi32|reprise)\.dll$' || true)
[ -z "$needs" ] && passed "it needs nothing but Windows" || failed "it needs $needs"

# ---- running ----

export WINEPREFIX=$work/wine WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml=" DISPLAY=:78 LC_ALL=C.UTF-8
unset REPRISE_CACHE_DIR
wine=/usr/lib/wine/wine64
Xvfb :78 -screen 0 640x480x24 >"$work/xvfb.log" 2>&1 &
screen=$!
trap 'kill $screen' EXIT
[ -d "$WINEPREFIX/drive_c" ] || quietly "$work/wineboot.log" timeout 300 $wine wineboot -i

new=$work/new
rm -rf "$new"
mkdir "$new"
(cd "$new" && cmake -E tar xf "$zip")
here=$(echo "$new"/reprise-*)
cd "$here"
# Both builds use one cache, so that both use the kernels that were found to be fast here.
windows() { REPRISE_CACHE_DIR=Z:$work/linux-cache timeout 300 $wine reprise.exe "$@"; }
# same NAME: what came here is what the native build wrote.
same() { cmp "$work/$1.windows" "$work/$1.linux" >"$work/$1.diff" 2>&1 && passed "$1" || failed "$1: $(cat "$work/$1.diff")"; }

timeout 300 $wine "$work/build/test_os.exe" >"$work/test_os.log" 2>&1 && passed "the system's functions" ||
    failed "the system's functions: $(tail -n 1 "$work/test_os.log")"

# Answers: the same bytes as those of the native build.
linux() { REPRISE_CACHE_DIR=$work/linux-cache "$native/reprise" "$@"; }
printf '%s\n' "a warm and funny film" "" "ünïcode 日本語 🐦" "an hour too long" >"$work/texts"
answers() {
    local name=$1
    shift
    linux "$@" <"$work/texts" >"$work/$name.linux" 2>"$work/$name.err" || failed "$name, native"
    windows "$@" <"$work/texts" >"$work/$name.windows" 2>>"$work/$name.err" || failed "$name: $(tail -n 1 "$work/$name.err")"
    same "$name"
}
answers classify classify --json
answers explain classify --json --explain
answers embed embed --json
answers tokenize tokenize --json
answers fill-mask fill-mask --json "She opened the [MASK]."
answers coherence coherence --json "It came." "He left."
answers score score --json
answers summarize summarize --json -n 1 "The ship left the harbour. The sea was calm. It rained."
answers moderate moderate --json -m models/spam
answers people classify "a warm and funny film"

# Lines that end as Windows ends them give the same answers.
sed 's/$/\r/' "$work/texts" | windows classify --json >"$work/crlf.windows" 2>"$work/crlf.err" || true
cp "$work/classify.linux" "$work/crlf.linux"
same crlf

# Names that are no ASCII: a model's folder, a file of texts, and a text itself.
cp -r models/sentiment "möbel-日本"
cp "$work/texts" "tëxte.txt"
windows classify --json -m "möbel-日本" -f "tëxte.txt" >"$work/names.windows" 2>"$work/names.err" || true
cp "$work/classify.linux" "$work/names.linux"
same names

# The exit status; pull says what it lacks.
windows classify --no-such-option >"$work/usage.log" 2>&1 && status=0 || status=$?
[ $status = 2 ] && passed "wrong usage" || failed "wrong usage: status $status"
windows pull org/name >"$work/pull.log" 2>&1 && status=0 || status=$?
[ $status = 1 ] && passed "pull is refused" || failed "pull: status $status"

# Every task and application over odd texts: the native library, from Python, beside this command, with one cache.
printf '#!/bin/sh\nREPRISE_CACHE_DIR=Z:%s exec timeout 300 %s %s "$@"\n' "$work/linux-cache" $wine "$here/reprise.exe" >"$work/command"
chmod +x "$work/command"
quietly "$work/declare.log" python3 "$source/tools/python/declare.py" "$source/include/reprise" "$source/tools/python/reprise/_api.py"
REPRISE_COMMAND=$work/command REPRISE_LIBRARY=$native/libreprise.so REPRISE_CACHE_DIR=$work/linux-cache \
    PYTHONPATH=$source/tools/python python3 "$source/tools/python/tests/test_tasks.py" AsTheCommand >"$work/tasks.log" 2>&1 &&
    passed "every task over 65 odd texts" || failed "tasks: see $work/tasks.log"

# A training ends, is stopped by Ctrl-C and goes on, to the same bits as one that was not.
printf 'text\tlabel\n' >"$work/train.tsv"
for n in 1 2 3 4 5 6; do printf 'warm and funny %s\tPOSITIVE\ndull and long %s\tNEGATIVE\n' $n $n; done >>"$work/train.tsv"
train() { # OUT
    REPRISE_CACHE_DIR=Z:$work/linux-cache exec $wine reprise.exe finetune -m models/sentiment --train "Z:$work/train.tsv" \
        -o "Z:$work/$1" --epochs 2 --batch-size 2 --save-every 2 --log "Z:$work/$1.jsonl" "${@:2}"
}
rm -rf "$work"/trained*
(train trained --resume) >"$work/train.log" 2>&1 && passed "a training" || failed "a training: $(tail -n 1 "$work/train.log")"
(train trained-stopped --resume) >"$work/stopped.log" 2>&1 &
stopped=$!
for _ in $(seq 3000); do # no more than ten minutes, on a machine that is busy
    [ "$(cat "$work/trained-stopped.jsonl" 2>/dev/null | wc -l)" -lt 3 ] || break
    sleep 0.2
done
kill -INT $stopped || true # which Wine makes the event of the console
wait $stopped && status=0 || status=$?
[ $status = 130 ] && passed "Ctrl-C" || failed "Ctrl-C: status $status, $(tail -n 1 "$work/stopped.log")"
(train trained-stopped --resume) >>"$work/stopped.log" 2>&1 || true
cmp "$work/trained/model.safetensors" "$work/trained-stopped/model.safetensors" >"$work/stopped.diff" 2>&1 &&
    passed "a training that was stopped goes on to the same bits" || failed "training: $(cat "$work/stopped.diff")"

# On a console, which a terminal here is, letters are those of the text.
REPRISE_CACHE_DIR=Z:$work/linux-cache script -qec "timeout 300 $wine reprise.exe tokenize 'ünïcode 日本'" /dev/null \
    >"$work/console.log" 2>&1 </dev/null || true
grep -q 日本 "$work/console.log" && passed "a console" || failed "a console: see $work/console.log"

# Without a folder of ours the cache is where Windows keeps such things; two at once make it, one of which is killed.
rm -rf "$WINEPREFIX"/drive_c/users/*/AppData/Local/reprise
timeout 300 $wine reprise.exe classify --json <"$work/texts" >"$work/first" 2>&1 &
first=$!
timeout -s KILL 3 $wine reprise.exe classify --json <"$work/texts" >"$work/killed" 2>&1 || true
wait $first || failed "beside one that was killed: $(tail -n 1 "$work/first")"
timeout 300 $wine reprise.exe classify --json <"$work/texts" >"$work/cache.windows" 2>"$work/cache.err" || true
entries=$(find "$WINEPREFIX"/drive_c/users/*/AppData/Local/reprise -type f ! -name '.*' | wc -l)
[ "$entries" -gt 5 ] && passed "the cache: $entries entries" || failed "the cache has $entries entries"
# Kernels were chosen anew, and another one may round the last digits in another way.
cut_scores() { sed -E 's/(0\.[0-9]{5})[0-9]*/\1/g' "$1"; }
[ -s "$work/cache.windows" ] && [ "$(cut_scores "$work/cache.windows")" = "$(cut_scores "$work/classify.linux")" ] &&
    passed "a cache that two made, and one of them was killed" || failed "cache: $(tail -n 1 "$work/cache.err")"

[ $failures = 0 ] && say "windows: passed" || say "windows: $failures failed"
exit $((failures > 0))
