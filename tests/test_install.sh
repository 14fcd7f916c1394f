# sh test_install.sh SOURCE_DIR BUILD_DIR SCRATCH_DIR: install into a folder that was never configured, then use the
# library as another project would: pkg-config, find_package, each public header alone, the command. Then take it away,
# with another version beside it.
set -eu
source=$1 build=$2 scratch=$3
rm -rf "$scratch"
mkdir -p "$scratch"
prefix=$scratch/prefix
cc=${CC:-cc} cxx=${CXX:-c++}
fail() { echo "$*"; exit 1; }

# The tools themselves run without the layers that watch the programs they build.
layers=${VK_INSTANCE_LAYERS-}
unset VK_INSTANCE_LAYERS
watched() { VK_INSTANCE_LAYERS=$layers "$@"; }

cmake --install "$build" --prefix "$prefix" >"$scratch/install.log"
version=$(sed -nE 's/^project\(reprise VERSION ([0-9.]+).*/\1/p' "$source/CMakeLists.txt")
abi=$(echo "$version" | cut -d. -f1-2)
data=$prefix/share/reprise-$abi libexec=$prefix/libexec/reprise-$abi
for file in "$prefix/bin/reprise" "$prefix/bin/reprise-$abi" "$libexec/reprise-bench" "$libexec/reprise-try" \
    "$prefix/share/man/man1/reprise.1" "$data/models/sentiment/model.safetensors" "$data/models/pretrained/config.json" \
    "$data/shaders/variants.def" "$data/valgrind.supp" "$prefix/include/reprise/reprise.h"; do
    [ -e "$file" ] || fail "not installed: $file"
done

# No installed file names the folders that it was built in.
if grep -rlF -e "$source" -e "$build" --exclude='*.pc' "$prefix" >"$scratch/paths"; then
    fail "a folder of the build is named in: $(cat "$scratch/paths")"
fi
lib=$(dirname "$(find "$prefix" -name 'libreprise.so')")
if sed "s|^prefix=$prefix$||" "$lib/pkgconfig/reprise.pc" | grep -F -e "$source" -e "$build"; then
    fail "reprise.pc names a folder of the build" # the prefix of this test is one itself
fi

