# A Makefile of one's own with pkg-config, as README has it.
set -eu
cp reprise/tools/examples/classify.c app.c
cat >Makefile <<'END'
app: app.c
	cc app.c $$(pkg-config --cflags --libs reprise) -Wl,-rpath,"$$(pkg-config --variable=libdir reprise)" -o app
END
rm -f app
PKG_CONFIG_PATH=$(dirname "$(find "$1" -name reprise.pc)")
export PKG_CONFIG_PATH
if command -v make; then make; else sh -c "$(sed -n 's/\$\$/$/g; s/^\t//p' Makefile)"; fi
./app "$(pkg-config --variable=models reprise)/sentiment" "a warm and funny film" | tee output
grep -q 'POSITIVE: a warm' output
