// What holds at every door, walked over the route table itself: a route that is added is tested by being
// there.
#include <gtest/gtest.h>

#include "api/http/agent_paths.h"
#include "api/http/inference_paths.h"
#include "core/log.h"
#include "support/running_app.h"

namespace assistiv::api {
namespace {

using test::Reply;
using test::RunningApp;
using test::Tenant;

RunningApp& shared_app() {
  static RunningApp app;
  return app;
}

struct Doors : testing::Test {
  RunningApp& app = shared_app();
  const Tenant& ours() {
    static const Tenant tenant = app.new_tenant("Ours");
    return tenant;
  }
  const Tenant& theirs() {
    static const Tenant tenant = app.new_tenant("Theirs");
    return tenant;
  }

  // A path of the table with real ids of `tenant` where it has them, and a random id elsewhere.
  static std::string fill(std::string path, const Tenant& tenant) {
    const auto put = [&](const std::string& name, const std::string& value) {
      const auto at = path.find("{" + name + "}");
      if (at != std::string::npos) path.replace(at, name.size() + 2, value);
    };
    put("platform_id", tenant.id);
    put("end_user_id", tenant.user);
    put("key_id", tenant.user_key_id);
    put("app", "github");
    for (const auto* name : {"connection_id", "approval_id", "flow_id", "webhook_id", "delivery_id"}) {
      put(name, "01990000-0000-7000-8000-000000000000");
    }
    return path;
  }

