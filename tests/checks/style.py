"""Style as a test: reads each file of the repository once and prints `file:line: message` for what breaks a rule.

A feature that is dangerous in most places and right in a few has a short list of files (ALLOWED). Extending a list is a
decision: do it in the commit that needs it and say why there.

usage: style.py [ROOT]
"""
import pathlib
import re
import subprocess
import sys

from support.source import code_only, without_raw_literals

LINE_MAX = {".h": 120, ".cpp": 120, ".cmake": 120, ".txt": 120, ".py": 140, ".sql": 140, ".mjs": 210, ".sh": 170, "": 170}
FUNCTION_LINES_MAX = 80  # aim at less than 50; tables of routes and settings are longer
FILE_LINES_MAX = 700
TEXT_SUFFIXES = {".h", ".cpp", ".py", ".mjs", ".js", ".ts", ".sh", ".sql", ".md", ".json", ".cmake", ".txt", ".html", ".css", ""}
NOT_OURS = re.compile(r"(^|/)package-lock\.json$|^tests/(golden|fuzz/corpus)/")
FOLDERS_WITH_README = ["core", "net", "storage", "billing", "oauth", "inference", "mcp", "api", "tests", "examples", "bench",
                       "docs", "scripts", "sdk"]

BANNED_WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

# (pattern in code without comments and literals, files or folders that may, what to do instead)
ALLOWED = [
    (r"\bsystem_clock::now\b", ["core/clock.cpp", "tests/", "bench/"], "take a core::Clock"),
    (r"\bstd::regex\b", [], "use RE2 or a scanner: std::regex recurses over its input"),
    (r"\bstd::j?thread\b", ["core/async.cpp", "net/", "storage/", "api/", "tests/", "bench/"],
     "use a core::BlockingPool or a core::TaskGroup"),
    (r"\bgetenv\b", ["api/", "storage/", "tests/", "bench/"], "take it from the settings"),
    # Processes and sockets of the operating system have no event that a test could await.
    (r"\bthis_thread::sleep_for\b|(?<![.>\w])u?sleep\s*\(|\bnanosleep\b",
     ["storage/", "tests/support/", "tests/unit/storage/private_cluster_test.cpp",
      "tests/integration/net/edge_requests_test.cpp"], "await core::sleep_for or an event"),
    (r"\.detach\s*\(\)|\basio::detached\b", ["core/async.cpp", "bench/"], "own it with a core::TaskGroup"),
    (r"(?<!\()\bnew\s+(?!\()[A-Za-z_:]", [], "hand it to its owner at once, or use std::make_unique"),
    (r"\bdelete\s+[A-Za-z_*(]|\bdelete\[\]", [], "let an owner free it"),
    (r"\busing\s+namespace\b(?!\s+std::(chrono|string)\w*literals)", ["bench/"], "name what you use"),
    (r"\b(rand|srand)\s*\(|\bstd::random_device\b", ["tests/", "bench/"], "take a core::Random"),
    (r"\bstd::(cout|cerr)\b|\bprintf\s*\(", ["api/", "tests/", "bench/"], "use core::log"),
    (r"\bassert\s*\(", [], "throw core::internal, or make the state impossible"),
    (r"\b(GTEST_SKIP|DISABLED_\w*)", [], "a test runs, or it goes"),
    # C++20 ends what the inner calls of a range return before the loop begins.
    (r"\bfor\s*\([^;{}()]*[^:]:\s+(?:\w+\([^;{}]*\)(?:\.|->)\w+\(\)\)|\*[\w.>-]+\(\)|[\w.>-]+(?<!begin)\(\)->\w+\))",
     ["tests/"], "name what the call returns first"),
    (r"\bstrcpy\b|\bstrcat\b|\bsprintf\s*\(|\bgets\s*\(", [], "use std::string"),
]
ALLOWED = [(re.compile(pattern), files, advice) for pattern, files, advice in ALLOWED]

# cpprestsdk's tasks may throw what is no std::exception; the exchange fails with it.
SWALLOWS = {"net/rest_client.cpp"}

CAPTURING_LAMBDA = re.compile(r"\[([^\[\]]*[\w&=*][^\[\]]*)\]\s*(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?\s*(?:mutable\s*)?(?:->\s*[\w:<>,\s*&]+?)?\s*\{")
NOT_A_FUNCTION = re.compile(r"^\s*(namespace|struct|class|enum|union|extern)\b|=\s*\{?$|^\s*(static\s+)?const(expr)?\b.*=")


def tracked_files(root):
    out = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"], capture_output=True, check=True)
    for name in sorted(out.stdout.decode().split("\0")):
        path = root / name
        if name and path.is_file() and path.suffix in TEXT_SUFFIXES and not NOT_OURS.search(name):
            yield name, path


def closing_brace(code, start):
    """Index after the brace that closes the one at `start`."""
    depth = 0
    for i in range(start, len(code)):
        if code[i] == "{":
            depth += 1
        elif code[i] == "}":
            depth -= 1
            if depth == 0:
                return i + 1
    return len(code)


def without_nested_functions(body):
    """A function's body without the bodies of its lambdas and local structs."""
    out, at = "", 1
    for match in re.finditer(r"\bstruct\s+\w+\s*\{|\[[^\[\]]*\]\s*(?:\([^{};]*?\))?\s*(?:mutable\s*)?(?:->[^{};]*?)?\{", body):
        if match.start() < at:
            continue
        out += body[at : match.start()]
        at = closing_brace(body, match.end() - 1)
    return out + body[at:]


