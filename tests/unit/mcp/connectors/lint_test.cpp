// Every rule of docs/connectors.md that a manifest can break, with the place that is reported.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "support/manifests.h"

namespace assistiv::mcp {
namespace {

using nlohmann::json;
using test::acme_manifest;
using test::acme_tool;
using test::manifest_faults;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(ManifestLint, finds_nothing_wrong_with_a_good_manifest) {
  EXPECT_THAT(manifest_faults(acme_manifest()), IsEmpty());
}

struct BadManifest {
  const char* name;
  std::function<void(json&)> spoil;
  const char* fault;  // what one of the faults must begin with
};

class ManifestFaults : public testing::TestWithParam<BadManifest> {};

TEST_P(ManifestFaults, are_reported_with_their_place) {
  json manifest = acme_manifest();
  GetParam().spoil(manifest);
  EXPECT_THAT(manifest_faults(manifest), Contains(StartsWith(GetParam().fault)));
}

json& input_of(json& manifest, std::size_t tool) {
  return acme_tool(manifest, tool)["input"];
}
json& property_of(json& manifest, std::size_t tool, const char* name) {
  return input_of(manifest, tool)["properties"][name];
}

std::string image_url(const std::string& type, const std::string& bytes) {
  return "data:" + type + ";base64," + core::base64_encode(bytes);
}
json icon(const std::string& src) {
  return {{"src", src}};
}

const BadManifest kBadManifests[] = {
    {"wrong_version", [](json& m) { m["manifest"] = 2; }, "/manifest: must be 1"},
    {"no_title", [](json& m) { m.erase("title"); }, "/title: is required"},
    {"unknown_member", [](json& m) { m["extra"] = 1; }, "/extra: is not a known member"},
    {"faulty_oauth_part", [](json& m) { m["oauth"].erase("token"); }, "/oauth/token: "},
    {"host_not_listed", [](json& m) { m["api"]["base"] = "https://other.example"; }, "/api/base: "},
    {"unknown_api_member", [](json& m) { m["api"]["retries"] = 3; }, "/api/retries: is not a known member"},
    {"bad_status",
     [](json& m) {
       m["api"]["failures"] = {{{"as", "upstream"}, {"status", {99}}}};
     },
     "/api/failures/0/status/0: must be an integer from 100"},
    {"failure_without_condition",
     [](json& m) {
       m["api"]["failures"] = {{{"as", "conflict"}}};
     },
     "/api/failures/0: needs a condition"},
    {"unknown_failure",
     [](json& m) {
       m["api"]["failures"] = {{{"as", "oops"}, {"status", {400}}}};
     },
     "/api/failures/0/as: must be one of"},
    {"bad_pointer", [](json& m) { m["api"]["error"]["code"] = "error"; },
     "/api/error/code: must be a JSON pointer"},
    {"paginator_type", [](json& m) { m["paginators"]["pages"]["type"] = "scroll"; },
     "/paginators/pages/type: must be one of"},
    {"paginator_variable", [](json& m) { m["paginators"]["pages"]["send"]["x"] = "{cursor}"; },
     "/paginators/pages/send: uses {cursor}"},
    {"paginator_sends_nothing", [](json& m) { m["paginators"]["pages"]["send"] = json::object(); },
     "/paginators/pages/send: must send {page}"},
    {"shape_circle",
     [](json& m) {
       m["shapes"]["note"]["inner"] = {{"type", "one"}, {"shape", "note"}};
     },
     "/shapes/note/inner"},
    {"shape_type", [](json& m) { m["shapes"]["note"]["id"] = "text?"; }, "/shapes/note/id: must be one of"},
    {"two_sources",
     [](json& m) {
       m["shapes"]["note"]["id"] = {{"from", "/a"}, {"value", 1}};
     },
     "/shapes/note/id: must have one of"},
    {"unknown_shape", [](json& m) { acme_tool(m, 0)["result"]["shape"] = "memo"; },
     "/tools/0/result/shape: is not one of"},
    {"no_tools", [](json& m) { m["tools"] = json::array(); }, "/tools: must have 1 to"},
    {"foreign_tool_name", [](json& m) { acme_tool(m, 0)["name"] = "other_list"; },
     "/tools/0/name: must be \"acme_\""},
    {"long_tool_name", [](json& m) { acme_tool(m, 0)["name"] = "acme_" + std::string(44, 'a'); },
     "/tools/0/name: must be a string of"},
    {"same_name_twice", [](json& m) { acme_tool(m, 1)["name"] = "acme_list_notes"; },
     "/tools/1/name: is the name of a tool in acme.json too"},
    {"long_description", [](json& m) { acme_tool(m, 0)["description"] = std::string(1025, 'a'); },
     "/tools/0/description: "},
    {"hint_left_out", [](json& m) { acme_tool(m, 0)["hints"].erase("openWorld"); },
     "/tools/0/hints/openWorld: must be true or false"},
    {"reading_tool_not_read_only", [](json& m) { acme_tool(m, 0)["hints"]["readOnly"] = false; },
     "/tools/0/hints/readOnly: must be true"},
    {"writing_tool_read_only", [](json& m) { acme_tool(m, 1)["hints"]["readOnly"] = true; },
     "/tools/1/hints/readOnly: must be false"},
    {"reading_and_destructive", [](json& m) { acme_tool(m, 0)["hints"]["destructive"] = true; },
     "/tools/0/hints/destructive: must be false"},
    {"reading_not_idempotent", [](json& m) { acme_tool(m, 0)["hints"]["idempotent"] = false; },
     "/tools/0/hints/idempotent: must be true"},
    {"risk_unknown", [](json& m) { acme_tool(m, 0)["risk"] = "none"; }, "/tools/0/risk: must be one of"},
    {"risk_does_not_fit", [](json& m) { acme_tool(m, 0)["risk"] = "write"; },
     "/tools/0/risk: must be \"read\" exactly when"},
    {"destructive_risk_without_hint", [](json& m) { acme_tool(m, 1)["risk"] = "destructive"; },
     "/tools/1/hints/destructive: must be true"},
    {"scope_unknown", [](json& m) { acme_tool(m, 0)["scopes"]["any"] = {{"notes:all"}}; },
     "/tools/0/scopes/any/0: \"notes:all\" is not one of"},
    {"slot_unknown", [](json& m) { acme_tool(m, 0)["slot"] = "bot"; }, "/tools/0/slot: is not one of"},
    {"open_input", [](json& m) { input_of(m, 0).erase("additionalProperties"); },
     "/tools/0/input/additionalProperties: must be false"},
    {"input_no_object", [](json& m) { input_of(m, 0)["type"] = "array"; },
     "/tools/0/input/type: must be \"object\""},
    {"input_keyword_at_root", [](json& m) { input_of(m, 0)["$defs"] = json::object(); },
     "/tools/0/input/$defs: is not allowed at the root"},
    {"unbounded_string", [](json& m) { property_of(m, 1, "text").erase("maxLength"); },
     "/tools/1/input/properties/text: needs maxLength"},
    {"unbounded_array",
     [](json& m) {
       property_of(m, 1, "text") = {
           {"type", "array"}, {"description", "Words."}, {"items", {{"type", "integer"}}}};
     },
     "/tools/1/input/properties/text: needs maxItems"},
    {"open_inner_object",
     [](json& m) {
       property_of(m, 1, "text") = {{"type", "object"}, {"description", "Words."}};
     },
     "/tools/1/input/properties/text: needs additionalProperties"},
    {"property_without_type", [](json& m) { property_of(m, 1, "text").erase("type"); },
     "/tools/1/input/properties/text: needs a type"},
    {"property_without_description", [](json& m) { property_of(m, 1, "text").erase("description"); },
     "/tools/1/input/properties/text/description: is required"},
    {"unportable_keyword", [](json& m) { property_of(m, 1, "text")["oneOf"] = json::array(); },
     "/tools/1/input/properties/text/oneOf: is a keyword that"},
    {"pattern_with_look_ahead", [](json& m) { property_of(m, 1, "text")["pattern"] = "(?=a)"; },
     "/tools/1/input/properties/text/pattern: is not a pattern"},
    {"default_not_valid", [](json& m) { property_of(m, 1, "text")["default"] = 7; },
     "/tools/1/input/properties/text/default: the value must be a string"},
    {"engine_argument_declared",
     [](json& m) {
       property_of(m, 0, "limit") = {{"type", "integer"}, {"description", "How many."}};
     },
     "/tools/0/input/properties/limit: is added by the engine"},
    {"account_argument_declared",
     [](json& m) {
       property_of(m, 0, "account") = {{"type", "string"}, {"description", "Which one."}};
     },
     "/tools/0/input/properties/account: is added by the engine"},
    {"argument_not_snake_case",
     [](json& m) {
       property_of(m, 0, "Folder-Id") = {{"type", "integer"}, {"description", "An id."}};
     },
     "/tools/0/input/properties/Folder-Id: must have a snake_case name"},
    {"argument_hides_variable",
     [](json& m) {
       property_of(m, 0, "team") = {{"type", "integer"}, {"description", "A team."}};
     },
     "/tools/0/input/properties/team: has the name of a connection's variable"},
    {"argument_unused",
     [](json& m) {
       property_of(m, 0, "page") = {{"type", "integer"}, {"description", "A page."}};
     },
     "/tools/0/input/properties/page: is used nowhere"},
    {"required_unknown",
     [](json& m) {
       input_of(m, 0)["required"] = {"folder", "file"};
     },
     "/tools/0/input/required: \"file\" is not one of"},
    {"unknown_shared_argument",
     [](json& m) {
       property_of(m, 0, "folder") = {{"$ref", "#/arguments/file"}};
     },
     "/tools/0/input/properties/folder/$ref: must be"},
    {"remote_reference",
     [](json& m) {
       property_of(m, 0, "folder") = {{"$ref", "https://example.com/a.json"}};
     },
     "/tools/0/input/properties/folder/$ref: must be"},
    {"undeclared_placeholder",
     [](json& m) {
       acme_tool(m, 0)["request"]["query"] = {{"q", "{query}"}};
     },
     "/tools/0: {query} is not declared"},
    {"malformed_placeholder",
     [](json& m) {
       acme_tool(m, 0)["request"]["query"] = {{"q", "{a b}"}};
     },
     "/tools/0/request/query/q: A placeholder must be"},
    {"path_may_lack_argument", [](json& m) { input_of(m, 0).erase("required"); },
     "/tools/0: {folder} is in a path and may be missing"},
    {"path_with_query", [](json& m) { acme_tool(m, 0)["request"]["path"] = "/a?b={folder}"; },
     "/tools/0/request/path: A path has no query"},
    {"path_with_dots", [](json& m) { acme_tool(m, 0)["request"]["path"] = "/../{folder}"; },
     "/tools/0/request/path: A path segment"},
    {"absolute_url_as_path", [](json& m) { acme_tool(m, 0)["request"]["path"] = "https://evil.example/"; },
     "/tools/0/request/path: A path must begin"},
    {"unknown_method", [](json& m) { acme_tool(m, 0)["request"]["method"] = "TRACE"; },
     "/tools/0/request/method: must be one of"},
    {"body_of_a_get", [](json& m) { acme_tool(m, 0)["request"]["body"] = json::object(); },
     "/tools/0/request/body: does not go with GET"},
    {"neither_request_nor_steps", [](json& m) { acme_tool(m, 0).erase("request"); },
     "/tools/0: must have either"},
    {"four_steps",
     [](json& m) {
       const json step = acme_tool(m, 0)["request"];
       acme_tool(m, 0).erase("request");
       acme_tool(m, 0)["steps"] = {step, step, step, step};
     },
     "/tools/0/steps: must have 1 to 3 steps"},
    {"early_step_changes_something",
     [](json& m) {
       const json step = acme_tool(m, 1)["request"];
       acme_tool(m, 1).erase("request");
       acme_tool(m, 1)["steps"] = {step, step};
     },
     "/tools/1/steps: only the last step may change anything"},
    {"unknown_derivation",
     [](json& m) {
       acme_tool(m, 1)["derive"] = {{"x", {{"script", "rm"}}}};
     },
     "/tools/1/derive/x/script: is not a known member"},
    {"two_kinds_of_derivation",
     [](json& m) {
       acme_tool(m, 1)["derive"] = {{"x", {{"base64", "text"}, {"words", {"{text}"}}}}};
     },
     "/tools/1/derive/x: must have one of"},
    {"objects_without_member",
     [](json& m) {
       acme_tool(m, 1)["derive"] = {{"x", {{"objects", "text"}}}};
     },
     "/tools/1/derive/x/member"},
    {"error_that_is_no_pointer",
     [](json& m) {
       m["api"]["error"]["code"] = {"/code", "code"};
     },
     "/api/error/code/1: must be a JSON pointer"},
    {"endless_wait",
     [](json& m) {
       m["api"]["failures"] = {{{"as", "rate_limited"}, {"status", {429}}, {"wait_s", 1000000}}};
     },
     "/api/failures/0/wait_s"},
    {"unknown_paginator", [](json& m) { acme_tool(m, 0)["paginate"] = "scroll"; },
     "/tools/0/paginate: is not one of"},
    {"paginated_item", [](json& m) { acme_tool(m, 1)["paginate"] = "pages"; },
     "/tools/1/paginate: needs result.items"},
    {"no_result", [](json& m) { acme_tool(m, 0).erase("result"); }, "/tools/0/result"},
    {"unknown_base", [](json& m) { m["extends"] = "zzz"; }, "/extends: must be the id of a manifest"},
    {"derive_two_kinds",
     [](json& m) {
       acme_tool(m, 0)["derive"] = {{"x", {{"base64", "folder"}, {"given", "folder"}}}};
     },
     "/tools/0/derive/x: must have one of"},
    {"derive_given_without_value",
     [](json& m) {
       acme_tool(m, 0)["derive"] = {{"x", {{"given", "folder"}}}};
     },
     "/tools/0/derive/x/value: is required"},
    {"derive_replaces_nothing",
     [](json& m) {
       acme_tool(m, 0)["derive"] = {{"x", {{"replace", {{"", "y"}}}, {"in", "folder"}}}};
     },
     "/tools/0/derive/x/replace/: must replace something"},
    {"slot_if_unknown_slot",
     [](json& m) {
       property_of(m, 0, "as_bot") = {{"type", "boolean"}, {"description", "As the bot."}};
       acme_tool(m, 0)["slot_if"] = {{"as_bot", "bot"}};
     },
     "/tools/0/slot_if/as_bot: is not one of oauth.slots"},
    {"slot_if_no_boolean",
     [](json& m) {
       acme_tool(m, 0)["slot_if"] = {{"folder", "main"}};
     },
     "/tools/0/slot_if/folder: \"folder\" is no boolean argument"},
    {"matching_an_item",
     [](json& m) {
       acme_tool(m, 1)["result"]["matching"] = {{"argument", "text"}, {"at", "/text"}};
     },
     "/tools/1/result/matching: goes with \"items\""},
    {"needed_scope_of_another_failure",
     [](json& m) {
       m["api"]["failures"] = {{{"as", "conflict"}, {"status", {409}}, {"needed", "/needed"}}};
     },
     "/api/failures/0/needed: goes with"},
    {"icons_no_list", [](json& m) { m["icons"] = icon("https://acme.example/i.png"); },
     "/icons: must be an array"},
    {"too_many_icons", [](json& m) { m["icons"] = json(5, icon("https://acme.example/i.png")); },
     "/icons: must have at most 4"},
    {"icons_too_large",
     [](json& m) {
       const std::string png = "\x89PNG\r\n\x1a\n" + std::string(1600, 'x');
       m["icons"] = json(2, icon(image_url("image/png", png)));
     },
     "/icons: are too large"},
    {"icon_member",
     [](json& m) {
       m["icons"] = json::array({icon("https://acme.example/i.png")});
       m["icons"][0]["href"] = "x";
     },
     "/icons/0/href: is not a known member"},
    {"icon_without_source", [](json& m) { m["icons"] = json::array({json::object()}); },
     "/icons/0/src: is required"},
    {"icon_over_http", [](json& m) { m["icons"] = json::array({icon("http://acme.example/i.png")}); },
     "/icons/0/src: must be an https URL"},
    {"icon_with_a_user", [](json& m) { m["icons"] = json::array({icon("https://me@acme.example/i.png")}); },
     "/icons/0/src: must be an https URL"},
    {"icon_with_blanks", [](json& m) { m["icons"] = json::array({icon("https://acme.example/a b")}); },
     "/icons/0/src: must be an https URL"},
    {"icon_that_runs", [](json& m) { m["icons"] = json::array({icon("javascript:alert(1)")}); },
     "/icons/0/src: must be an https URL"},
    {"icon_that_is_a_page", [](json& m) { m["icons"] = json::array({icon(image_url("text/html", "<p>"))}); },
     "/icons/0/src: must be an https URL"},
    {"icon_that_is_no_png",
     [](json& m) { m["icons"] = json::array({icon(image_url("image/png", "<svg/>"))}); },
     "/icons/0/src: must be an https URL"},
    {"icon_with_a_script",
     [](json& m) {
       m["icons"] = json::array({icon(image_url("image/svg+xml", "<svg><script>x()</script></svg>"))});
     },
     "/icons/0/src: must be plain shapes"},
    {"icon_of_another_type",
     [](json& m) {
       m["icons"] = json::array({icon(image_url("image/svg+xml", "<svg/>"))});
       m["icons"][0]["mimeType"] = "image/png";
     },
     "/icons/0/mimeType: is not the type"},
    {"icon_type_unknown",
     [](json& m) {
       m["icons"] = json::array({icon("https://acme.example/i.gif")});
       m["icons"][0]["mimeType"] = "image/gif";
     },
     "/icons/0/mimeType: must be one of"},
    {"icon_size",
     [](json& m) {
       m["icons"] = json::array({icon("https://acme.example/i.png")});
       m["icons"][0]["sizes"] = {"48x48", "large"};
     },
     "/icons/0/sizes/1: must be \"any\""},
    {"too_many_icon_sizes",
     [](json& m) {
       m["icons"] = json::array({icon("https://acme.example/i.png")});
       m["icons"][0]["sizes"] = json(9, "48x48");
     },
     "/icons/0/sizes: must have at most 8"},
    {"icon_theme",
     [](json& m) {
       m["icons"] = json::array({icon("https://acme.example/i.png")});
       m["icons"][0]["theme"] = "blue";
     },
     "/icons/0/theme: must be one of"},
};

INSTANTIATE_TEST_SUITE_P(Rules, ManifestFaults, testing::ValuesIn(kBadManifests),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ManifestLint, reports_all_faults_together_with_the_file) {
  json manifest = acme_manifest();
  manifest["manifest"] = 2;
  acme_tool(manifest, 0)["risk"] = "none";
  acme_tool(manifest, 1).erase("title");
  try {
    Catalog::load({{"acme.json", manifest.dump()}, {"broken.json", "{\"id\": "}});
    FAIL() << "nothing was found";
  } catch (const ManifestError& error) {
    EXPECT_GE(error.faults().size(), 4u);
    EXPECT_THAT(error.what(), HasSubstr("acme.json#/manifest: must be 1"));
    EXPECT_THAT(error.what(), HasSubstr("acme.json#/tools/0/risk: "));
    EXPECT_THAT(error.what(), HasSubstr("acme.json#/tools/1/title: is required"));
    EXPECT_THAT(error.what(), HasSubstr("broken.json#: "));
  }
}

TEST(ManifestLint, refuses_two_manifests_of_one_id) {
  EXPECT_THROW(Catalog::load({{"a.json", acme_manifest().dump()}, {"b.json", acme_manifest().dump()}}),
               ManifestError);
}

TEST(ManifestLint, lets_a_post_read_when_the_manifest_says_so) {
  json manifest = acme_manifest();
  auto& request = acme_tool(manifest, 0)["request"];
  request["method"] = "POST";
  EXPECT_FALSE(manifest_faults(manifest).empty());
  request["safe"] = true;
  EXPECT_THAT(manifest_faults(manifest), IsEmpty());
}

}  // namespace
}  // namespace assistiv::mcp
