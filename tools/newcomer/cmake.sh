# A project of one's own with CMake.
set -eu
mkdir -p project
cp reprise/tools/examples/classify.c project/app.c
cat >project/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.18)
project(app C)
find_package(reprise 0.2 REQUIRED)
add_executable(app app.c)
target_link_libraries(app PRIVATE reprise::reprise)
END
rm -rf project/build
cmake -S project -B project/build -G Ninja -DCMAKE_PREFIX_PATH="$1"
cmake --build project/build
project/build/app sentiment "a warm and funny film" "dull , flat and too long" | tee output
grep -q 'POSITIVE: a warm' output
grep -q 'NEGATIVE: dull' output
