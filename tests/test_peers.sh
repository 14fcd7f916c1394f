# sh test_peers.sh SOURCE_DIR BUILD_DIR SCRATCH_DIR: tools/bench/peers reaches Reprise. Its structs are those of the headers, a
# run through it answers, and a comparison without Reprise fails. No peer is needed.
set -eu
source=$1 build=$2 scratch=$3
command -v python3 >/dev/null || { echo "python3 is not installed: tools/bench/peers cannot be tried"; exit 77; }
mkdir -p "$scratch"
export PYTHONPATH="$source/tools/bench" PYTHONDONTWRITEBYTECODE=1

python3 - >"$scratch/layout.c" <<'END'
import ctypes, capi
print("#include <stddef.h>\n#include <reprise/reprise.h>")
for struct in capi.STRUCTS:
    name = struct.__name__
    print(f'_Static_assert(sizeof({name}) == {ctypes.sizeof(struct)}, "{name} has fields that capi.py has not");')
    for field, *_ in struct._fields_:
        here = getattr(struct, field)
        print(f'_Static_assert(offsetof({name}, {field}) == {here.offset}, "place of {name}.{field}");')
        print(f'_Static_assert(sizeof((({name} *)0)->{field}) == {here.size}, "size of {name}.{field}");')
for name, value in [*((f"RP_PRECISION_{k.upper()}", v) for k, v in capi.PRECISIONS.items()),
                    ("RP_DEVICE_CPU", capi.DEVICE_CPU)]:
    print(f'_Static_assert({name} == {value}, "{name}");')
END
(unset VK_INSTANCE_LAYERS; "${CC:-cc}" -std=c11 -I"$source/include" -fsyntax-only "$scratch/layout.c")

python3 - "$build" "$source/tools/models/sentiment" <<'END'
import array, math, sys, capi
model = capi.Model(capi.Device(sys.argv[1]), sys.argv[2], "f16", 64)
ids = array.array("i", [2, 50, 60, 3, 2, 70, 3])
out = array.array("f", [math.nan] * (len(ids) * 384))
first = ids.buffer_info()[0]
sequences = (capi.rp_sequence * 2)(capi.rp_sequence(first, None, 4), capi.rp_sequence(first + 16, None, 3))
model.run(sequences, out.buffer_info()[0], len(out))
assert all(map(math.isfinite, out)) and any(out[-384:])
END

python3 - "$build" "$source/tools/models/sentiment" <<'END'
import sys, capi
tokenizer = capi.Tokenizer(sys.argv[1], sys.argv[2])
assert tokenizer.ids("a warm film".encode())[0] == 2 and len(tokenizer.ids(b"")) == 2
END

# without BUILD WHY: peers.py with what it imports and what it makes left out cannot measure Reprise, says why, and fails.
without() {
    if python3 - "$1" --batch 3 --precision int8 >"$scratch/output" 2>&1 <<'END'
import sys, types
sys.modules["numpy"] = types.ModuleType("numpy")
import peers
class Case:
    def __init__(self, name, lengths):
        self.tokens = sum(lengths)
        print("case", name)
peers.make_model, peers.Case, peers.PEERS = lambda folder: None, Case, [peers.Reprise]
peers.main()
END
    then
        echo "peers without Reprise does not fail"
        exit 1
    fi
    grep -q "$2" "$scratch/output" || { cat "$scratch/output"; exit 1; }
}
without "$scratch/nothing" "Reprise cannot be measured:.*libreprise.so"
without "$build" "Reprise was not measured" # the folder that it opens is empty
grep -q "Reprise is left out: .*config.json" "$scratch/output" || { cat "$scratch/output"; exit 1; }
grep -q "^case 3 sequences of 128 tokens" "$scratch/output" || { cat "$scratch/output"; exit 1; }

# A start to the answer: a line for each kind of start; Hugging Face's pipeline is left out with a word where it is missing.
if [ -x "$build/reprise" ]; then
    python3 - "$build" "$source/tools/models/sentiment" >"$scratch/starts" 2>"$scratch/left_out" <<'END'
import sys, types
import starting
starting.PIPELINE = "import a_module_that_is_missing"
starting.main(types.SimpleNamespace(build=sys.argv[1], start=sys.argv[2], repeat=1))
END
    grep -q "^Python.*is left out: .*a_module_that_is_missing" "$scratch/left_out" || { cat "$scratch/left_out"; exit 1; }
    [ "$(grep -cE '^\| `reprise classify`.* \| [0-9]+\.[0-9]+ \| [0-9]+\.[0-9]+ \| [0-9]+ MiB \|  \|$' "$scratch/starts")" = 2 ] ||
        { cat "$scratch/starts"; exit 1; }
fi
