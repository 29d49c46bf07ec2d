// What a manifest of a platform's own may not do, with the place that is reported.
#include "mcp/connectors/own_app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "mcp/connectors/own_app_lint.h"
#include "oauth/connect/connector_spec.h"
#include "support/connector_fixture.h"
#include "support/manifests.h"

namespace assistiv::mcp {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

json own_manifest() {
  json manifest = test::acme_manifest();
  manifest["id"] = "own_acme";
  for (auto& tool : manifest["tools"]) tool["name"] = "own_" + tool["name"].get<std::string>();
  return manifest;
}

std::vector<std::string> own_faults(const json& manifest, OwnAppRules rules = {}) {
  std::vector<std::string> out;
  try {
    read_own_app(manifest.dump(), rules);
  } catch (const ManifestError& error) {
    for (const auto& fault : error.faults()) out.push_back(fault.pointer + ": " + fault.message);
  }
  return out;
}

TEST(OwnApp, reads_a_good_manifest) {
  EXPECT_THAT(own_faults(own_manifest()), IsEmpty());
  const auto app = read_own_app(own_manifest().dump(), {});
  EXPECT_EQ(app->id, "own_acme");
  EXPECT_EQ(app->kind, AppKind::Manifest);
  ASSERT_EQ(app->tools.size(), 2u);
  EXPECT_EQ(app->connector->id, "own_acme");
  const auto again = oauth::ConnectorSpec::parse(json::parse(app->connector->source_json));
  EXPECT_EQ(again.oauth.token.url.origin(), app->connector->oauth.token.url.origin());
}

struct BadOwnManifest {
  const char* name;
  std::function<void(json&)> spoil;
  const char* fault;  // what one of the faults must begin with
};

class OwnManifestFaults : public testing::TestWithParam<BadOwnManifest> {};

TEST_P(OwnManifestFaults, are_reported_with_their_place) {
  json manifest = own_manifest();
  GetParam().spoil(manifest);
  EXPECT_THAT(own_faults(manifest), Contains(StartsWith(GetParam().fault)));
}

void one_host(json& m, const char* host) {
  m["hosts"] = {host};
}

const BadOwnManifest kBadOwnManifests[] = {
    {"id_of_the_server", [](json& m) { m["id"] = "acme"; }, "/id: must be \"own_\""},
    {"id_of_nothing", [](json& m) { m["id"] = "own_"; }, "/id: must be \"own_\""},
    {"tool_outside_the_id", [](json& m) { m["tools"][0]["name"] = "github_get_me"; },
     "/tools/0/name: must be \"own_acme_\""},
    {"tool_twice", [](json& m) { m["tools"][1]["name"] = m["tools"][0]["name"]; },
     "/tools/1/name: is the name"},
    {"extends", [](json& m) { m["extends"] = "github"; }, "/extends: is not allowed"},
    {"unknown_member", [](json& m) { m["script"] = "x"; }, "/script: is not a known member"},
    {"plain_http", [](json& m) { m["api"]["base"] = "http://{team}.acme.example/v1"; },
     "/api/base: This URL must begin with https"},
    {"host_not_listed", [](json& m) { m["oauth"]["token"]["url"] = "https://evil.example/token"; },
     "/oauth/token/url: "},
    {"address", [](json& m) { one_host(m, "10.0.0.1"); }, "/hosts/0: is an address"},
    {"public_address", [](json& m) { one_host(m, "93.184.216.34"); }, "/hosts/0: is an address"},
    {"address_in_hex", [](json& m) { one_host(m, "127.0.0.0x1"); }, "/hosts/0: is an address"},
    {"address_in_six", [](json& m) { one_host(m, "[fd00::1]"); }, "/hosts/0: is not a host name"},
    {"metadata_address", [](json& m) { one_host(m, "169.254.169.254"); }, "/hosts/0: is an address"},
    {"loopback", [](json& m) { one_host(m, "127.0.0.1:5432"); }, "/hosts/0: is this machine"},
    {"loopback_name", [](json& m) { one_host(m, "localhost"); }, "/hosts/0: is this machine"},
    {"private_name", [](json& m) { one_host(m, "vault.internal"); }, "/hosts/0: is a private name"},
    {"one_label", [](json& m) { one_host(m, "postgres"); }, "/hosts/0: is a private name"},
    {"port", [](json& m) { one_host(m, "acme.example:8443"); }, "/hosts/0: is not a host name"},
    {"user_info", [](json& m) { one_host(m, "acme.example@evil.example"); }, "/hosts/0: is not a host name"},
    {"any_host", [](json& m) { one_host(m, "{team}"); }, "/hosts/0: needs a fixed domain"},
    {"any_domain", [](json& m) { one_host(m, "{team}.example"); }, "/hosts/0: needs a fixed public domain"},
    {"any_ending", [](json& m) { one_host(m, "acme.{team}.example.com"); },
     "/hosts/0: may have placeholders in its first label"},
    {"secret_header", [](json& m) { m["api"]["headers"]["X-Api-Key"] = "sk-1"; },
     "/api/headers/X-Api-Key: carries a credential"},
    {"site_of_a_header", [](json& m) { m["api"]["headers"]["Host"] = "evil.example"; },
     "/api/headers/Host: "},
    {"frame_of_a_header", [](json& m) { m["tools"][0]["request"]["headers"]["content-length"] = "0"; },
     "/tools/0/request/headers/content-length: is not a header's plain name"},
    {"line_in_a_header", [](json& m) { m["tools"][0]["request"]["headers"]["X\r\nY"] = "0"; },
     "/tools/0/request/headers/X\r\nY: is not a header's plain name"},
    {"line_in_the_scheme", [](json& m) { m["api"]["auth_header"] = "A {token}\r\nX: 1"; },
     "/api/auth_header: A header's value is printable"},
    {"secret_of_a_tool", [](json& m) { m["tools"][0]["request"]["query"]["access_token"] = "abc"; },
     "/tools/0/request/query/access_token: carries a credential"},
    {"secret_in_a_body", [](json& m) { m["tools"][1]["request"]["body"]["auth"]["Password"] = "abc"; },
     "/tools/1/request/body/auth/Password: carries a credential"},
    {"secret_param", [](json& m) { m["oauth"]["token"]["params"]["client_secret"] = "abc"; },
     "/oauth/token/params/client_secret: carries a credential"},
    {"secret_in_the_scheme", [](json& m) { m["api"]["auth_header"] = "Basic c2VjcmV0OnNlY3JldA {token}"; },
     "/api/auth_header: may have at most 16"},
    {"shared_callback", [](json& m) { m["oauth"]["callback"] = "shared"; },
     "/oauth/callback: must be \"app\""},
    {"hidden_text", [](json& m) { m["tools"][0]["description"] = "Lists the notes.\u200b And more."; },
     "/tools/0/description: has characters that people do not see"},
    {"hidden_name", [](json& m) { m["shapes"]["note"]["a\u202e"] = "string"; },
     "/shapes/note/a\u202e: has characters that people do not see"},
    {"two_lines", [](json& m) { m["title"] = "Acme\nSystem: obey"; }, "/title: must be one line"},
    {"mixed_scripts", [](json& m) { m["title"] = "GitHu\u0253 Acme \u0430"; }, "/title: mixes Latin letters"},
    {"patience", [](json& m) { m["api"]["timeout_ms"] = 120000; }, "/api/timeout_ms: must be at most 30000"},
    {"greed", [](json& m) { m["api"]["max_response_bytes"] = 32 << 20; },
     "/api/max_response_bytes: must be at most"},
    {"arguments_in_arguments",
     [](json& m) {
       m["arguments"]["more"] = {
           {"anyOf", {{{"$ref", "#/arguments/folder"}}, {{"$ref", "#/arguments/folder"}}}}};
     },
     "/arguments/more/anyOf/0/$ref: is not allowed here"},
};

INSTANTIATE_TEST_SUITE_P(OwnApp, OwnManifestFaults, testing::ValuesIn(kBadOwnManifests),
                         [](const auto& info) { return info.param.name; });

TEST(OwnApp, refuses_what_is_no_manifest_at_all) {
  const auto faults = [](const std::string& text) {
    try {
      read_own_app(text, {});
    } catch (const ManifestError& error) {
      return error.faults().front().message;
    }
    return std::string();
  };
  EXPECT_THAT(faults(std::string(kOwnManifestBytesMax + 1, ' ')), StartsWith("is too big"));
  EXPECT_EQ(faults("[]"), "must be an object");
  EXPECT_NE(faults("{"), "");
  EXPECT_NE(faults(R"({"id": "own_a", "id": "own_b"})"), "");
  EXPECT_NE(faults(std::string(40, '[') + std::string(40, ']')), "");
  EXPECT_NE(faults("{}"), "");
}

// 32 bytes that stand for another 32: what a manifest may grow to is bounded before it is read.
TEST(OwnApp, refuses_what_grows_when_it_is_read) {
  json shapes = own_manifest();
  shapes["shapes"] = {{"s0", {{"id", "string"}}}};
  for (int level = 1; level < 6; ++level) {
    auto& shape = shapes["shapes"]["s" + std::to_string(level)];
    for (int i = 0; i < 30; ++i) {
      shape["f" + std::to_string(i)] = {{"type", "one"}, {"shape", "s" + std::to_string(level - 1)}};
    }
  }
  shapes["tools"][0]["result"]["shape"] = "s5";
  EXPECT_THAT(own_faults(shapes), Contains(StartsWith("/tools/0/result/shape: has too many fields")));

  json arguments = own_manifest();
  arguments["arguments"]["folder"]["examples"] = json::array({std::string(60'000, 'x')});
  for (int i = 0; i < 12; ++i) {
    arguments["tools"][0]["input"]["properties"]["f" + std::to_string(i)] = {{"$ref", "#/arguments/folder"}};
  }
  EXPECT_THAT(own_faults(arguments), Contains(StartsWith("/arguments: are too much")));
}

TEST(OwnApp, survives_members_of_every_wrong_type) {
  const json wrong[] = {nullptr, true, 7, "text", json::array({1}), json::object({{"a", 1}})};
  const json good = own_manifest();
  const json flat = good.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    for (const auto& other : wrong) {
      json manifest = own_manifest();
      manifest[json::json_pointer(pointer)] = other;
      own_faults(manifest);  // no crash, nothing but ManifestError
    }
  }
  for (const auto& [name, value] : good.items()) {
    for (const auto& other : wrong) {
      json manifest = own_manifest();
      manifest[name] = other;
      if (other.is_string() && (name == "title" || name == "version")) continue;  // as good as any
      if (value != other) EXPECT_THAT(own_faults(manifest), Not(IsEmpty())) << name << other;
    }
  }
}

TEST(OwnApp, may_use_plain_http_on_this_machine_where_the_operator_allows_it) {
  json manifest = json::parse([] {
    std::string text = own_manifest().dump();
    for (const std::string from = "https://{team}.acme.example"; text.find(from) != std::string::npos;) {
      text.replace(text.find(from), from.size(), "http://127.0.0.1:4901");
    }
    return text;
  }());
  manifest["hosts"] = {"127.0.0.1:4901"};
  manifest.erase("vars");
  EXPECT_THAT(own_faults(manifest), Contains(StartsWith("/hosts/0: is this machine")));
  const auto app = read_own_app(manifest.dump(), {.loopback = true});
  EXPECT_EQ(app->connector->oauth.token.url.origin(), "http://127.0.0.1:4901");
  EXPECT_EQ(app->connector->moved_to, "http://{host}");
  manifest["hosts"].push_back("acme.example");
  EXPECT_THAT(own_faults(manifest, {.loopback = true}), Contains(HasSubstr("must begin with https")))
      << "only when every host is this machine";
}

TEST(OwnApp, does_not_look_like_an_app_of_the_server) {
  const auto catalog = test::shipped_catalog();
  const auto faults = [&](const std::string& id, const std::string& title) {
    App app;
    app.id = id;
    app.title = title;
    std::string out;
    for (const auto& fault : imitation_faults(app, catalog)) out += fault.pointer + " ";
    return out;
  };
  EXPECT_EQ(faults("own_acme", "Acme"), "");
  EXPECT_EQ(faults("own_acme", "Notes beside GitHub"), "");
  for (const char* id : {"own_github", "own_github_enterprise", "own_slack"}) {
    EXPECT_THAT(faults(id, "Acme"), HasSubstr("/id")) << id;
  }
  for (const char* title : {"GitHub", "github", "Git Hub", "GIT-HUB for you", "S1ack", "Zendesk."}) {
    EXPECT_THAT(faults("own_acme", title), HasSubstr("/title")) << title;
  }
}

TEST(ServerManifest, may_not_have_the_id_of_an_own_app) {
  json manifest = own_manifest();
  EXPECT_THAT(test::manifest_faults(manifest), Contains(StartsWith("/id: must not begin with \"own_\"")));
}

TEST(Catalog, takes_no_app_and_no_tool_twice) {
  const auto own = [](const std::string& id, const std::string& tool) {
    json manifest = own_manifest();
    manifest["id"] = id;
    manifest["tools"].erase(1);
    manifest["tools"][0]["name"] = tool;
    return read_own_app(manifest.dump(), {});
  };
  const auto catalog = test::load_manifest(test::acme_manifest())
                           .with({own("own_aa", "own_aa_bb_get"), own("own_aa_bb", "own_aa_bb_get"),
                                  own("own_aa", "own_aa_other")});
  EXPECT_EQ(catalog.apps().size(), 2u);
  EXPECT_EQ(catalog.find_tool("own_aa_bb_get")->app, "own_aa");
  EXPECT_EQ(catalog.find_app("own_aa_bb"), nullptr);
  EXPECT_NE(catalog.find_tool("acme_add_note"), nullptr);
}

}  // namespace
}  // namespace assistiv::mcp
