"""Writes the files of a folder as one C++ table, so that the binary needs nothing beside itself.

usage: embed.py MODULE NAME FOLDER OUT
"""
import pathlib
import sys

module, name, folder, out = sys.argv[1:]
folder = pathlib.Path(folder)
files = sorted(p for p in folder.rglob("*") if p.is_file())
lines = ['#include "core/embedded.h"', "#include <array>", "", f"namespace assistiv::{module} {{", "namespace {"]
for i, path in enumerate(files):
    data = path.read_bytes()
    lines.append(f"const unsigned char kData{i}[] = {{{','.join(str(b) for b in data)}{',' if data else ''}0}};")
lines.append(f"const std::array<core::EmbeddedFile, {len(files)}> kFiles = {{{{")
for i, path in enumerate(files):
    rel = path.relative_to(folder).as_posix()
    lines.append(f'    {{"{rel}", {{reinterpret_cast<const char*>(kData{i}), {path.stat().st_size}}}}},')
lines += ["}};", "}  // namespace", f"std::span<const core::EmbeddedFile> embedded_{name}() {{ return kFiles; }}",
          f"}}  // namespace assistiv::{module}", ""]
out = pathlib.Path(out)
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text("\n".join(lines))
