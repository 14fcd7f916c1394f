# Vectors as a file that NumPy reads, and a search among them.
set -eu
reprise/build/reprise embed --help | grep -q npy || { echo "embed writes no .npy yet"; exit 77; }
python3 -c "import numpy" || { echo "NumPy is not installed here"; exit 77; }
printf '%s\n' "the ship left the harbour at night" "she baked bread for the whole village" \
    "a boat sailed out to sea in the dark" "the bill must be paid by friday" >lines.txt
reprise/build/reprise embed --format npy -o vectors.npy -f lines.txt
python3 - <<'END'
import numpy
vectors = numpy.load("vectors.npy", mmap_mode="r")
assert vectors.shape[0] == 4 and vectors.dtype == numpy.float32, (vectors.shape, vectors.dtype)
unit = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
near = unit @ unit[0]
print(near)
assert abs(near[0] - 1) < 1e-5 and numpy.isfinite(near).all()
END