  template <class F>
  void each(F visit) {
    for (const auto& route : app.app().routes()) {
      if (route.method == "*") continue;
      SCOPED_TRACE(route.method + " " + route.path);
      visit(route);
    }
  }
};

// Ours, or the one that clients of the inference API behind the path know.
void expect_envelope(const Route& route, const Reply& reply, const std::string& code) {
  const auto dialect = dialect_of_path(route.path);
  ASSERT_TRUE(reply.json.is_object()) << reply.text;
  if (is_agent_protocol_path(route.path)) {
    EXPECT_EQ(reply.json["code"], code);
    EXPECT_TRUE(reply.json["message"].is_string()) << reply.text;
    EXPECT_EQ(reply.json["metadata"]["request_id"], "req_test");
    return;
  }
  const auto& error = reply.json["error"];
  EXPECT_TRUE(error["message"].is_string()) << reply.text;
  if (!dialect) {
    EXPECT_EQ(error["code"], code);
    EXPECT_EQ(error["request_id"], "req_test");
  } else if (*dialect == inference::DialectId::Anthropic) {
    EXPECT_EQ(reply.json["type"], "error");
    EXPECT_TRUE(error["type"].is_string()) << reply.text;
  } else if (*dialect == inference::DialectId::Gemini) {
    EXPECT_EQ(error["code"], reply.status);
    EXPECT_TRUE(error["status"].is_string()) << reply.text;
  } else {
    EXPECT_EQ(error["code"], code);
    EXPECT_TRUE(error["type"].is_string()) << reply.text;
    EXPECT_TRUE(error.contains("param")) << reply.text;
  }
}

std::string some_body(const Route& route) {
  return route.body_schema.empty() ? "" : "{}";
}

// MCP clients go on from the challenge to the metadata of their URL (RFC 9728 section 5.1).
void expect_challenge(const Route& route, const Reply& reply, std::string expected) {
  std::string challenge(reply.headers.get("www-authenticate").value_or(""));
  if (route.path.starts_with("/mcp")) {
    const auto at = challenge.find("resource_metadata=");
    ASSERT_NE(at, std::string::npos) << challenge;
    challenge.resize(at);
    expected += expected == "Bearer" ? " " : ", ";
  }
  EXPECT_EQ(challenge, expected);
}

TEST_F(Doors, want_a_key) {
  each([&](const Route& route) {
    if (route.access == Access::Public) return;
    const auto reply = app.send(route.method, fill(route.path, ours()), "", some_body(route));
    EXPECT_EQ(reply.status, 401);
    expect_envelope(route, reply, "unauthorized");
    expect_challenge(route, reply, "Bearer");
    for (const auto* kind : {"Authorization: Bearer", "sk-eu_", "sk-plat_", "sk-admin_"}) {
      EXPECT_NE(reply.text.find(kind), std::string::npos) << kind;
    }
  });
}

TEST_F(Doors, refuse_unknown_and_malformed_keys) {
  const std::string zeros(64, '0');
  each([&](const Route& route) {
    if (route.access == Access::Public) return;
    for (const auto& key :
         {"sk-plat_" + zeros, "sk-eu_" + zeros, "sk-admin_" + zeros, std::string("nonsense")}) {
      const auto reply = app.send(route.method, fill(route.path, ours()), key, some_body(route));
      EXPECT_EQ(reply.status, 401) << key;
      expect_challenge(route, reply, "Bearer error=\"invalid_token\"");
      EXPECT_EQ(reply.text.find(zeros), std::string::npos) << "the key is echoed";
    }
  });
}

TEST_F(Doors, refuse_the_wrong_kind_of_key) {
  each([&](const Route& route) {
    const auto path = fill(route.path, ours());
    if (route.access == Access::Operator || route.access == Access::Platform) {
      EXPECT_EQ(app.send(route.method, path, ours().user_key, some_body(route)).status, 403);
    }
    if (route.access == Access::Operator || route.access == Access::EndUser) {
      EXPECT_EQ(app.send(route.method, path, ours().key, some_body(route)).status, 403);
    }
    if (route.access == Access::Tenant) {
      EXPECT_EQ(app.send(route.method, path, app.admin_key(), some_body(route)).status, 403);
    }
  });
}

TEST_F(Doors, do_not_know_other_tenants) {
  each([&](const Route& route) {
    if (route.access != Access::Platform) return;
    const auto reply = app.send(route.method, fill(route.path, theirs()), ours().key, some_body(route));
    const auto missing = app.send(route.method,
                                  fill(route.path, {"01990000-0000-7000-8000-000000000001", "", theirs().user,
                                                    "", theirs().user_key_id}),
                                  ours().key, some_body(route));
    EXPECT_EQ(reply.status, 404);
    EXPECT_EQ(reply.text, missing.text) << "a tenant that exists answers differently from one that does not";
  });
}

TEST_F(Doors, do_not_know_other_tenants_end_users_under_their_own_platform) {
  const Tenant mixed{ours().id, ours().key, theirs().user, "", theirs().user_key_id};
  each([&](const Route& route) {
    if (route.path.find("{end_user_id}") == std::string::npos) return;
    std::string body = some_body(route);
    if (route.body_schema == "ConnectLinkCreate") body = R"({"app":"github"})";
    if (route.body_schema == "RemoteCredentialPut") body = R"({"value":"Bearer x"})";
    if (route.body_schema == "ConnectionPatch") body = R"({"label":"mine"})";
    if (route.body_schema == "GrantsPut") body = R"({"grants":[]})";
    if (route.body_schema == "KeyPatch") body = R"({"name":"mine"})";
    if (route.body_schema == "BudgetCreate") body = R"({"max_usd":"1"})";
    if (route.body_schema == "BudgetPatch") body = R"({"is_suspended":true})";
    if (route.body_schema == "BudgetTopup" || route.body_schema == "BudgetDebit") body = R"({"tokens":1})";
    const auto reply = app.send(route.method, fill(route.path, mixed), ours().key, body);
    EXPECT_EQ(reply.status, 404) << reply.text;
  });
}

TEST_F(Doors, name_what_is_wrong_with_a_body) {
  each([&](const Route& route) {
    if (route.body_schema.empty()) return;
    const auto path = fill(route.path, ours());
    // What the clients of that API expect.
    const int faulty = is_agent_path(route.path) ? 422 : 400;
    const auto& key = route.access == Access::Operator  ? app.admin_key()
                      : route.access == Access::EndUser ? ours().user_key
                                                        : ours().key;
    for (const auto& body : {"{", "[]", "5", "{\"a\":1,\"a\":2}", "\xff", "{\"x\":}"}) {
      const auto reply = app.send(route.method, path, key, body);
      EXPECT_EQ(reply.status, faulty) << body << " gave " << reply.text;
      expect_envelope(route, reply, "bad_request");
    }
    EXPECT_EQ(app.send(route.method, path, key, std::string(100, '[')).status, faulty);
    EXPECT_EQ(app.send(route.method, path, key, "{}", "text/plain").status, 415);
    EXPECT_EQ(app.send(route.method, path, key, "").status, 415);
  });
}

TEST_F(Doors, refuse_unknown_fields_where_a_typo_would_matter) {
  each([&](const Route& route) {
    if (route.path.find("policy") == std::string::npos && route.path.find("grants") == std::string::npos &&
        route.path.find("api-keys") == std::string::npos && route.path.find("budget") == std::string::npos &&
        route.path.find("webhooks") == std::string::npos) {
      return;
    }
    if (route.body_schema.empty()) return;
    EXPECT_EQ(app.send(route.method, fill(route.path, ours()), ours().key, R"({"surprise":true})").status,
              400);
  });
}

TEST_F(Doors, check_paging) {
  each([&](const Route& route) {
    if (!route.paginated) return;
    const auto path = fill(route.path, ours());
    const auto& key = route.access == Access::Operator  ? app.admin_key()
                      : route.access == Access::EndUser ? ours().user_key
                                                        : ours().key;
    const auto good = app.send("GET", path + "?limit=1&page=2", key);
    if (good.status == 404) return;
    EXPECT_EQ(good.status, 200) << good.text;
    EXPECT_EQ(good.json["page"], 2);
    EXPECT_EQ(good.json["limit"], 1);
    for (const auto* query :
         {"?limit=0", "?limit=101", "?limit=x", "?page=0", "?page=-1", "?page=1&page=2", "?limit="}) {
      EXPECT_EQ(app.send("GET", path + query, key).status, 400) << query;
    }
  });
}

TEST_F(Doors, answer_ids_that_are_none_with_404) {
  for (const auto* id : {"x", "123", "01990000-0000-7000-8000-00000000000", "' or 1=1 --"}) {
    EXPECT_EQ(app.send("GET", std::string("/v1/platforms/") + id, app.admin_key()).status, 404) << id;
    EXPECT_EQ(app.send("GET", ours().path() + "/end-users/" + id, ours().key).status, 404) << id;
  }
}

TEST_F(Doors, carry_the_request_id_and_no_cache) {
  each([&](const Route& route) {
    const auto reply = app.send(route.method, fill(route.path, ours()), "");
    EXPECT_EQ(reply.headers.get("x-request-id"), "req_test");
    EXPECT_EQ(reply.headers.get("x-content-type-options"), "nosniff");
  });
}

TEST_F(Doors, stop_a_revoked_key_at_once) {
  const auto made = app.send("POST", ours().user_path() + "/api-keys", ours().key, "{}").data();
  const std::string raw = made["raw_key"];
  ASSERT_EQ(app.send("GET", "/v1/me", raw).status, 200);
  ASSERT_EQ(app.send("DELETE", ours().user_path() + "/api-keys/" + made["id"].get<std::string>(), ours().key)
                .status,
            204);
  EXPECT_EQ(app.send("GET", "/v1/me", raw).status, 401);
}

TEST_F(Doors, stop_a_deactivated_end_user) {
  const auto tenant = app.new_tenant("Deactivating");
  ASSERT_EQ(app.send("GET", "/v1/me", tenant.user_key).status, 200);
  ASSERT_EQ(app.send("PATCH", tenant.user_path(), tenant.key, R"({"is_active":false})").status, 200);
  EXPECT_EQ(app.send("GET", "/v1/me", tenant.user_key).status, 401);
  ASSERT_EQ(app.send("PATCH", tenant.user_path(), tenant.key, R"({"is_active":true})").status, 200);
  EXPECT_EQ(app.send("GET", "/v1/me", tenant.user_key).status, 200);
}

TEST_F(Doors, enforce_scopes) {
  const auto made =
      app.send("POST", ours().user_path() + "/api-keys", ours().key, R"({"scopes":["inference"]})").data();
  EXPECT_EQ(app.send("GET", "/v1/me/connections", made["raw_key"]).status, 403);
  EXPECT_EQ(
      app.send("POST", "/mcp", made["raw_key"], R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})").status,
      403);
}

TEST_F(Doors, show_settings_to_keys_that_manage_only) {
  const auto tenant = app.new_tenant("Settings");
  app.send("PATCH", tenant.path(), tenant.key, R"({"settings":{"internal":"words"}})");
  EXPECT_EQ(app.send("GET", "/v1/me", tenant.key).data()["platform"]["settings"]["internal"], "words");
  const auto issued =
      app.send("POST", tenant.path() + "/api-keys", tenant.key, R"({"name":"i","scopes":["inference"]})");
  const auto seen = app.send("GET", "/v1/me", issued.data()["raw_key"]);
  EXPECT_EQ(seen.data()["platform"]["name"], "Settings");
  EXPECT_EQ(seen.text.find("settings"), std::string::npos) << seen.text;
}

TEST_F(Doors, know_no_audit_trail_without_its_platform) {
  const auto tenant = app.new_tenant("Gone");
  EXPECT_EQ(app.send("GET", tenant.path() + "/audit/verify", app.admin_key()).status, 200);
  app.send("DELETE", tenant.path(), app.admin_key());
  for (const std::string& id : {tenant.id, std::string("01990000-0000-7000-8000-000000000001")}) {
    const auto base = "/v1/platforms/" + id + "/audit";
    EXPECT_EQ(app.send("GET", base, app.admin_key()).status, 404);
    EXPECT_EQ(app.send("GET", base + "/verify", app.admin_key()).status, 404);
  }
}

TEST_F(Doors, refuse_names_that_would_turn_a_page_around) {
  EXPECT_EQ(app.send("POST", "/v1/platforms", app.admin_key(), "{\"name\":\"Ac\u202eme\"}").status, 400);
  EXPECT_EQ(app.send("PATCH", ours().path(), ours().key, "{\"name\":\"Ac\u2066me\"}").status, 400);
}

TEST_F(Doors, remove_a_platform_with_everything) {
  const auto tenant = app.new_tenant("Leaving");
  ASSERT_EQ(app.send("DELETE", tenant.path(), tenant.key).status, 204);
  EXPECT_EQ(app.send("GET", "/v1/me", tenant.user_key).status, 401);
  EXPECT_EQ(app.send("GET", tenant.path(), app.admin_key()).status, 404);
}

TEST_F(Doors, refuse_a_verifier_url_that_no_browser_should_be_sent_to) {
  for (const auto* url :
       {"javascript:alert(1)", "data:text/html,x", "http://example.com/", "https://u:p@example.com/",
        "https://example.com/#x", "https://x/\\r\\nSet-Cookie: a=b"}) {
    const auto reply = app.send("PATCH", ours().path(), ours().key,
                                std::string(R"({"settings":{"connect_verifier_url":")") + url + "\"}}");
    EXPECT_EQ(reply.status, 400) << url;
  }
  EXPECT_EQ(app.send("PATCH", ours().path(), ours().key,
                     R"({"settings":{"connect_verifier_url":"https://example.com/verify"}})")
                .status,
            200);
}

template <class Send>
std::string logged_while(Send send) {
  std::string logged;
  core::log::set_level(core::log::Level::Info);
  core::log::set_listener([&](core::log::Level, std::string_view line) { logged += line; });
  send();
  core::log::set_listener({});
  core::log::set_level(core::log::Level::Error);
  return logged;
}

TEST_F(Doors, keep_connect_tokens_out_of_the_log) {
  const auto logged = logged_while([this] { app.send("GET", "/connect/very-secret-token", ""); });
  EXPECT_NE(logged.find("/connect/{token}"), std::string::npos) << logged;
  EXPECT_EQ(logged.find("very-secret-token"), std::string::npos) << logged;
}

TEST_F(Doors, say_in_the_log_and_the_metrics_which_route_served_whom) {
  const auto logged = logged_while([this] { app.send("GET", "/v1/me", ours().user_key); });
  EXPECT_NE(logged.find(R"("route":"/v1/me")"), std::string::npos) << logged;
  EXPECT_NE(logged.find(R"("platform_id":")" + ours().id), std::string::npos) << logged;
  EXPECT_NE(logged.find(R"("end_user_id":")" + ours().user), std::string::npos) << logged;
  EXPECT_EQ(logged.find(ours().user_key), std::string::npos);
  const auto metrics = app.send("GET", "/metrics", "").text;
  EXPECT_NE(metrics.find(R"(assistiv_http_request_seconds_count{route="GET /v1/me"})"), std::string::npos);
}

TEST_F(Doors, keep_an_audit_trail_that_verifies) {
  const auto tenant = app.new_tenant("Audited");
  const auto list = app.send("GET", tenant.path() + "/audit", tenant.key);
  ASSERT_EQ(list.status, 200);
  EXPECT_GE(list.json["total"].get<int>(), 3) << list.text;
  EXPECT_EQ(list.text.find(tenant.key), std::string::npos);
  const auto verdict = app.send("GET", tenant.path() + "/audit/verify", tenant.key).data();
  EXPECT_EQ(verdict["valid"], true);
  EXPECT_EQ(verdict["entries"], list.json["total"]);
}

}  // namespace
}  // namespace assistiv::api
