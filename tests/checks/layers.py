"""The dependency law as a test: who may include what, and who may name which table.

The allowed edges are the assistiv_module lines of CMakeLists.txt; there is no second list. Fails on an include of a module
that is not linked, on a third-party header outside of the folder that owns it, on a permission that nobody uses, on SQL
that names another module's table, and on a tenant table without row-level security.

usage: layers.py [ROOT]
"""
import pathlib
import re
import sys

from support.source import cpp_files, literals

# Third-party headers: include prefix -> (package in CMakeLists.txt, where it may be included; None for every module that
# links the package).
THIRD_PARTY = {
    "nlohmann/": ("json", None),
    "boost/beast": ("beast", ["net/"]),
    "boost/asio/ssl": ("ssl", ["net/"]),
    "boost/asio/ip": ("asio", ["net/"]),
    "boost/asio/local": ("asio", ["net/"]),
    "boost/asio": ("asio", ["core/", "net/", "api/"]),
    "boost/": ("asio", None),
    "cpprest/": ("cpprest", ["net/"]),
    "pplx/": ("cpprest", ["net/"]),
    "pqxx/": ("pqxx", ["storage/"]),
    "libpq-fe.h": ("pqxx", ["storage/"]),
    "cjose/": ("cjose", ["oauth/crypto/"]),
    "oauth2/": ("liboauth2", ["oauth/"]),
    "spdlog/": ("spdlog", ["core/log.cpp"]),
    "fmt/": ("spdlog", ["core/log.cpp"]),
    "openssl/": ("crypto", None),
    "re2/": ("re2", ["agents/cel/", "mcp/schema/", "mcp/connectors/", "oauth/connect/"]),
    "gtest/": ("gtest", []),
    "gmock/": ("gtest", []),
}
# What a package also gives: beast brings asio's sockets and TLS, cpprest brings nothing that others may include.
PROVIDES = {"beast": {"beast", "asio", "ssl"}, "ssl": {"ssl", "crypto"}, "cpprest": {"cpprest"}}

# Who owns a table: the only module whose SQL may name it.
TABLES = {
    "audit_entry": "storage/",
    "audit_head": "storage/",
    "platform": "oauth/",
    "end_user": "oauth/",
    "api_key": "oauth/",
    "operator_key": "oauth/",
    "mcp_app": "oauth/",
    "connection": "oauth/",
    "credential": "oauth/",
    "connect_link": "oauth/",
    "connect_flow": "oauth/",
    "upstream_revocation": "oauth/",
    "refresh_pace": "oauth/",
    "provider_webhook": "oauth/",
    "provider_notice": "oauth/",
    "oauth_signing_key": "oauth/",
    "oauth_client": "oauth/",
    "sign_in_link": "oauth/",
    "sign_in_session": "oauth/",
    "client_authorization": "oauth/",
    "registered_issuer": "oauth/",
    "issuer_audience": "oauth/",
    "provider_sign_in": "oauth/",
    "own_app_manifest": "mcp/",
    "agent": "agents/",
    "agent_version": "agents/",
    "agent_end_user": "agents/",
    "platform_client": "oauth/",
    "used_assertion": "oauth/",
    "tool_policy": "mcp/",
    "tool_grant": "mcp/",
    "approval": "mcp/",
    "mcp_session": "mcp/",
    "mcp_stream_event": "mcp/",
    "remote_server": "mcp/",
    "remote_tool": "mcp/",
    "mcp_task": "mcp/",
    "agent_thread": "agents/",
    "agent_run": "agents/",
    "agent_checkpoint": "agents/",
    "agent_blob": "agents/",
    "agent_task": "agents/",
    "agent_event": "agents/",
    "agent_item": "agents/",
    "agent_cron": "agents/",
    "agent_assistant": "agents/",
    "agent_assistant_version": "agents/",
    "agent_wait": "agents/",
    "kept_result": "mcp/",
    "llm_provider": "inference/",
    "llm_model": "inference/",
    "llm_config": "inference/",
    "stored_response": "inference/",
    "idempotency_key": "billing/",
    "webhook_endpoint": "billing/",
    "webhook_message": "billing/",
    "webhook_delivery": "billing/",
    "account": "billing/",
    "account_lease": "billing/",
    "ledger_node": "billing/",
    "ledger_entry": "billing/",
    "usage_row": "billing/",
    "price": "billing/",
    "rate_limit": "billing/",
    "rate_lease": "billing/",
}
# (file, table): why it may all the same.
TABLE_EXCEPTIONS = {
    ("storage/audit_store.cpp", "platform"): "a chain begins with its platform, and only for one that exists",
}
# Files that are a store under another name: the class is its table, and nothing else.
STORES = {
    "oauth/connect/platform_facts.cpp",
    "oauth/connect/revocation_queue.cpp",
    "oauth/identity/operator_keys.cpp",
}
# SQL stands in stores, next to the table's other SQL, and in storage/, which is about SQL.
SQL_STATEMENT = re.compile(r"^\s*(select\b.*\bfrom\b|insert into\b|update \w+ set\b|delete from\b|with \w+ as\b)", re.I | re.S)

