#!/usr/bin/env python3
"""Counts test cases: JUnit files of ctest and node, and cases.tsv lines of `name<TAB>pass|fail` written by scripts/test.

The last line printed is `N passed, N failed`; the exit code says whether anything failed or nothing ran.
"""
import pathlib
import sys
import xml.etree.ElementTree as xml


def junit_cases(path):
    try:
        root = xml.parse(path).getroot()
    except xml.ParseError as error:
        yield f"{path.name} is not readable: {error}", "fail"
        return
    for case in root.iter("testcase"):
        name = f"{path.stem}: {case.get('classname') or ''} {case.get('name')}"
        if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            yield name, "skip"
        elif case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
            yield name, "fail"
        else:
            yield name, "pass"


def main(folder):
    counts = {"pass": 0, "fail": 0, "skip": 0}
    for path in sorted(pathlib.Path(folder).iterdir()):
        if path.suffix == ".xml":
            cases = junit_cases(path)
        elif path.name == "cases.tsv":
            cases = [line.split("\t") for line in path.read_text().splitlines()]
        else:
            continue
        for name, outcome in cases:
            counts[outcome] += 1
            if outcome == "fail":
                print(f"FAILED  {name}")
    if counts["skip"]:
        print(f"{counts['skip']} skipped")
    print(f"{counts['pass']} passed, {counts['fail']} failed")
    return 1 if counts["fail"] or not counts["pass"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
