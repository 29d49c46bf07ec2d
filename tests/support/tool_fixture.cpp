#include "support/tool_fixture.h"

#include <string>

namespace assistiv::test {

namespace {

std::string manifest(const std::string& id, const std::string& title, const std::string& tools) {
  return R"({"manifest": 1, "id": ")" + id + R"(", "title": ")" + title + R"(", "version": "1",
    "description": "For tests.", "hosts": ["api.example.test"],
    "oauth": {
      "client": {"auth": "body"}, "pkce": "S256",
      "scope": {"param": "scope", "separator": " ", "response_separator": " ", "default": ["basic"],
                "titles": {"basic": "Read", "notes": "Write notes"}},
      "authorize": {"url": "https://api.example.test/authorize"},
      "token": {"url": "https://api.example.test/token", "encoding": "form"},
      "refresh": {"mode": "rotating"},
      "slots": {"main": {"access": "/access_token", "refresh": "/refresh_token", "scope": "/scope",
                         "expires_in": {"path": "/expires_in", "default": 3600}}},
      "ok": {"status": [200]}, "errors": {"permanent": ["invalid_grant"]},
      "identity": {"request": {"method": "GET", "path": "/me"}, "id": ["/id"], "label": "/name"}},
    "api": {"base": "https://api.example.test", "auth_header": "Bearer {token}",
            "error": {"code": "/error", "message": "/message"}},
    "paginators": {}, "tools": [)" +
         tools + "]}";
}

std::string tool(const std::string& name, const std::string& risk, const std::string& method,
                 const std::string& extra) {
  const bool read = risk == "read";
  const std::string hints = std::string(R"({"readOnly": )") + (read ? "true" : "false") +
                            R"(, "destructive": )" + (risk == "destructive" ? "true" : "false") +
                            R"(, "idempotent": )" + (read ? "true" : "false") + R"(, "openWorld": true})";
  const std::string body = method == "GET" ? "" : R"(, "body": {"text": "{text}"})";
  const std::string path = method == "GET" ? "/notes/{text}" : "/notes";
  return R"({"name": ")" + name + R"(", "title": ")" + name + R"(", "description": "Does )" + name +
         R"( in a test.", "group": "notes", "risk": ")" + risk + R"(", "hints": )" + hints + extra +
         R"(, "input": {"type": "object", "additionalProperties": false, "required": ["text"],
             "properties": {"text": {"type": "string", "maxLength": 200, "description": "Any text."}}},
           "request": {"method": ")" +
         method + R"(", "path": ")" + path + "\"" + body +
         R"(}, "result": {"item": "", "shape": {"id": "string", "text": "string"}}})";
}

}  // namespace

mcp::Catalog small_catalog() {
  const std::string scoped = R"(, "scopes": {"any": [["notes"]]})";
  const std::string notes = tool("notes_get", "read", "GET", "") + "," +
                            tool("notes_add", "write", "POST", scoped) + "," +
                            tool("notes_post", "outbound", "POST", scoped) + "," +
                            tool("notes_wipe", "destructive", "POST", scoped);
  return mcp::Catalog::load({{"notes.json", manifest("notes", "Notes", notes)},
                             {"mail.json", manifest("mail", "Mail", tool("mail_list", "read", "GET", ""))}});
}

}  // namespace assistiv::test
