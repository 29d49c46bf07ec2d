"""The tables of tools in docs/connectors/ say what the manifests say.

Each page there whose name is a manifest's must list exactly its tools, in their order, with class, scopes and title.

usage: connector_docs.py [ROOT]
"""
import json
import pathlib
import sys


def row(tool):
    sets = [" and ".join(f"`{scope}`" for scope in scopes) for scopes in tool.get("scopes", {}).get("any", [])]
    return f"| `{tool['name']}` | {tool['risk']} | {', or '.join(sets) or 'none'} | {tool['title']} |"


def faults_of(page, manifest):
    tools = json.loads(manifest.read_text())["tools"]
    wanted = [row(tool) for tool in tools]
    found = [line for line in page.read_text().splitlines() if line.startswith(f"| `{manifest.stem}_")]
    if found == wanted:
        return []
    missing = [line for line in wanted if line not in found] or ["(the order differs)"]
    return [f"{page}: the table of tools must have: {line}" for line in missing]


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    faults, pages = [], 0
    for page in sorted((root / "docs/connectors").glob("*.md")):
        manifest = root / "mcp/connectors/manifests" / f"{page.stem}.json"
        if manifest.exists():
            pages += 1
            faults += faults_of(page, manifest)
    print("\n".join(faults + [f"connector_docs: {pages} pages, {len(faults)} faults"]))
    return 1 if faults or pages == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
