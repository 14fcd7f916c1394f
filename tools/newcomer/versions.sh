# A second version in the same prefix: programs, projects and commands of the first go on as before.
set -eu
sed -E 's/^(project\(reprise VERSION )0\.[0-9]+/\10.99/' reprise/CMakeLists.txt >lists
rm -rf newer
git clone --quiet reprise newer 2>/dev/null || cp -a reprise newer
rm -rf newer/build
mv lists newer/CMakeLists.txt
cmake -S newer -B newer/build -G Ninja -DCMAKE_BUILD_TYPE=Release -DREPRISE_TESTS=OFF
ninja -C newer/build
cmake --install newer/build --prefix "$1"
ls "$1"/bin "$1"/lib
[ "$("$1/bin/reprise" --version)" = "reprise 0.99.0" ]
"$1"/bin/reprise-0.2 --version | grep -q '^reprise 0\.2\.'
"$1"/bin/reprise-0.2 classify --json "a warm and funny film" | grep POSITIVE
./app sentiment "a warm and funny film" | grep 'POSITIVE: a warm' # as it was built before
ldd app | grep "libreprise.so.0.2 => $1"
sh cmake.sh "$1" # asks for 0.2
ldd project/build/app | grep "libreprise.so.0.2 => $1"
sed -i 's/reprise 0.2 REQUIRED/reprise 0.99 REQUIRED/' cmake.sh
sh cmake.sh "$1"
ldd project/build/app | grep "libreprise.so.0.99 => $1"