class Checker:
    def __init__(self):
        self.faults = []

    def fault(self, name, line, message):
        self.faults.append(f"{name}:{line}: {message}")

    def text(self, name, text):
        limit = LINE_MAX.get(pathlib.PurePath(name).suffix, sys.maxsize)
        measured = without_raw_literals(text) if name.endswith((".h", ".cpp")) else text
        for number, (line, code) in enumerate(zip(text.split("\n"), measured.split("\n")), 1):
            if "\t" in line:
                self.fault(name, number, "tab")
            if line != line.rstrip():
                self.fault(name, number, "white space at the end of the line")
            if len(code) > limit and not re.search(r"\S{100}", code):
                self.fault(name, number, f"line of {len(line)} characters (at most {limit})")
            if BANNED_WORDS.search(line) and name != "tests/checks/style.py" and not name.endswith(".json"):
                self.fault(name, number, f"\"{BANNED_WORDS.search(line)[1]}\": do it, or open an issue")
        if text and not text.endswith("\n"):
            self.fault(name, text.count("\n") + 1, "no newline at the end of the file")
        lines = text.count("\n")
        if lines > FILE_LINES_MAX and not name.endswith((".md", ".json")):
            self.fault(name, lines, f"file of {lines} lines (at most {FILE_LINES_MAX}): split it")

    def cpp(self, name, text):
        code = code_only(text)
        if name.endswith(".h") and not text.startswith("#pragma once\n"):
            self.fault(name, 1, "a header begins with #pragma once")
        for pattern, files, advice in ALLOWED:
            if any(name == file or (file.endswith("/") and name.startswith(file)) for file in files):
                continue
            for match in pattern.finditer(code):
                self.fault(name, code.count("\n", 0, match.start()) + 1, f"{match[0].strip()}: {advice}")
        self.swallowed(name, code)
        self.function_lengths(name, code)
        self.coroutine_lambdas(name, code)

    # That the header stands alone is seen when its source compiles (cmake/module.cmake verifies only the others).
    def own_header_first(self, name, text):
        own = name.removeprefix("tests/")[:-4] + ".h"
        first = re.search(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', text, re.M)
        if first and first[1] != own:
            self.fault(name, text.count("\n", 0, first.start()) + 1, f"a source includes its own header first ({own})")

    def swallowed(self, name, code):
        for match in re.finditer(r"\bcatch\s*\(\s*\.\.\.\s*\)\s*\{", code):
            body = code[match.end() - 1 : closing_brace(code, match.end() - 1)]
            if not re.search(r"\bthrow\s*;|current_exception|\bterminate\b", body) and name not in SWALLOWS:
                line = code.count("\n", 0, match.start()) + 1
                self.fault(name, line, "catch (...) hands nothing on: catch core::Error or std::exception, or rethrow")

    def function_lengths(self, name, code):
        lines = code.split("\n")
        start = None
        for number, line in enumerate(lines, 1):
            indent = len(line) - len(line.lstrip())
            opens = line.rstrip().endswith("{") and ")" in self.signature(lines, number)
            if start is None and indent <= 2 and opens and not NOT_A_FUNCTION.search(line):
                start = (number, indent)
            elif start and line.rstrip() in (" " * start[1] + "}", " " * start[1] + "};"):
                length = number - start[0] - 1
                if length > FUNCTION_LINES_MAX:
                    self.fault(name, start[0], f"function of {length} lines (at most {FUNCTION_LINES_MAX})")
                start = None

    @staticmethod
    def signature(lines, number):
        """The lines of a statement that ends on line `number`."""
        parts = [lines[number - 1]]
        for previous in reversed(lines[: number - 1]):
            if not previous.strip() or previous.rstrip()[-1] in ";{}:" or len(parts) > 8:
                break
            parts.append(previous)
        return " ".join(parts)

    def coroutine_lambdas(self, name, code):
        for match in CAPTURING_LAMBDA.finditer(code):
            if re.search(r"[\w\])]\s*$", code[: match.start()]):
                continue  # an index, not a lambda
            body = code[match.end() - 1 : closing_brace(code, match.end() - 1)]
            own = without_nested_functions(body)
            if re.search(r"\bco_(await|return|yield)\b", own):
                line = code.count("\n", 0, match.start()) + 1
                self.fault(name, line, "a capturing lambda is a coroutine: its captures die before it does; pass values to a "
                           "static or free coroutine function")

    def markdown(self, name, text):
        outside = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        titles = re.findall(r"^# .+$", outside, re.M)
        if len(titles) != 1:
            self.fault(name, 1, f"{len(titles)} first-level headings (exactly 1)")


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    checker = Checker()
    count = 0
    for name, path in tracked_files(root):
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        count += 1
        checker.text(name, text)
        if path.suffix == ".cpp" and path.with_suffix(".h").is_file():
            checker.own_header_first(name, text)
        if path.suffix in (".h", ".cpp"):
            checker.cpp(name, text)
        elif path.suffix == ".md":
            checker.markdown(name, text)
    for folder in FOLDERS_WITH_README:
        if (root / folder).is_dir() and not (root / folder / "README.md").is_file():
            checker.fault(f"{folder}/README.md", 1, "missing: what lives here, what may enter, where to start")
    for fault in checker.faults:
        print(fault)
    print(f"style: {count} files, {len(checker.faults)} faults", file=sys.stderr)
    return 1 if checker.faults else 0


if __name__ == "__main__":
    sys.exit(main())
