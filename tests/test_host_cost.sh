# sh test_host_cost.sh SOURCE_DIR BUILD_DIR SCRATCH_DIR: what an inference costs the host outside the driver, counted in
# instructions: no time is measured.
set -eu
source=$1 build=$2
command -v valgrind >/dev/null || { echo "valgrind is not installed: nothing is counted"; exit 77; }
counted=$(sh "$source/tools/bench/host_cost" "$build" hidden) # all that a run can copy
echo "$counted"
echo "$counted" | awk '{ lines++; if ($2 < 1000 || $2 >= 50000) bad = 1 } END { exit bad || lines != 1 }'
