#!/usr/bin/env python3
"""Make loader/unicode_tables.c from the Unicode character database.

    unicode_tables.py [--data DIR] [VERSION...] >loader/unicode_tables.c
    unicode_tables.py [--data DIR] --scripts 14.0 >loader/unicode_scripts.c

DIR is where Debian's package unicode-data (15.0.0) puts it, /usr/share/unicode. Each VERSION, in ascending order, is
one that code points can be cut at: a character's record holds the first of them that has the character. The
default is the versions in the order of rp_unicode_version (loader/unicode.h). A character that no VERSION has is left
out of the tables. Sizes go to standard error.
"""
import argparse
import os
import sys

END = 0x110000
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()
BREAKS = "Other CR LF Control Extend ZWJ Regional_Indicator Prepend SpacingMark L V T LV LVT".split()
ALPHABETIC, CASED, IGNORABLE, SECOND = 1, 2, 4, 8
NO_MAPPING, CANONICAL, CANONICAL_ONE, COMPATIBLE, COMPATIBLE_ONE = range(5)
BLOCK, GROUP = 16, 32  # code points of a block, blocks of a group
HANGUL, HANGUL_END = 0xAC00, 0xAC00 + 11172
LONG = 4  # this length and longer: the length stands in front of the sequence


class Database:
    """The files of the Unicode character database, an entry for each code point."""

    def __init__(self, folder, versions):
        self.folder = folder
        self.category = ["Cn"] * END
        self.combining = [0] * END
        self.mapping = {}  # (compatibility, code points), one level
        self.lower = {}
        self.version = [len(versions)] * END
        for codes, value in self.ranges("DerivedAge.txt"):
            age = tuple(int(x) for x in value.split("."))
            first = next((i for i, v in enumerate(versions) if age <= v), len(versions))
            for code in codes:
                self.version[code] = first
        self.read_characters(len(versions))
        self.breaks = self.values("auxiliary/GraphemeBreakProperty.txt")
        self.flags = [0] * END
        for name, prop, flag in (("DerivedCoreProperties.txt", "Alphabetic", ALPHABETIC),
                                 ("DerivedCoreProperties.txt", "Cased", CASED),
                                 ("DerivedCoreProperties.txt", "Case_Ignorable", IGNORABLE)):
            for codes, value in self.ranges(name):
                for code in codes if value == prop else ():
                    self.flags[code] |= flag
        self.pictographs = [codes for codes, value in self.ranges("emoji/emoji-data.txt")
                            if value == "Extended_Pictographic"]
        self.excluded = {code for codes, value in self.ranges("DerivedNormalizationProps.txt")
                         if value == "Full_Composition_Exclusion" for code in codes}

    def lines(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8") as f:
            for line in f:
                line = line.split("#")[0].strip()
                if line:
                    yield [field.strip() for field in line.split(";")]

    def ranges(self, name):
        for fields in self.lines(name):
            first, _, last = fields[0].partition("..")
            yield range(int(first, 16), int(last or first, 16) + 1), fields[1]

    def values(self, name):
        return {code: value for codes, value in self.ranges(name) for code in codes}

    def read_characters(self, newest):
        first = 0
        for f in self.lines("UnicodeData.txt"):
            code = int(f[0], 16)
            if f[1].endswith("First>"):
                first = code
                continue
            if not f[1].endswith("Last>"):
                first = code
            for c in range(first, code + 1):
                if self.version[c] < newest:
                    self.category[c], self.combining[c] = f[2], int(f[3])
            if self.version[code] == newest:
                continue
            if f[5]:
                parts = f[5].split()
                self.mapping[code] = (parts[0][0] == "<", [int(x, 16) for x in parts if x[0] != "<"])
            if f[13]:
                self.lower[code] = int(f[13], 16)

    def full(self, code, compatible):
        """The full decomposition; a canonical one when `compatible` is false."""
        kind, parts = self.mapping.get(code, (False, None))
        if parts is None or (kind and not compatible):
            return [code]
        return [x for part in parts for x in self.full(part, compatible)]


def units(codes):
    """16-bit units of some code points, as UTF-16 has them."""
    data = "".join(map(chr, codes)).encode("utf-16-le")
    return [data[i] | data[i + 1] << 8 for i in range(0, len(data), 2)]


def pool_sequences(sequences):
    """One array of units in which every sequence is found, and where each begins."""
    pool, places = [], {}
    for sequence in sorted(set(sequences), key=lambda s: (-len(s), s)):
        text = list(sequence) if len(sequence) < LONG else [len(sequence), *sequence]
        last = len(pool) - len(text)
        place = next((i for i in range(last + 1) if pool[i:i + len(text)] == text), None)
        if place is None:
            place = len(pool)
            pool += text
        places[sequence] = place
    return pool, places


def stages(values):
    """Three-stage table: groups of blocks, blocks, values; groups of zeros at the end are left out."""
    whole = BLOCK * GROUP
    last = max(code for code in range(END) if values[code])
    values = values[:(last // whole + 1) * whole]
    blocks, groups, first, second, third = {}, {}, [], [], []
    indices = []
    for at in range(0, len(values), BLOCK):
        block = tuple(values[at:at + BLOCK])
        if block not in blocks:
            blocks[block] = len(blocks)
            third += block
        indices.append(blocks[block])
    for at in range(0, len(indices), GROUP):
        group = tuple(indices[at:at + GROUP])
        if group not in groups:
            groups[group] = len(groups)
            second += group
        first.append(groups[group])
    return first, second, third


def mappings(base):
    """For each code point that decomposes, but for Hangul: its kind, and the one unit that it becomes or the
    place of its sequence with the length."""
    kinds, sequences = {}, {}
    for code, (compatible, _) in base.mapping.items():
        sequence = tuple(units(base.full(code, compatible)))
        one = len(sequence) == 1
        kinds[code] = (COMPATIBLE_ONE if one else COMPATIBLE) if compatible else CANONICAL_ONE if one else CANONICAL
        sequences[code] = sequence
    pool, places = pool_sequences(s for s in sequences.values() if len(s) > 1)
    assert len(pool) < 1 << 14
    entries = [0] * END
    for code, s in sequences.items():
        entries[code] = s[0] if len(s) == 1 else places[s] << 2 | (len(s) if len(s) < LONG else 0)
    return kinds, entries, pool


def compositions(base):
    """Triples (second, first, composed), sorted."""
    pairs = []
    for code, (compatible, parts) in base.mapping.items():
        if not compatible and len(parts) == 2 and code not in base.excluded:
            pairs.append((parts[1], parts[0], code))
    return sorted(pairs)


def merge(ranges):
    """Ranges that touch joined: first and last code points in turn."""
    ends = []
    for r in sorted(ranges, key=lambda r: r.start):
        if ends and ends[-1] + 1 == r.start:
            ends[-1] = r.stop - 1
        else:
            ends += [r.start, r.stop - 1]
    return ends


def records(base, kinds, pairs):
    """The distinct records of characters, and the index of each code point's."""
    seconds = {p[0] for p in pairs} | set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    ids, indices = {}, []
    for code in range(END):
        assigned = base.category[code] != "Cn"
        version = base.version[code] if assigned else 0
        flags = base.flags[code] | (SECOND if code in seconds and not base.combining[code] else 0)
        kind = CANONICAL if HANGUL <= code < HANGUL_END else kinds.get(code, NO_MAPPING)
        record = (CATEGORIES.index(base.category[code]), base.combining[code], version,
                  BREAKS.index(base.breaks.get(code, "Other")), kind, flags)
        indices.append(ids.setdefault(record, len(ids)))
    return list(ids), indices


def write_array(kind, name, values):
    size = {"uint8_t": 1, "uint16_t": 2, "int32_t": 4}[kind]
    print(f"{name}: {size * len(values)} bytes", file=sys.stderr)
    print(f"const {kind} {name}[] = {{")
    line = ""
    for value in values:
        if len(line) + len(str(value)) > 395:
            print(line)
            line = ""
        line += f"{value},"
    print(f"{line}\n}};")
    return size * len(values)


def write_stages(name, values, kind):
    first, second, third = stages(values)
    assert max(first) < 256
    print(f"const uint32_t rp_{name}_end = {len(first) * BLOCK * GROUP};")
    return (write_array("uint8_t", f"rp_{name}_groups", first) +
            write_array("uint16_t", f"rp_{name}_blocks", second) +
            write_array(kind, f"rp_{name}_values", third))


def fold(name):
    return name.replace("_", "").lower()


def write_scripts(base, version):
    """The ranges of every script, of characters that this version has, and the script's names."""
    names = {fields[2]: fields[1:] for fields in base.lines("PropertyValueAliases.txt") if fields[0] == "sc"}
    found = {}
    for codes, script in base.ranges("Scripts.txt"):
        for code in codes:
            if base.version[code] == 0:
                found.setdefault(script, []).append(range(code, code + 1))
    print(f"/* Made by tools/unicode_tables.py --scripts from unicode-data, cut at {version}. Do not edit. */")
    print('#include "loader/unicode_tables.h"\n\n/* clang-format off */')
    scripts, all_ends = [], []
    for script in sorted(found):
        ends = merge(found[script])
        scripts += [(fold(name), len(all_ends) // 2, len(ends) // 2) for name in dict.fromkeys(map(fold, names[script]))]
        all_ends += ends
    size = write_array("int32_t", "rp_script_ranges", all_ends)
    print("const rp_script rp_scripts[] = {")
    for name, first, count in scripts:
        print(f'{{"{name}",{first},{count}}},')
    print(f"}};\nconst uint16_t rp_script_count = {len(scripts)};")
    print(f"{size + sum(len(name) + 9 for name, *_ in scripts)} bytes in all", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="/usr/share/unicode", metavar="DIR")
    parser.add_argument("--scripts", metavar="VERSION", help="write the scripts of this version instead")
    parser.add_argument("versions", nargs="*", default=["8.0", "9.0", "14.0", "15.0"], metavar="VERSION")
    args = parser.parse_args()
    if args.scripts:
        version = tuple(int(x) for x in args.scripts.split("."))
        return write_scripts(Database(args.data, [version]), args.scripts)
    versions = [tuple(int(x) for x in v.split(".")) for v in args.versions]
    base = Database(args.data, versions)
    kinds, entries, pool = mappings(base)
    pairs = compositions(base)
    kept, indices = records(base, kinds, pairs)
    assert len(kept) <= 256
    deltas = sorted({low - code for code, low in base.lower.items()} | {0}, key=lambda d: (d != 0, d))
    lower = [deltas.index(base.lower.get(code, code) - code) for code in range(END)]
    small = [p for p in pairs if p[2] < 0x10000]
    large = [p for p in pairs if p[2] >= 0x10000]

    print("/* Made by tools/unicode_tables.py from unicode-data, cut at "
          f"{' '.join(args.versions)}. Do not edit. */")
    print('#include "loader/unicode_tables.h"\n\n/* clang-format off */')
    print("const rp_unicode_record rp_unicode_records[] = {")
    row = [",".join(map(str, r)) for r in kept]
    for at in range(0, len(row), 20):
        print(",".join(f"{{{r}}}" for r in row[at:at + 20]) + ",")
    print("};")
    total = 6 * len(kept)
    total += write_stages("unicode", indices, "uint8_t")
    total += write_array("int32_t", "rp_lower_deltas", deltas)
    total += write_stages("lower", lower, "uint8_t")
    total += write_stages("mapping", entries, "uint16_t")
    total += write_array("uint16_t", "rp_mapping_pool", pool)
    total += write_array("uint16_t", "rp_composed_small", [x for p in small for x in p])
    total += write_array("int32_t", "rp_composed_large", [x for p in large for x in p])
    pictographs = merge(base.pictographs)
    total += write_array("int32_t", "rp_pictographs", pictographs)
    print(f"const uint16_t rp_pictograph_count = {len(pictographs) // 2};")
    print(f"const uint16_t rp_composed_small_count = {len(small)}, rp_composed_large_count = {len(large)};")
    print(f"{len(kept)} records; {total} bytes in all", file=sys.stderr)


if __name__ == "__main__":
    main()
