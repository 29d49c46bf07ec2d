"""Shows that each rule of style.py, layers.py and proof.py can fail: a check that cannot is worse than none."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import layers  # noqa: E402
import proof  # noqa: E402
import style  # noqa: E402


def faults_of(code, name="core/x.cpp"):
    checker = style.Checker()
    checker.text(name, code)
    checker.cpp(name, code)
    return checker.faults


class Style(unittest.TestCase):
    def refuses(self, code, part, name="core/x.cpp"):
        faults = faults_of(code, name)
        self.assertTrue(any(part in fault for fault in faults), (code, faults))

    def accepts(self, code, name="core/x.cpp"):
        self.assertEqual(faults_of(code, name), [])

    def test_text(self):
        self.refuses("a\tb\n", "tab")
        self.refuses("a \n", "white space")
        self.refuses("// TO" + "DO\n", "open an issue")
        self.refuses("a b " * 40 + "c\n", "line of")
        self.refuses("int a;", "no newline")
        self.refuses("a\n" * 701, "split it")
        self.accepts('auto s = R"(' + "a b " * 60 + ')";\n')

    def test_dangerous_features(self):
        for code in ("std::chrono::system_clock::now()", "std::regex r", "std::thread t", "getenv(x)", "t.detach()",
                     "usleep(3)", "std::this_thread::sleep_for(1s)", "auto* p = new Foo", "delete p", "delete[] p",
                     "using namespace std", "std::random_device d", "std::cout << 1", "assert(x)", "sprintf(a, b)",
                     "co_spawn(x, y, asio::detached)"):
            self.refuses(code + ";\n", ":1: ")
        for code in ("Foo(const Foo&) = delete", "co_await core::sleep_for(1s)", "options.sleep(3)", "// std::regex\nint a",
                     'auto s = "new Foo"', "std::unique_ptr<Foo>(new Foo)", "using namespace std::chrono_literals"):
            self.accepts(code + ";\n")
        self.accepts("std::thread t;\n", "net/x.cpp")

    def test_catch_all(self):
        self.refuses("void f() {\n  try {\n  } catch (...) {\n  }\n}\n", "hands nothing on")
        self.accepts("void f() {\n  try {\n  } catch (...) {\n    throw;\n  }\n}\n")

    def test_function_length(self):
        body = "  a();\n" * (style.FUNCTION_LINES_MAX + 1)
        self.refuses("void f() {\n" + body + "}\n", "function of")
        self.refuses("struct S {\n  void f() {\n" + body + "  }\n};\n", "function of")
        self.accepts("namespace a {\n" + body + "}\n")

    def test_coroutine_lambdas(self):
        self.refuses("auto a = [this, x](int y) -> core::Task<> { co_await g(); };\n", "capturing lambda")
        self.refuses("auto a = [&]() -> Task<int> { if (b) { co_return 1; } co_return 2; };\n", "capturing lambda")
        self.accepts("auto a = [](int y) -> core::Task<> { co_await g(y); };\n")
        self.accepts("auto a = [x] { return run(x); };\n")
        self.accepts("auto a = [x] { struct R { static Task<> m() { co_return; } }; return R::m(); };\n")

    def test_headers_and_pages(self):
        self.refuses("// words\n#pragma once\n", "#pragma once", "core/x.h")
        checker = style.Checker()
        checker.markdown("a.md", "# One\n\n```\n# not a title\n```\n")
        self.assertEqual(checker.faults, [])
        checker.markdown("a.md", "# One\n\n# Two\n")
        self.assertEqual(len(checker.faults), 1)


CMAKE = """assistiv_module(core PUBLIC pkg::json)
assistiv_module(storage PUBLIC assistiv::core PRIVATE pkg::pqxx)
assistiv_module(mcp PUBLIC assistiv::core assistiv::storage)
"""


class Layers(unittest.TestCase):
    def faults(self, files, cmake=CMAKE):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            modules = layers.modules_of(cmake)
            faults = []
            used = layers.check_includes(root, modules, faults)
            layers.check_unused(modules, used, faults)
            layers.check_tables(root, modules, faults)
            layers.check_migrations(root, faults)
        return [f for f in faults if "no migration creates" not in f]

    GOOD = {
        "core/a.h": "#include <nlohmann/json_fwd.hpp>\n",
        "storage/a.cpp": '#include <pqxx/pqxx>\n#include "core/a.h"\n',
        "mcp/grants/a_store.cpp": '#include "core/a.h"\n#include "storage/b.h"\nauto s = "select 1 from tool_grant";\n',
    }

    def refuses(self, part, **changed):
        files = dict(self.GOOD, **{k.replace("__", "/").replace("_h", ".h").replace("_cpp", ".cpp"): v for k, v in changed.items()})
        faults = self.faults(files)
        self.assertTrue(any(part in fault for fault in faults), faults)

    def test_good_tree(self):
        self.assertEqual(self.faults(self.GOOD), [])

    def test_includes(self):
        self.refuses("does not link storage", core__b_h='#include "storage/a.h"\n')
        self.refuses("belongs to storage/", mcp__b_cpp="#include <pqxx/pqxx>\n")
        self.refuses("belongs to net/", mcp__b_cpp="#include <boost/asio/ip/tcp.hpp>\n")
        self.refuses("product code includes", mcp__b_cpp='#include "tests/support/x.h"\n')

    def test_unused_permission(self):
        self.assertTrue(any("includes nothing" in f for f in self.faults(self.GOOD, CMAKE.replace("pkg::json", "pkg::json pkg::spdlog"))))

    def test_sql(self):
        self.refuses("belongs to oauth/", mcp__b_cpp='auto s = "select 1"\n  " from connection";\n')
        self.refuses("outside of a *_store.cpp", mcp__b_cpp='auto s = "insert into tool_grant values (1)";\n')

    def test_migrations(self):
        table = "create table tool_grant (\n  platform_id uuid,\n  primary key (%s)\n);\n%s"
        protect = "select assistiv_protect('tool_grant');\n"
        sql = "storage/migrations/0004_x.sql"
        self.assertEqual(self.faults(dict(self.GOOD, **{sql: table % ("platform_id, a", protect)})), [])
        self.assertEqual(len(self.faults(dict(self.GOOD, **{sql: table % ("platform_id", "")}))), 1)
        self.assertEqual(len(self.faults(dict(self.GOOD, **{sql: table % ("a, platform_id", protect)}))), 1)
        self.assertEqual(len(self.faults(dict(self.GOOD, **{sql: "create table other (\n  a int\n);\n"}))), 1)


class Proof(unittest.TestCase):
    def faults(self, row):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "unit").mkdir()
            (root / "e2e").mkdir()
            (root / "unit/a_test.cpp").write_text("TEST_F(Suite, holds) {\n}\n")
            (root / "e2e/a.test.mjs").write_text("test('it\\'s so', () => {});\ntest(`${name}: too`, () => {});\n")
            page = root / "proof.md"
            page.write_text(f"| Line | Test |\n| --- | --- |\n{row}\n")
            return proof.faults_of(page, root)[0]

    def test_names(self):
        for good in ("`unit/a_test.cpp: Suite.holds`", "`e2e/a.test.mjs: it's so; ${name}: too`", "`e2e/a.test.mjs`", "Not done: no"):
            self.assertEqual(self.faults(f"| a | {good} |"), [], good)
        for bad in ("`unit/a_test.cpp: Suite.held`", "`e2e/a.test.mjs: it's so; gone`", "`e2e/b.test.mjs: it's so`", "surely"):
            self.assertEqual(len(self.faults(f"| a | {bad} |")), 1, bad)


if __name__ == "__main__":
    unittest.main()
