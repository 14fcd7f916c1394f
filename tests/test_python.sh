# sh test_python.sh SOURCE_DIR BUILD_DIR SCRATCH_DIR: the Python package over the library that was built: declarations of
# ctypes are made of the headers and have the sizes that tests/test_abi.c knows, and three of the tests in tools/python/tests
# pass. The others, which need packages or minutes, are in tools/testbeds_python.sh. Skipped (77) where there is no Python 3.8.
set -eu
source=$1 build=$2 scratch=$3
python3 -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || exit 77
rm -rf "$scratch"
mkdir -p "$scratch"
cp -R "$source/tools/python/reprise" "$source/tools/python/tests" "$scratch"
python3 "$source/tools/python/declare.py" "$source/include/reprise" "$scratch/reprise/_api.py"
export PYTHONPATH=$scratch PYTHONDONTWRITEBYTECODE=1 REPRISE_LIBRARY=$build/libreprise.so
python3 - "$source/tests" <<'END'
import ctypes, re, sys
from reprise import _api
text = "".join(open(f"{sys.argv[1]}/{name}").read() for name in ("test_abi.c", "abi_train.def"))
sizes = re.findall(r"STRUCT\((\w+), (\d+)\)", text)
fields = re.findall(r"FIELD\((\w+), (\w+), (\d+), (\d+)\)", text)
assert len(sizes) > 20 and len(fields) > 200
for name, size in sizes if ctypes.sizeof(ctypes.c_void_p) == 8 else ():
    assert ctypes.sizeof(getattr(_api, name)) == int(size), name
for name, field, offset, size in fields if ctypes.sizeof(ctypes.c_void_p) == 8 else ():
    there = getattr(getattr(_api, name), field)
    assert (there.offset, there.size) == (int(offset), int(size)), (name, field)
declared = set(open(f"{sys.argv[1]}/abi_functions.txt").read().split())
assert set(_api.FUNCTIONS) == declared, set(_api.FUNCTIONS) ^ declared
END
[ ! -x "$build/reprise" ] || export REPRISE_COMMAND="$build/reprise"
for name in test_reprise test_pipelines test_tasks; do
    python3 -W error::ResourceWarning "$scratch/tests/$name.py" >"$scratch/log" 2>&1 || {
        cat "$scratch/log"
        exit 1
    }
    tail -n 3 "$scratch/log"
done
