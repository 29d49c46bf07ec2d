"""Reading C++ sources for the checks: files, code without comments and strings, string literals."""
import re

TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'""", re.S
)


def cpp_files(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in (".h", ".cpp") and p.is_file())


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def code_only(text):
    """The text with comments and the insides of literals blanked; lines and columns stay."""

    def replace(match):
        token = match[0]
        if token[0] == "'" and re.search(r"[0-9a-fA-F]$", text[: match.start()][-1:]):
            return token  # a digit separator
        if token.startswith("/"):
            return _blank(token)
        return token[0] + _blank(token[1:-1]) + token[-1]

    return TOKEN.sub(replace, text)


def without_raw_literals(text):
    """The text with the insides of raw string literals removed, line by line: nobody formats those."""

    def replace(match):
        token = match[0]
        return "\n" * token.count("\n") if token.startswith("R") else token

    return TOKEN.sub(replace, text)


def literals(text):
    """(line, text) of string literals; neighbours that the compiler would join are joined."""
    out = []
    end = None
    for match in TOKEN.finditer(text):
        token = match[0]
        if token[0] not in '"R':
            continue
        body = token[1:-1] if token[0] == '"' else token[token.index("(") + 1 : token.rindex(")")]
        if end is not None and not text[end : match.start()].strip():
            out[-1] = (out[-1][0], out[-1][1] + body)
        else:
            out.append((text.count("\n", 0, match.start()) + 1, body))
        end = match.end()
    return out
