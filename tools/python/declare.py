#!/usr/bin/env python3
"""Write reprise/_api.py: the public headers as declarations of ctypes.

    declare.py include/reprise reprise/_api.py

The build of the package runs this, so that a struct of the binding is always that of the library beside it.
"""
import pathlib
import re
import sys

INTEGERS = {
    "int8_t": "c_int8", "uint8_t": "c_uint8", "int32_t": "c_int32", "uint32_t": "c_uint32",
    "int64_t": "c_int64", "uint64_t": "c_uint64", "size_t": "c_size_t", "int": "c_int", "unsigned": "c_uint",
    "bool": "c_bool", "float": "c_float", "double": "c_double", "char": "c_char", "uint16_t": "c_uint16",
}


class Header:
    """The declarations of all headers, in an order in which Python can define them."""

    def __init__(self):
        self.structs, self.opaque, self.enums, self.functions, self.callbacks = {}, [], {}, {}, {}
        self.constants = {}

    def type_of(self, text, field=False):
        """The ctypes expression of a C type, such as `const char *const *`."""
        stars = text.count("*")
        name = re.sub(r"\bconst\b|\bstruct\b|\*", " ", text).split()
        if len(name) != 1:
            raise SystemExit(f"declare.py: do not know the type '{text.strip()}'")
        name = name[0]
        if name in self.callbacks and not stars:
            return name
        if name == "char" and stars:
            base, stars = "c_char_p", stars - 1
        elif name == "void":
            base, stars = ("c_void_p", stars - 1) if stars else ("None", 0)
        elif name in INTEGERS:
            base = INTEGERS[name]
        elif name in self.enums:
            base = "c_int"
        elif name in self.structs or name in self.opaque:
            base = name
        else:
            raise SystemExit(f"declare.py: nobody declares '{name}'")
        return "POINTER(" * stars + base + ")" * stars

    def argument(self, text):
        """The type of one argument, whose name may be there or not."""
        text = text.strip()
        match = re.fullmatch(r"(.*?[\s*])(\w+)\[[^\]]*\]", text)
        if match:
            return self.type_of(match.group(1) + "*")
        words = re.sub(r"\bconst\b", " ", text)
        match = re.fullmatch(r"(.*[\s*])(\w+)", words.strip())
        return self.type_of(match.group(1) if match and match.group(1).strip(" *") else words)

    def arguments(self, text):
        return [] if text.strip() in ("", "void") else [self.argument(part) for part in text.split(",")]

    def fields(self, body):
        """(name, type, enum or None) of each field."""
        for part in filter(None, (p.strip() for p in body.split(";"))):
            match = re.fullmatch(r"(.+?)\(\*(\w+)\)\((.*)\)", part, re.S)
            if match:
                types = [self.type_of(match.group(1)), *self.arguments(match.group(3))]
                yield match.group(2), f"CFUNCTYPE({', '.join(types)})", None
                continue
            first, *others = part.split(",")
            match = re.fullmatch(r"(.*[\s*])(\w+(?:\[\w+\])?)", first.strip(), re.S)
            base = re.sub(r"\*[\s\w*]*$", "", match.group(1)).strip()
            declarators = [match.group(1)[len(base):].strip() + match.group(2), *others]
            for declarator in declarators:
                text, size = declarator.strip(), ""
                if text.endswith("]"):
                    text, size = text[:-1].split("[")
                stars = re.match(r"[*\s]*(?:const\b[*\s]*)*", text).group(0)
                name = text[len(stars):]
                plain = re.sub(r"\bconst\b", "", base).strip()
                kind = self.type_of(base + " " + stars)
                yield name, f"{kind} * {size}" if size else kind, plain if plain in self.enums else None

    def read(self, text):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)
        text = re.sub(r"^\s*#.*?(?<!\\)$", "", text, flags=re.M | re.S)
        text = re.sub(r'extern "C" \{', "", text)
        pattern = re.compile(
            r"typedef\s+enum\s+(?P<enum>\w+)\s*\{(?P<values>[^}]*)\}"
            r"|enum\s*\{(?P<constants>[^}]*)\}"
            r"|typedef\s+struct\s+(?P<struct>\w+)\s*\{(?P<body>.*?)\}\s*\w+\s*;"
            r"|typedef\s+struct\s+(?P<opaque>\w+)\s+\w+\s*;"
            r"|typedef\s+(?P<back>[\w\s]+?[\s*])\(\*(?P<callback>\w+)\)\((?P<takes>[^)]*)\)\s*;"
            r"|RP_API\s+(?P<gives>[\w\s]+?[\s*]+)(?P<function>rp_\w+)\((?P<with>[^)]*)\)\s*;", re.S)
        for m in pattern.finditer(text):
            if m["enum"]:
                self.enums[m["enum"]] = self.values(m["values"])
            elif m["constants"]:
                self.constants.update(self.values(m["constants"]))
            elif m["struct"]:
                self.structs[m["struct"]] = list(self.fields(m["body"]))
            elif m["opaque"]:
                self.opaque.append(m["opaque"])
            elif m["callback"]:
                self.callbacks[m["callback"]] = [self.type_of(m["back"]), *self.arguments(m["takes"])]
            else:
                self.functions[m["function"]] = [self.type_of(m["gives"]), *self.arguments(m["with"])]

    @staticmethod
    def values(text):
        found, following = {}, 0
        for part in filter(None, (p.strip() for p in text.split(","))):
            name, _, value = (p.strip() for p in part.partition("="))
            following = eval(value, {}, found) if value else following  # noqa: S307, our own headers
            found[name] = following
            following += 1
        return found

    def written(self):
        yield '"""The public headers of Reprise. Written by declare.py; not to be edited."""'
        yield "from ctypes import *  # noqa: F403"
        yield ""
        for name in self.opaque:
            yield f"class {name}(Structure): pass"
        for name, fields in self.structs.items():
            yield f"class {name}(Structure): pass"
        for name, types in self.callbacks.items():
            yield f"{name} = CFUNCTYPE({', '.join(types)})"
        for name, fields in self.structs.items():
            yield f"{name}._fields_ = ["
            for field, kind, _ in fields:
                yield f"    ({field!r}, {kind}),"
            yield "]"
        yield f"ENUMS = {self.enums!r}"
        yield f"CONSTANTS = {self.constants!r}"
        kinds = {s: {f: e for f, _, e in fields if e} for s, fields in self.structs.items()}
        yield f"FIELD_ENUMS = { {s: f for s, f in kinds.items() if f}!r}"
        yield "FUNCTIONS = {"
        for name, types in self.functions.items():
            yield f"    {name!r}: ({types[0]}, [{', '.join(types[1:])}]),"
        yield "}"


def main():
    folder, out = map(pathlib.Path, sys.argv[1:])
    header = Header()
    read = set()

    def visit(name):
        text = (folder / name).read_text()
        for other in re.findall(r'#include "(\w+\.h)"', text):
            if other not in read:
                read.add(other)
                visit(other)
        header.read(text)

    visit("reprise.h")
    header.opaque = [name for name in header.opaque if name not in header.structs]
    out.write_text("\n".join(header.written()) + "\n")


if __name__ == "__main__":
    main()
