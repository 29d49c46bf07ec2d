"""Every test that docs/proof.md names exists.

A test is named there in a code span: `unit/oauth/crypto/vault_test.cpp: VaultTest.opens_what_it_sealed`, below tests/;
of an end-to-end test the title as it stands in the file. Two names of one file: `file: a; b`. A fuzz target is its
file. Each table row needs at least one name, or the word "Not" in its second column.

usage: proof.py [ROOT]
"""
import pathlib
import re
import sys

SPAN = re.compile(r"`((?:unit|integration|e2e|fuzz)/[^`:]+?\.(?:cpp|mjs))(?:: ([^`]+))?`")
TITLE = re.compile(r"\b(?:test|describe)\(\s*(?:'((?:[^'\\]|\\.)*)'|`([^`]*)`)")


def tests_in(path):
    text = path.read_text()
    if path.suffix == ".mjs":
        return {re.sub(r"\\(.)", r"\1", plain or template) for plain, template in TITLE.findall(text)}
    return {f"{suite}.{name}" for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", text, re.M)}


def faults_of(page, tests):
    faults, named = [], 0
    for number, line in enumerate(page.read_text().splitlines(), 1):
        spans = SPAN.findall(line)
        row = line.startswith("| ") and not line.startswith(("| ---", "| Line"))
        if row and not spans and not re.search(r"\| Not\b", line):
            faults.append(f"{page}:{number}: names no test and does not say why")
        for file, names in spans:
            path = tests / file
            if not path.is_file():
                faults.append(f"{page}:{number}: there is no tests/{file}")
                continue
            known = tests_in(path)
            for name in filter(None, names.split("; ")):
                named += 1
                if name not in known:
                    faults.append(f"{page}:{number}: tests/{file} has no test \"{name}\"")
    return faults, named


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    faults, named = faults_of(root / "docs/proof.md", root / "tests")
    print("\n".join(faults + [f"proof: {named} tests named, {len(faults)} faults"]))
    return 1 if faults or named == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