# Every public header compiles alone, in both languages, without a warning.
for header in "$prefix/include/reprise-$abi"/reprise/*.h; do
    name=$(basename "$header")
    echo "#include <reprise/$name>" >"$scratch/header.c"
    cp "$scratch/header.c" "$scratch/header.cc"
    "$cc" -std=c11 -Wall -Wextra -pedantic -Werror -I"$prefix/include/reprise-$abi" -fsyntax-only "$scratch/header.c" ||
        fail "$name does not compile alone as C11"
    "$cxx" -std=c++17 -Wall -Wextra -pedantic -Werror -I"$prefix/include/reprise-$abi" -fsyntax-only "$scratch/header.cc" ||
        fail "$name does not compile alone as C++17"
done

# check_example PROGRAM: run it on the installed model.
check_example() {
    watched "$1" "$models/sentiment" "a warm and funny film" "dull , flat and far too long" \
        >"$scratch/answers" 2>&1 || fail "$1: $(cat "$scratch/answers")"
    cat "$scratch/answers"
    grep -q 'POSITIVE: a warm and funny film$' "$scratch/answers" || fail "$1: no POSITIVE for the first text"
    grep -q 'NEGATIVE: dull , flat and far too long$' "$scratch/answers" || fail "$1: no NEGATIVE for the second text"
    [ "$(wc -l <"$scratch/answers")" = 2 ] || fail "$1: more than an answer a text"
}

[ "$(wc -l <"$source/tools/examples/classify.c")" -lt 40 ] || fail "the example has 40 lines or more"
PKG_CONFIG_PATH=$lib/pkgconfig
export PKG_CONFIG_PATH
flags=$(pkg-config --cflags --libs reprise)
models=$(pkg-config --variable=models reprise)
[ "$(pkg-config --variable=libdir reprise)" = "$lib" ] || fail "libdir is $(pkg-config --variable=libdir reprise)"
[ -e "$models/pretrained/config.json" ] || fail "pkg-config --variable=models: $models"
[ "$(pkg-config --modversion reprise)" = "$version" ] || fail "pkg-config: version $(pkg-config --modversion reprise)"
"$cc" -std=c11 -Wall -Wextra -Werror "$source/tools/examples/classify.c" $flags -Wl,-rpath,"$lib" -o "$scratch/with_pkgconfig"
check_example "$scratch/with_pkgconfig"

mkdir "$scratch/project"
cat >"$scratch/project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.18)
project(user C)
find_package(reprise $version REQUIRED)
if(NOT EXISTS \${reprise_MODELS_DIR}/sentiment/config.json)
  message(FATAL_ERROR "reprise_MODELS_DIR: \${reprise_MODELS_DIR}")
endif()
add_executable(classify $source/tools/examples/classify.c)
target_link_libraries(classify PRIVATE reprise::reprise)
END
cmake -S "$scratch/project" -B "$scratch/project/build" -DCMAKE_PREFIX_PATH="$prefix" >"$scratch/configure.log"
cmake --build "$scratch/project/build" >"$scratch/build.log"
check_example "$scratch/project/build/classify"

# A literal as a text, in both languages; what is no literal does not compile.
cat >"$scratch/literal.c" <<END
#include <reprise/reprise.h>
rp_input one(void) {
    rp_input input = {RP_TEXT("a warm film"), RP_TEXT("")};
    return input;
}
END
cp "$scratch/literal.c" "$scratch/literal.cc"
"$cc" -std=c11 -Wall -Wextra -pedantic -Werror -I"$prefix/include" -fsyntax-only "$scratch/literal.c" || fail "RP_TEXT in C"
"$cxx" -std=c++17 -Wall -Wextra -pedantic -Werror -I"$prefix/include" -fsyntax-only "$scratch/literal.cc" ||
    fail "RP_TEXT in C++"
sed 's/RP_TEXT("")/RP_TEXT((const char *)0)/' "$scratch/literal.c" >"$scratch/pointer.c"
if "$cc" -std=c11 -I"$prefix/include" -fsyntax-only "$scratch/pointer.c" 2>"$scratch/pointer.err"; then
    fail "RP_TEXT takes a pointer, whose size it cannot know"
fi

# The installed command finds its library and its models by where it stands: a label changed there shows.
[ "$("$prefix/bin/reprise" --version)" = "reprise $version" ] || fail "reprise --version: $("$prefix/bin/reprise" --version)"
config=$models/sentiment/config.json
sed 's/POSITIVE/INSTALLED/' "$config" >"$scratch/config.json"
cp "$scratch/config.json" "$config"
cd "$scratch"
watched "$prefix/bin/reprise" classify --json --top-k 1 "a warm and funny film" >command.json
grep -q '"INSTALLED"' command.json || fail "reprise classify: $(cat command.json)"

# The program that measures is found from there too, and where it is missing that is what is said.
printf 'INSTALLED\ta warm and funny film\n' >table.tsv
set -- bench --accuracy table.tsv --json
watched "$prefix/bin/reprise" "$@" >bench.json || fail "reprise bench: failed"
grep -q '^{.*"texts": 1, "right": 1,.*}$' bench.json || fail "reprise bench: $(cat bench.json)"
mv "$libexec/reprise-bench" "$scratch"
status=0
"$prefix/bin/reprise" "$@" >bench.json 2>bench.err || status=$?
[ "$status" = 1 ] && [ ! -s bench.json ] || fail "reprise bench without reprise-bench: status $status, $(cat bench.json)"
grep -q "^reprise: bench: cannot start $prefix/.*reprise-bench, which measures: .*; install it" bench.err ||
    fail "reprise bench without reprise-bench says: $(cat bench.err)"
mv "$scratch/reprise-bench" "$libexec"

# What another version installed beside it stays, and so do links that lead to it by now. Of this version nothing stays.
other=reprise-9.9
mkdir "$prefix/share/$other"
for file in bin/$other share/$other/models include/$other; do echo "another version's" >"$prefix/$file"; done
ln -sf $other "$prefix/bin/reprise"
cmake --build "$build" --target uninstall >"$scratch/uninstall.log" || fail "uninstall: $(cat "$scratch/uninstall.log")"
find "$prefix" ! -type d | sed "s|^$prefix/||" | LC_ALL=C sort >"$scratch/left"
printf '%s\n' bin/reprise bin/$other include/$other share/$other/models | diff - "$scratch/left" ||
    fail "uninstall: < is gone; > stayed"
if find "$prefix" -name "reprise-$abi*" | grep .; then fail "uninstall left these"; fi