MODULE = re.compile(r"^assistiv_module\((\w+)([^)]*)\)", re.M)
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.M)
TABLE_USE = re.compile(r"\b(?:from|join|into|update|table|references)\s+(?:only\s+)?\"?([a-z_]+)\b", re.I)
CREATE_TABLE = re.compile(r"^create (?:unlogged )?table (?:if not exists )?(\w+)\s*\((.*?)^\)", re.M | re.S | re.I)


def modules_of(cmake):
    """{module: (modules it links, packages it links)}"""
    out = {}
    for name, rest in MODULE.findall(cmake):
        words = rest.split()
        out[name] = (
            {w.removeprefix("assistiv::") for w in words if w.startswith("assistiv::")},
            {w.removeprefix("pkg::") for w in words if w.startswith("pkg::")},
        )
    return out


def reachable_packages(module, modules):
    """Packages that the module links itself or through a module (core hands on json and asio)."""
    own = set(modules[module][1])
    for linked in modules[module][0]:
        own |= modules[linked][1]
    for package in list(own):
        own |= PROVIDES.get(package, set())
    return own


def third_party(header):
    hits = [prefix for prefix in THIRD_PARTY if header.startswith(prefix)]
    return max(hits, key=len) if hits else None


def check_includes(root, modules, faults):
    used = {name: (set(), set()) for name in modules}
    for name in modules:
        for path in cpp_files(root / name):
            rel = path.relative_to(root).as_posix()
            text = path.read_text()
            for match in INCLUDE.finditer(text):
                header = match[1]
                where = f"{rel}:{text.count(chr(10), 0, match.start()) + 1}"
                first = header.split("/")[0]
                if first in modules:
                    used[name][0].add(first)
                    if first != name and first not in modules[name][0]:
                        faults.append(f"{where}: {name} does not link {first}, so it may not include {header}")
                    continue
                if first in ("tests", "examples", "bench"):
                    faults.append(f"{where}: product code includes {header}")
                prefix = third_party(header)
                if prefix is None:
                    continue
                package, owners = THIRD_PARTY[prefix]
                used[name][1].add(package)
                if owners is not None and not any(rel.startswith(owner) for owner in owners):
                    faults.append(f"{where}: {header} belongs to {', '.join(owners) or 'tests'}")
                elif package not in reachable_packages(name, modules):
                    faults.append(f"{where}: {name} does not link pkg::{package}, so it may not include {header}")
    return used


def check_unused(modules, used, faults):
    for name, (links, packages) in modules.items():
        for linked in sorted(links - used[name][0]):
            faults.append(f"CMakeLists.txt: {name} links assistiv::{linked} and includes nothing of it")
        for package in sorted(packages):
            if not (PROVIDES.get(package, {package}) | {package}) & used[name][1]:
                faults.append(f"CMakeLists.txt: {name} links pkg::{package} and includes nothing of it")


def check_tables(root, modules, faults):
    for name in modules:
        for path in cpp_files(root / name):
            rel = path.relative_to(root).as_posix()
            for line, text in literals(path.read_text()):
                is_store = rel.startswith("storage/") or rel.endswith("_store.cpp") or rel in STORES
                if SQL_STATEMENT.match(text) and not is_store:
                    faults.append(f"{rel}:{line}: SQL outside of a *_store.cpp")
                for table in TABLE_USE.findall(text):
                    owner = TABLES.get(table.lower())
                    if not owner or rel.startswith(owner) or not looks_like_sql(text):
                        continue
                    if (rel, table.lower()) not in TABLE_EXCEPTIONS:
                        faults.append(f"{rel}:{line}: SQL on {table}, which belongs to {owner}")


def looks_like_sql(text):
    return re.search(r"\b(select|insert into|update|delete from|alter table|truncate)\b|^\s*(from|join|where)\b", text, re.I)


def check_migrations(root, faults):
    seen = {}
    for path in sorted((root / "storage/migrations").glob("*.sql")):
        rel = path.relative_to(root).as_posix()
        sql = path.read_text()
        for match in CREATE_TABLE.finditer(sql):
            table, body = match[1], match[2]
            seen[table] = rel
            where = f"{rel}:{sql.count(chr(10), 0, match.start()) + 1}"
            if table not in TABLES:
                faults.append(f"{where}: table {table} has no owner in tests/checks/layers.py")
            if "platform_id" not in body:
                continue
            if f"assistiv_protect('{table}')" not in sql:
                faults.append(f"{where}: tenant table {table} is not protected: select assistiv_protect('{table}')")
            key = re.search(r"primary key\s*\(\s*(\w+)", body, re.I)
            inline = re.search(r"^\s*platform_id\b[^,]*\bprimary key\b", body, re.M | re.I)
            if not inline and (not key or key[1] != "platform_id"):
                faults.append(f"{where}: the primary key of tenant table {table} does not lead with platform_id")
    for table in TABLES:
        if table not in seen:
            faults.append(f"tests/checks/layers.py: no migration creates the table {table}")


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    modules = modules_of((root / "CMakeLists.txt").read_text())
    faults = []
    used = check_includes(root, modules, faults)
    check_unused(modules, used, faults)
    check_tables(root, modules, faults)
    check_migrations(root, faults)
    for fault in faults:
        print(fault)
    print(f"layers: {len(modules)} modules, {len(faults)} faults", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
