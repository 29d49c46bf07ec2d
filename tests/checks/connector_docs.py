"""The tables of tools in docs/connectors/ say what the manifests say.

Each app that the program comes with has a page, its own (slack.md) or its family's (zoho.md for zoho_crm), whose table lists
exactly its tools, in their order, with class, scopes and title. An app that only changes the tools of another one is on that one's page.

usage: connector_docs.py [ROOT]
"""
import json
import pathlib
import sys


def row(tool):
    sets = [" and ".join(f"`{scope}`" for scope in scopes) for scopes in tool.get("scopes", {}).get("any", [])]
    return f"| `{tool['name']}` | {tool['risk']} | {', or '.join(sets) or 'none'} | {tool['title']} |"


def page_of(folder, app):
    pages = [folder / f"{app}.md", folder / f"{app.split('_')[0]}.md"]
    return next((page for page in pages if page.exists()), None)


def faults_of(folder, manifest):
    page = page_of(folder, manifest["id"])
    if page is None:
        return [f"{folder}: no page for {manifest['id']}"]
    wanted = [row(tool) for tool in manifest["tools"]]
    found = [line for line in page.read_text().splitlines() if line.startswith(f"| `{manifest['id']}_")]
    if found == wanted:
        return []
    missing = [line for line in wanted if line not in found] or ["(the order differs, or there is a line too many)"]
    return [f"{page}: the table of tools must have: {line}" for line in missing]


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    faults, apps = [], 0
    for path in sorted((root / "mcp/connectors/manifests").glob("*.json")):
        manifest = json.loads(path.read_text())
        if isinstance(manifest["tools"], list):
            apps += 1
            faults += faults_of(root / "docs/connectors", manifest)
    print("\n".join(faults + [f"connector_docs: {apps} apps, {len(faults)} faults"]))
    return 1 if faults or apps == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
