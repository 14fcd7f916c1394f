# sh test_readme.sh SOURCE_DIR BUILD_DIR SCRATCH_DIR: README fits 120 columns, what it links to is there, and the command
# answers what README says it answers.
set -eu
source=$1 build=$2 scratch=$3
mkdir -p "$scratch"
cd "$source"
if LC_ALL=C.UTF-8 awk 'length($0) > 120 { print FILENAME ":" FNR ": over 120 columns"; bad = 1 } END { exit !bad }' \
    README.md CHANGELOG.md; then
    exit 1
fi

grep -ohE '\]\([^)#]*' README.md CHANGELOG.md CONTRIBUTING.md | sed 's/^](//' | grep -v '^https\{0,1\}:' | sort -u >"$scratch/links"
grep -ohE '`(tools|tests|loader|runtime|shaders|include)/[A-Za-z0-9_/.-]+`' README.md CONTRIBUTING.md | tr -d '`' |
    sort -u >>"$scratch/links"
[ "$(wc -l <"$scratch/links")" -gt 20 ] || { echo "found too few links"; exit 1; }
while read -r link; do
    case $link in
    "" | tests/fuzz/NAME.c | tests/test_NAME.c) continue ;;
    esac
    [ -e "${link%/}" ] || { echo "README or CONTRIBUTING names what is not there: $link"; exit 1; }
done <"$scratch/links"

abi=$(sed -nE 's/^project\(reprise VERSION ([0-9]+\.[0-9]+).*/\1/p' CMakeLists.txt)
for name in "libreprise.so.$abi\`" "libexec/reprise-$abi\`" "find_package(reprise $abi REQUIRED)"; do
    grep -qF "$name" README.md || { echo "README speaks of another version than $abi: no $name"; exit 1; }
done
grep -q "^## $abi\." CHANGELOG.md || { echo "CHANGELOG has no section of $abi"; exit 1; }

[ -x "$build/reprise" ] || exit 77
# The table of applications: each line that needs no model of a hub prints what stands behind it.
mkdir -p "$scratch/bin"
ln -sfn "$build/reprise" "$scratch/bin/reprise"
ln -sfn "$source/tools" "$scratch/tools"
sed -n '/^## Applications/,/^## Training/p' README.md | sed -nE 's/^\| [^|]* \| `(reprise [^`]*)` \| `([^`]*)` \|$/\1\n\2/p' \
    >"$scratch/applications"
[ "$(wc -l <"$scratch/applications")" -ge 16 ] || { echo "found too few applications"; exit 1; }
while read -r line && read -r prints; do
    (cd "$scratch" && PATH="$scratch/bin:$PATH" bash -c "$line") </dev/null >"$scratch/printed" || { echo "$line fails"; exit 1; }
    grep -qF -e "$prints" "$scratch/printed" || { echo "$line does not print $prints but"; cat "$scratch/printed"; exit 1; }
done <"$scratch/applications"
sed -n '/^\$ build\/reprise classify/,/^\(\$\|```\)/p' README.md | sed '1d;$d' >"$scratch/said"
[ "$(wc -l <"$scratch/said")" = 9 ] || { echo "README's first answers are not nine lines"; cat "$scratch/said"; exit 1; }
"$build/reprise" classify "a warm, funny and moving film" "an hour too long and not one laugh" \
    "a joy from the first minute to the last" >"$scratch/answered"
diff "$scratch/said" "$scratch/answered" || { echo "< README says; > the command answers"; exit 1; }
