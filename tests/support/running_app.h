#pragma once
// The whole server in this process, on its own database, port 0 and data directory.
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "api/application.h"
#include "core/clock.h"
#include "core/http.h"
#include "core/random.h"
#include "support/run_task.h"
#include "support/test_database.h"

namespace assistiv::test {

struct Reply {
  int status = 0;
  core::HttpHeaders headers;
  std::string text;
  nlohmann::json json;  // null when the body is no JSON
  const nlohmann::json& data() const { return json.at("data"); }
  std::string code() const { return json.is_object() && json.contains("error") ? json["error"]["code"] : ""; }
};

// A platform with one end user and their keys.
struct Tenant {
  std::string id, key, user, user_key, user_key_id;
  std::string path() const { return "/v1/platforms/" + id; }
  std::string user_path() const { return path() + "/end-users/" + user; }
};

class RunningApp {
 public:
  RunningApp();
  ~RunningApp();

  // `body` is sent as JSON when it is not empty.
  Reply send(const std::string& method, const std::string& target, const std::string& key,
             const std::string& body = {}, const std::string& content_type = "application/json");
  Tenant new_tenant(const std::string& name);
  const std::string& admin_key() const { return admin_key_; }
  api::Application& app() { return *app_; }
  TestDatabase& database() { return database_; }

 private:
  std::string directory_;
  TestDatabase database_;
  core::SystemClock clock_;
  core::SystemRandom random_;
  std::unique_ptr<api::Application> app_;
  IoThread thread_;
  std::string admin_key_;
};

}  // namespace assistiv::test
