#include "mcp/connectors/draft/manifest_draft.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "mcp/connectors/catalog.h"
#include "mcp/connectors/draft/draft_text.h"

namespace assistiv::mcp {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;

// A small API as people write them: shared parameters, references, camel case, a body, a list with pages.
json notes_api() {
  return json::parse(R"({
    "openapi": "3.0.3",
    "info": {"title": "Acme Notes", "version": "2.1", "description": "Notes that a team shares."},
    "servers": [{"url": "https://{region}.notes.example/v2/", "variables": {"region": {"default": "eu"}}}],
    "security": [{"signIn": ["notes:read"]}],
    "paths": {
      "/me": {"get": {"operationId": "getMe", "summary": "Who am I", "responses": {"200": {"description": "ok", "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/User"}}}}}}},
      "/folders/{folderId}/notes": {
        "parameters": [{"$ref": "#/components/parameters/folder"}],
        "get": {
          "operationId": "listNotes", "tags": ["Notes"], "summary": "List notes",
          "description": "Lists the notes of a folder,\n newest first.",
          "parameters": [
            {"name": "sortBy", "in": "query", "description": "What to sort by.", "schema": {"type": "string", "enum": ["age", "title"]}},
            {"name": "page", "in": "query", "schema": {"type": "integer"}},
            {"name": "per_page", "in": "query", "schema": {"type": "integer"}},
            {"name": "X-Debug", "in": "header", "schema": {"type": "string"}}],
          "responses": {"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "object", "properties": {
            "notes": {"type": "array", "items": {"$ref": "#/components/schemas/Note"}}, "total": {"type": "integer"}}}}}}}
        },
        "post": {
          "operationId": "createNote", "tags": ["Notes"], "summary": "Create a note",
          "description": "Writes a note into a folder.", "security": [{"signIn": ["notes:write"]}],
          "requestBody": {"content": {"application/json": {"schema": {"allOf": [
            {"$ref": "#/components/schemas/NoteText"},
            {"type": "object", "required": ["text"], "properties": {
              "id": {"type": "string", "readOnly": true}, "limit": {"type": "integer", "minimum": 1, "description": "How many may read it."},
              "labels": {"type": "array", "items": {"type": "string", "maxLength": 20}, "description": "Labels of the note."}}}]}}}},
          "responses": {"201": {"description": "made", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Note"}}}}}
        }
      },
      "/notes/{noteId}": {
        "delete": {"summary": "Delete a note", "description": "Deletes a note for good.", "security": [{"signIn": ["notes:write"]}],
          "parameters": [{"name": "noteId", "in": "path", "required": true, "description": "The note.", "schema": {"type": "integer"}}],
          "responses": {"204": {"description": "gone"}}}
      },
      "/upload": {"put": {"summary": "Upload", "requestBody": {"content": {"multipart/form-data": {"schema": {"type": "object"}}}}}}
    },
    "components": {
      "parameters": {"folder": {"name": "folderId", "in": "path", "required": true, "description": "The folder's id.",
                                "schema": {"type": "string", "maxLength": 40, "pattern": "^[a-z]+$"}}},
      "schemas": {
        "User": {"type": "object", "properties": {"id": {"type": "integer"}, "displayName": {"type": "string"}}},
        "NoteText": {"type": "object", "properties": {"text": {"type": "string", "maxLength": 500, "description": "The text of it."}}},
        "Note": {"type": "object", "properties": {"id": {"type": "integer"}, "text": {"type": "string"}, "createdAt": {"type": "string"},
                 "author": {"$ref": "#/components/schemas/User"}, "labels": {"type": "array", "items": {"type": "string"}}}}},
      "securitySchemes": {"signIn": {"type": "oauth2", "flows": {"authorizationCode": {
        "authorizationUrl": "https://login.notes.example/authorize", "tokenUrl": "https://login.notes.example/token",
        "scopes": {"notes:read": "Read notes", "notes:write": "Write notes"}}}}}
    }
  })");
}

json drafted(const json& document, DraftOptions options = {}) {
  return json::parse(draft_manifest(document, options).text);
}

const json& tool_of(const json& manifest, const std::string& name) {
  for (const auto& tool : manifest["tools"]) {
    if (tool["name"] == name) return tool;
  }
  static const json none;
  ADD_FAILURE() << "no tool " << name << " in " << manifest["tools"].dump();
  return none;
}

