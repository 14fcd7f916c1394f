# A call that another thread ends; the next call answers.
set -eu
grep -q rp_call_cancel "$1"/include/reprise-*/reprise/*.h || { echo "the library has no rp_call yet"; exit 77; }
PKG_CONFIG_PATH=$(dirname "$(find "$1" -name reprise.pc)")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046  # they are several words
cc -std=c11 -Wall -Wextra -Werror cancel.c $(pkg-config --cflags --libs reprise) \
    -Wl,-rpath,"$(pkg-config --variable=libdir reprise)" -pthread -o cancel
./cancel
