# sh test_symbols.sh SOURCE_DIR BUILD_DIR SCRATCH_DIR: what libreprise shows to the programs that link it, what it asks of the C
# library, and its size. It exports exactly the functions that the public headers declare, opens Vulkan's loader at run time
# instead of linking it, changes nothing of the process that has it inside, and needs nothing that Android has not.
set -eu
source=$1 build=$2 scratch=$3
mkdir -p "$scratch"
library=$build/libreprise.so

nm -D --defined-only --format=posix "$library" | cut -d' ' -f1 | sed 's/@.*//' | LC_ALL=C sort -u >"$scratch/exported"
# A declaration is RP_API, a type, a name and a parenthesis; some stand on two lines.
cat "$source"/include/reprise/*.h | tr '\n' ' ' | grep -oE 'RP_API [a-z][a-z0-9_ *]*rp_[a-z0-9_]+\(' |
    grep -oE 'rp_[a-z0-9_]+\($' | tr -d '(' | LC_ALL=C sort -u >"$scratch/declared"
[ "$(wc -l <"$scratch/declared")" -ge 30 ] || { echo "found too few declarations in the headers"; exit 1; }
if ! diff "$scratch/declared" "$scratch/exported"; then
    echo "$library: < declared in include/reprise but not exported; > exported but not declared"
    exit 1
fi

# Programs have been built with these.
if ! diff "$source/tests/abi_functions.txt" "$scratch/exported"; then
    echo "tests/abi_functions.txt: < gone, which breaks programs; > new: add it to the list"
    exit 1
fi
version=$(sed -nE 's/^project\(reprise VERSION ([0-9]+\.[0-9]+)\..*/\1/p' "$source/CMakeLists.txt")
case $version in 0.*) ;; *) version=${version%%.*} ;; esac
if ! readelf -dW "$library" | grep -qF "Library soname: [libreprise.so.$version]"; then
    echo "the soname is not libreprise.so.$version:"
    readelf -dW "$library" | grep SONAME
    exit 1
fi

readelf -dW "$library" | grep NEEDED >"$scratch/needed"
for unwanted in vulkan glslang SPIRV; do
    if grep -i "$unwanted" "$scratch/needed"; then
        echo "$library must not be linked with $unwanted"
        exit 1
    fi
done

# Segments that load on systems with pages of 16 KiB.
readelf -lW "$library" | awk '$1 == "LOAD" && $NF != "0x4000" { print "page alignment:", $0; bad = 1 } END { exit bad }'
# The library without the GLSL compiler stays below 1 MB, stripped.
objects=
for object in $(find "$build/CMakeFiles/reprise_objects.dir" -name '*.o'); do
    file=${object#*/reprise_objects.dir/}
    file=${file%.o} # of a file that is no more, an older build may have left its object
    if [ -e "$source/$file" ] || [ -e "$build/$file" ]; then objects="$objects $object"; fi
done
[ -n "$objects" ] || { echo "found no objects of the library"; exit 1; }

# wanted OBJECT...: what objects want of others, a line "OBJECT NAME" for each, by the names that the source has for it.
wanted() {
    for object in "$@"; do
        nm -u --format=posix "$object" | sed -nE "s#^([A-Za-z0-9_]+).*#${object##*/} \1#p"
    done | sed -E 's/ __isoc(99|23)_/ /; s/ __(.*)_chk$/ \1/; s/ __environ$/ environ/; s/ __errno_location$/ __errno/
        s/ secure_getenv$/ getenv/; s/ __ctype_[a-z]+_loc$/ isalnum/' | grep -vE ' (_GLOBAL_OFFSET_TABLE_|__tls_get_addr|__stack_chk_fail)$'
}
# No signal handlers, no locale, no environment changed, nothing printed, no process ended: it is the host's. Between fork and
# exec the child of os_posix.c is a process of its own; and what environment is read is read where os_posix.c does.
# shellcheck disable=SC2086
wanted $objects >"$scratch/wanted"
hosts='signal|bsd_signal|sigaction|sigprocmask|sigaltstack|setlocale|uselocale|putenv|setenv|unsetenv|clearenv|exit|_exit|quick_exit|abort|atexit|raise|system|popen|umask|chdir|fchdir|srand|rand|alarm|setitimer|printf|vprintf|puts|putchar|perror|stdout|stderr|stdin|__assert_fail|getenv|environ'
if grep -E " ($hosts)\$" "$scratch/wanted" | grep -vE '^os_(posix|windows)[a-z_]*\.c\.o (sigaction|_exit|getenv|environ)$'; then
    echo "these belong to the process, not to a library in it"
    exit 1
fi
# Names that Android has, with the level since which it does (bionic_symbols.txt), against those of the library and the command.
minimum=24
# shellcheck disable=SC2046
wanted $(find "$build"/CMakeFiles/reprise_c*.dir -name '*.o' 2>/dev/null) >>"$scratch/wanted"
sed 's/.* //' "$scratch/wanted" | grep -vE '^(rp_|__asan|__ubsan|__tsan|__sanitizer|_ITM|__gmon|__gcov|mpirun)' | LC_ALL=C sort -u >"$scratch/called"
sed -nE 's/^([A-Za-z0-9_]+) ([0-9]+)$/\1 \2/p' "$source/tests/bionic_symbols.txt" |
    awk -v minimum=$minimum '$2 <= minimum { print $1 }' | LC_ALL=C sort -u >"$scratch/android"
if LC_ALL=C comm -23 "$scratch/called" "$scratch/android" | grep .; then
    echo "Android has none of these at API $minimum, as far as tests/bionic_symbols.txt knows"
    exit 1
fi
[ -z "${REPRISE_SYMBOLS_OF_MUSL-}" ] || exit 0 # tools/testbeds musl: no compiler of this machine, nor glibc's versions
packed= # as the library's own
if readelf -dW "$library" | grep -q RELR; then packed=-Wl,-z,pack-relative-relocs; fi
cc -shared -s -Wl,--unresolved-symbols=ignore-all -Wl,-z,max-page-size=16384,-z,noseparate-code,--gc-sections,-Bsymbolic-functions $packed \
    -o "$scratch/small.so" $objects -lm
bytes=$(stat -c %s "$scratch/small.so")
echo "$bytes bytes without the GLSL compiler, stripped"
# It needs nothing but the C library and libm, which have versions of their symbols; rp_glsl_ functions were left out.
others=$(nm -D --undefined-only --format=posix "$scratch/small.so" | cut -d' ' -f1 | grep -vE '@GLIBC|^(_ITM|__gmon_start__)' |
    grep -v '^rp_' || true)
[ -z "$others" ] || { echo "the library without the GLSL compiler needs:" $others; exit 1; }
[ "$bytes" -gt 100000 ] && [ "$bytes" -lt 1000000 ]
echo "$(wc -l <"$scratch/exported") functions exported"