TEST(ManifestDraft, of_a_small_document_loads_as_it_is) {
  const auto draft = draft_manifest(notes_api(), {});
  EXPECT_THAT(draft.faults, testing::IsEmpty());
  EXPECT_EQ(draft.id, "acme_notes");
  EXPECT_EQ(draft.tools, 4u);
  const auto catalog = Catalog::load({{"acme_notes.json", draft.text}});
  const App* app = catalog.find_app("acme_notes");
  ASSERT_NE(app, nullptr);
  EXPECT_EQ(app->title, "Acme Notes");
  ASSERT_NE(catalog.find_tool("acme_notes_list_notes"), nullptr);
  EXPECT_TRUE(catalog.find_tool("acme_notes_list_notes")->hints.read_only);
}

TEST(ManifestDraft, takes_over_hosts_oauth_and_scopes) {
  const auto manifest = drafted(notes_api());
  EXPECT_EQ(manifest["api"]["base"], "https://eu.notes.example/v2");
  EXPECT_EQ(manifest["hosts"], (json{"eu.notes.example", "login.notes.example"}));
  EXPECT_EQ(manifest["oauth"]["authorize"]["url"], "https://login.notes.example/authorize");
  EXPECT_EQ(manifest["oauth"]["token"]["url"], "https://login.notes.example/token");
  EXPECT_EQ(manifest["oauth"]["scope"]["titles"],
            (json{{"notes:read", "Read notes"}, {"notes:write", "Write notes"}}));
  EXPECT_EQ(manifest["oauth"]["identity"]["request"]["path"], "/me");
  EXPECT_EQ(tool_of(manifest, "acme_notes_get_me")["scopes"]["any"], (json::array({{"notes:read"}})));
  EXPECT_EQ(tool_of(manifest, "acme_notes_create_note")["scopes"]["any"], (json::array({{"notes:write"}})));
}

TEST(ManifestDraft, makes_arguments_of_parameters_and_bodies) {
  const auto manifest = drafted(notes_api());
  const auto& list = tool_of(manifest, "acme_notes_list_notes");
  EXPECT_EQ(list["request"]["path"], "/folders/{folder_id}/notes");
  EXPECT_EQ(list["request"]["query"], (json{{"sortBy", "{sort_by}"}}));
  EXPECT_EQ(list["input"]["required"], (json{"folder_id"}));
  EXPECT_EQ(list["input"]["properties"]["folder_id"]["pattern"], "^[a-z]+$");
  EXPECT_EQ(list["input"]["properties"]["sort_by"]["enum"], (json{"age", "title"}));
  EXPECT_EQ(list["description"], "Lists the notes of a folder, newest first.");
  EXPECT_EQ(list["group"], "notes");
  EXPECT_EQ(manifest["paginators"][list["paginate"].get<std::string>()],
            (json{{"type", "page"}, {"send", {{"page", "{page}"}, {"per_page", "{limit}"}}}}));

  const auto& create = tool_of(manifest, "acme_notes_create_note");
  // "limit" is the engine's; what only responses have is no argument.
  EXPECT_EQ(create["request"]["body"],
            (json{{"text", "{text}"}, {"limit", "{limit_value}"}, {"labels", "{labels}"}}));
  EXPECT_EQ(create["input"]["required"], (json{"folder_id", "text"}));
  EXPECT_EQ(create["input"]["properties"]["labels"]["maxItems"], 100);
}

TEST(ManifestDraft, judges_the_risk_by_the_method) {
  const auto manifest = drafted(notes_api());
  const auto& list = tool_of(manifest, "acme_notes_list_notes");
  EXPECT_EQ(list["risk"], "read");
  EXPECT_EQ(tool_of(manifest, "acme_notes_create_note")["risk"], "write");
  const auto& remove = tool_of(manifest, "acme_notes_delete_notes_note_id");
  EXPECT_EQ(remove["risk"], "destructive");
  EXPECT_EQ(remove["hints"]["destructive"], true);
  EXPECT_EQ(remove["hints"]["readOnly"], false);
}

