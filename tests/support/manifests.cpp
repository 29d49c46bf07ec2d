#include "support/manifests.h"

namespace assistiv::test {

nlohmann::json acme_manifest() {
  return nlohmann::json::parse(R"({
    "manifest": 1, "id": "acme", "title": "Acme", "version": "1",
    "description": "A small app for tests.",
    "vars": {"team": {"source": "app", "pattern": "^[a-z]{1,20}$", "title": "Team"}},
    "hosts": ["{team}.acme.example"],
    "oauth": {
      "client": {"auth": "body"}, "pkce": "S256",
      "scope": {"param": "scope", "titles": {"notes:read": "Read notes", "notes:write": "Write notes"}, "default": ["notes:read"],
                "implies": {"notes:write": ["notes:read"]}},
      "authorize": {"url": "https://{team}.acme.example/authorize"},
      "token": {"url": "https://{team}.acme.example/token", "encoding": "form"},
      "slots": {"main": {"access": "/access_token"}},
      "refresh": {"mode": "none"},
      "identity": {"request": {"method": "GET", "path": "/me"}, "id": ["/id"]}
    },
    "api": {"base": "https://{team}.acme.example/v1", "auth_header": "Bearer {token}", "headers": {"User-Agent": "assistiv"},
            "error": {"code": "/error/code", "message": "/error/message"},
            "rate": {"remaining": "x-left", "reset_in": "x-reset", "retry_after": "retry-after"}},
    "paginators": {"pages": {"type": "page", "send": {"page": "{page}", "size": "{limit}"}}},
    "arguments": {"folder": {"type": "string", "description": "Name of the folder.", "maxLength": 50}},
    "shapes": {"note": {"id": "string", "text": {"type": "string", "clip": 100}, "pinned": "boolean"}},
    "tools": [
      {"name": "acme_list_notes", "title": "List notes", "description": "Lists the notes of a folder.", "group": "notes",
       "risk": "read", "hints": {"readOnly": true, "destructive": false, "idempotent": true, "openWorld": true},
       "scopes": {"any": [["notes:read"]]},
       "input": {"type": "object", "additionalProperties": false, "required": ["folder"],
                 "properties": {"folder": {"$ref": "#/arguments/folder"}}},
       "request": {"method": "GET", "path": "/folders/{folder}/notes"}, "paginate": "pages",
       "result": {"items": "/notes", "shape": "note"}},
      {"name": "acme_add_note", "title": "Add a note", "description": "Adds a note to a folder.", "group": "notes",
       "risk": "write", "hints": {"readOnly": false, "destructive": false, "idempotent": false, "openWorld": true},
       "scopes": {"any": [["notes:write"]]},
       "input": {"type": "object", "additionalProperties": false, "required": ["folder", "text"],
                 "properties": {"folder": {"$ref": "#/arguments/folder"},
                                "text": {"type": "string", "description": "The text.", "maxLength": 1000}}},
       "request": {"method": "POST", "path": "/folders/{folder}/notes", "body": {"note": {"text": "{text}"}}},
       "result": {"item": "/note", "shape": "note"}}
    ]})");
}

nlohmann::json& acme_tool(nlohmann::json& manifest, std::size_t index) {
  return manifest["tools"][index];
}

mcp::Catalog load_manifest(const nlohmann::json& manifest, const mcp::ApiOverrides& overrides) {
  return mcp::Catalog::load({{"acme.json", manifest.dump()}}, overrides);
}

std::vector<std::string> manifest_faults(const nlohmann::json& manifest) {
  std::vector<std::string> out;
  try {
    load_manifest(manifest);
  } catch (const mcp::ManifestError& error) {
    for (const auto& fault : error.faults()) out.push_back(fault.pointer + ": " + fault.message);
  }
  return out;
}

}  // namespace assistiv::test
