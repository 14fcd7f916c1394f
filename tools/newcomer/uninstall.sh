# Both versions are taken away, the newer one last where it is there; no file stays.
set -eu
cmake --build reprise/build --target uninstall
if [ -e newer/build/install_manifest.txt ]; then
    "$1/bin/reprise" classify --json "a warm and funny film" | grep POSITIVE # of the other version
    cmake --build newer/build --target uninstall
fi
find "$1" ! -type d >left
cat left
[ ! -s left ]
