# sh test_install.sh SOURCE_DIR BUILD_DIR SCRATCH_DIR: install into a folder that was never configured, then use the
# library as another project would: pkg-config, find_package, each public header alone, the command.
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
lib=$(dirname "$(find "$prefix" -name 'libreprise.so')")
for file in bin/reprise libexec/reprise/reprise-bench libexec/reprise/reprise-try share/man/man1/reprise.1 share/reprise/models/sentiment/model.safetensors \
    share/reprise/models/pretrained/config.json share/reprise/shaders/variants.def include/reprise/reprise.h; do
    [ -e "$prefix/$file" ] || fail "not installed: $file"
done

# Every public header compiles alone, in both languages, without a warning.
for header in "$prefix"/include/reprise/*.h; do
    name=$(basename "$header")
    echo "#include <reprise/$name>" >"$scratch/header.c"
    cp "$scratch/header.c" "$scratch/header.cc"
    "$cc" -std=c11 -Wall -Wextra -pedantic -Werror -I"$prefix/include" -fsyntax-only "$scratch/header.c" ||
        fail "$name does not compile alone as C11"
    "$cxx" -std=c++17 -Wall -Wextra -pedantic -Werror -I"$prefix/include" -fsyntax-only "$scratch/header.cc" ||
        fail "$name does not compile alone as C++17"
done

# check_example PROGRAM: run it on the installed model.
check_example() {
    watched "$1" "$prefix/share/reprise/models/sentiment" "a warm and funny film" "dull , flat and far too long" \
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
"$cc" -std=c11 -Wall -Wextra -Werror "$source/tools/examples/classify.c" $flags -Wl,-rpath,"$lib" -o "$scratch/with_pkgconfig"
check_example "$scratch/with_pkgconfig"

mkdir "$scratch/project"
cat >"$scratch/project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.18)
project(user C)
find_package(reprise $(pkg-config --modversion reprise) REQUIRED)
add_executable(classify $source/tools/examples/classify.c)
target_link_libraries(classify PRIVATE reprise::reprise)
END
cmake -S "$scratch/project" -B "$scratch/project/build" -DCMAKE_PREFIX_PATH="$prefix" >"$scratch/configure.log"
cmake --build "$scratch/project/build" >"$scratch/build.log"
check_example "$scratch/project/build/classify"

# The installed command finds its library and its models by where it stands: a label changed there shows.
version=$(pkg-config --modversion reprise)
[ "$("$prefix/bin/reprise" --version)" = "reprise $version" ] || fail "reprise --version: $("$prefix/bin/reprise" --version)"
config=$prefix/share/reprise/models/sentiment/config.json
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
rm "$prefix/libexec/reprise/reprise-bench"
status=0
"$prefix/bin/reprise" "$@" >bench.json 2>bench.err || status=$?
[ "$status" = 1 ] && [ ! -s bench.json ] || fail "reprise bench without reprise-bench: status $status, $(cat bench.json)"
grep -q "^reprise: bench: cannot start $prefix/.*reprise-bench, which measures: .*; install it" bench.err ||
    fail "reprise bench without reprise-bench says: $(cat bench.err)"
