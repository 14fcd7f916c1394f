# What is known of kernels is dropped when the code that runs them changes: its key is another one then.
set -eu
source=$1 build=$2 scratch=$3
rm -rf "$scratch"
mkdir -p "$scratch"
fail() {
    echo "test_host_key: $*" >&2
    exit 1
}

# key FILE...: of these files.
key() {
    files=$(echo "$@" | tr ' ' ';')
    cmake "-DFILES=$files" "-DOUT=$scratch/key.c" -P "$source/tools/host_key.cmake"
    sed -n 's/^const char rp_host_key\[33\] = "\([0-9a-f]\{32\}\)";$/\1/p' "$scratch/key.c"
}

cp "$source/runtime/ops/matmul.c" "$source/runtime/gpu/record.c" "$scratch"
cd "$scratch"
before=$(key "$scratch/matmul.c" "$scratch/record.c")
[ -n "$before" ] || fail "there is no key in $(cat key.c)"
[ "$before" = "$(key "$scratch/matmul.c" "$scratch/record.c")" ] || fail "the same files have two keys"
echo "// more" >>record.c
after=$(key "$scratch/matmul.c" "$scratch/record.c")
[ "$before" != "$after" ] || fail "a changed file has the same key"

# The library that was built carries the key of this tree.
own=$(key $(ls "$source"/runtime/gpu/*.[ch] "$source"/runtime/ops/*.[ch]))
built=$(sed -n 's/^const char rp_host_key\[33\] = "\([0-9a-f]\{32\}\)";$/\1/p' "$build/host_key.c")
[ -n "$built" ] || fail "the build has made no key"
grep -q "$built" "$build/libreprise.so" || fail "the library does not carry its key"
[ "$own" = "$built" ] || fail "the build's key $built is not that of the tree, $own"