TEST(ManifestDraft, shapes_results) {
  const auto manifest = drafted(notes_api());
  const auto& list = tool_of(manifest, "acme_notes_list_notes")["result"];
  EXPECT_EQ(list["items"], "/notes");
  EXPECT_EQ(list["shape"]["created_at"], (json{{"type", "string"}, {"from", "/createdAt"}}));
  EXPECT_EQ(list["shape"]["labels"], "strings");
  EXPECT_EQ(list["shape"]["author"]["shape"]["id"], "integer");
  EXPECT_EQ(tool_of(manifest, "acme_notes_create_note")["result"]["item"], "");
  EXPECT_EQ(tool_of(manifest, "acme_notes_delete_notes_note_id")["result"]["shape"]["done"]["value"], true);
}

TEST(ManifestDraft, says_what_it_could_not_decide) {
  const auto draft = draft_manifest(notes_api(), {});
  for (const char* part : {"/oauth/revoke: ", "/oauth/errors: ", "POST /folders/{folderId}/notes: risk",
                           "PUT /upload: left out", "GET /folders/{folderId}/notes, X-Debug: "}) {
    EXPECT_THAT(draft.undecided, Contains(HasSubstr(part))) << part;
  }
  auto bare = notes_api();
  bare.erase("servers");
  bare["components"].erase("securitySchemes");
  const auto second = draft_manifest(bare, {});
  EXPECT_THAT(second.undecided, Contains(HasSubstr("/api/base: ")));
  EXPECT_THAT(second.undecided, Contains(HasSubstr("no authorization code flow")));
  EXPECT_THAT(second.faults, testing::IsEmpty());
}

TEST(ManifestDraft, takes_only_what_is_asked_for) {
  const auto names = [](std::vector<std::string> include) {
    std::vector<std::string> out;
    const auto manifest = drafted(notes_api(), {"notes", std::move(include)});
    for (const auto& tool : manifest["tools"]) out.push_back(tool["name"]);
    std::sort(out.begin(), out.end());
    return out;
  };
  EXPECT_EQ(names({"GET *"}), (std::vector<std::string>{"notes_get_me", "notes_list_notes"}));
  EXPECT_EQ(names({"createNote", "DELETE /notes/*"}),
            (std::vector<std::string>{"notes_create_note", "notes_delete_notes_note_id"}));
  EXPECT_THROW(draft_manifest(notes_api(), {"", {"GET /nothing"}}), core::Error);
  EXPECT_THROW(draft_manifest(notes_api(), {"Not An Id", {}}), core::Error);
  EXPECT_THROW(draft_manifest(json::parse(R"({"swagger": "2.0", "paths": {}})"), {}), core::Error);
  EXPECT_THROW(draft_manifest(json::parse("[]"), {}), core::Error);
}

TEST(ManifestDraft, ends_with_a_document_that_refers_to_itself) {
  auto document = notes_api();
  auto& schemas = document["components"]["schemas"];
  schemas["Loop"] = {{"$ref", "#/components/schemas/Loop"}};
  schemas["Tree"] = {
      {"type", "object"},
      {"properties", {{"kids", {{"type", "array"}, {"items", {{"$ref", "#/components/schemas/Tree"}}}}}}}};
  schemas["All"] = {
      {"allOf", {{{"$ref", "#/components/schemas/All"}}, {{"$ref", "#/components/schemas/All"}}}}};
  schemas["Away"] = {{"$ref", "https://evil.example/schema.json"}};
  json properties;
  for (const char* name : {"Loop", "Tree", "All", "Away"})
    properties[name] = {{"$ref", std::string("#/components/schemas/") + name}};
  document["paths"]["/loop"]["post"] = {
      {"operationId", "loop"},
      {"description", "Sends what refers to itself."},
      {"requestBody",
       {{"content", {{"application/json", {{"schema", {{"type", "object"}, {"properties", properties}}}}}}}}},
      {"responses",
       {{"200",
         {{"content", {{"application/json", {{"schema", {{"$ref", "#/components/schemas/Tree"}}}}}}}}}}}};
  const auto draft = draft_manifest(document, {});
  EXPECT_THAT(draft.faults, testing::IsEmpty());
  EXPECT_EQ(json::parse(draft.text).dump().find("evil.example"), std::string::npos);
}

TEST(ManifestDraft, never_becomes_a_giant) {
  auto document = notes_api();
  json wide = {{"type", "object"}, {"properties", json::object()}};
  for (int i = 0; i < 2000; ++i) {
    wide["properties"]["p" + std::to_string(i)] = {{"type", "string"},
                                                   {"description", std::string(5000, 'x')}};
    document["paths"]["/many/" + std::to_string(i)]["get"] = {{"operationId", "many" + std::to_string(i)},
                                                              {"description", std::string(100'000, 'y')}};
  }
  document["paths"]["/a"]["post"] = {
      {"requestBody", {{"content", {{"application/json", {{"schema", wide}}}}}}}};
  const auto draft = draft_manifest(document, {});
  EXPECT_LE(draft.tools, kDraftToolsMax);
  EXPECT_THAT(draft.undecided, Contains(HasSubstr("more operations were left out")));
  EXPECT_LT(draft.text.size(), 1u << 20);
  EXPECT_THAT(draft.faults, testing::IsEmpty());
  EXPECT_GT(draft.tools, 10u);
  EXPECT_LT(draft.tools, kDraftToolsMax);
  EXPECT_THAT(draft.undecided[0], HasSubstr("too much for a model's context"));
  EXPECT_NO_THROW(Catalog::load({{"acme_notes.json", draft.text}}));
}

TEST(ManifestDraft, leaves_out_a_tool_that_is_too_large_alone) {
  auto document = notes_api();
  json wide = {{"type", "object"}, {"properties", json::object()}};
  for (int i = 0; i < 50; ++i) {
    const auto name = "p" + std::to_string(i);
    wide["properties"][name] = {{"type", "object"}, {"properties", json::object()}};
    for (int k = 0; k < 50; ++k) {
      wide["properties"][name]["properties"]["q" + std::to_string(k)] = {
          {"type", "string"}, {"maxLength", 10}, {"description", std::string(300, 'x')}};
    }
  }
  document["paths"]["/wide"]["post"] = {
      {"operationId", "wide"}, {"requestBody", {{"content", {{"application/json", {{"schema", wide}}}}}}}};
  const auto draft = draft_manifest(document, {});
  EXPECT_THAT(draft.faults, testing::IsEmpty());
  EXPECT_EQ(draft.tools, 4u);
  EXPECT_EQ(draft.text.find("acme_notes_wide"), std::string::npos);
  EXPECT_THAT(draft.undecided[0], HasSubstr("tools: 1 more"));
  EXPECT_THROW(draft_manifest(document, {"", {"wide"}}), core::Error);
}

TEST(ManifestDraft, lets_no_text_of_the_document_become_syntax) {
  auto document = notes_api();
  document["info"]["title"] = "Notes\u202e \"}, \"tools\": [";
  document["paths"]["/x/{a}/../y"]["get"] = {{"operationId", "escape"}};
  document["paths"]["/q?x={y}"]["get"] = {{"operationId", "query"}};
  document["paths"]["/folders/{folderId}/notes"]["get"]["summary"] = "List {token} notes\u200b";
  const auto draft = draft_manifest(document, {"notes", {}});
  EXPECT_THAT(draft.faults, testing::IsEmpty());
  EXPECT_THAT(draft.undecided, Contains(HasSubstr("left out")));
  EXPECT_EQ(draft.text.find("\u202e"), std::string::npos);
  const auto manifest = json::parse(draft.text);
  EXPECT_FALSE(manifest["tools"].empty());
  for (const auto& tool : manifest["tools"])
    EXPECT_EQ(tool["name"].get<std::string>().find("escape"), std::string::npos);
}

TEST(DraftText, makes_names) {
  EXPECT_EQ(snake_name("listUserRepos", 48), "list_user_repos");
  EXPECT_EQ(snake_name("getHTMLUrl", 48), "get_html_url");
  EXPECT_EQ(snake_name("/repos/{owner}/issues", 48), "repos_owner_issues");
  EXPECT_EQ(snake_name("3d-print", 48), "n_3d_print");
  EXPECT_EQ(snake_name("\xC3\xA4", 48), "");
  EXPECT_EQ(snake_name("one_two_three", 9), "one_two");
  EXPECT_TRUE(matches_glob("get /repos/*/issues", "GET /repos/a/b/issues"));
  EXPECT_FALSE(matches_glob("GET /repos/*/issues", "GET /repos/a/pulls"));
  EXPECT_TRUE(matches_glob("*", ""));
}

}  // namespace
}  // namespace assistiv::mcp
