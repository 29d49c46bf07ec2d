#include "support/running_app.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "core/json_read.h"
#include "core/log.h"

namespace assistiv::test {

namespace {

std::string make_directory() {
  std::string name = std::filesystem::temp_directory_path() / "assistiv-app-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
  return name;
}

api::Config test_config(const std::string& directory, const std::string& database_url) {
  return api::load_config("", {},
                          {{"port", "0"},
                           {"data_dir", directory},
                           {"database_url", database_url},
                           {"io_threads", "2"},
                           {"database_connections", "4"},
                           {"access_log", "all"},
                           {"drain_timeout", "2"},
                           {"log_level", "error"}});
}

}  // namespace

RunningApp::RunningApp() : directory_(make_directory()) {
  core::log::set_level(core::log::Level::Error);
  app_ = std::make_unique<api::Application>(test_config(directory_, database_.url()),
                                            api::World{clock_, random_});
  app_->start();
  std::ifstream(directory_ + "/admin.key") >> admin_key_;
}

RunningApp::~RunningApp() {
  app_.reset();
  std::filesystem::remove_all(directory_);
}

Reply RunningApp::send(const std::string& method, const std::string& target, const std::string& key,
                       const std::string& body, const std::string& content_type) {
  core::HttpRequest request;
  request.method = method;
  request.path = target.substr(0, target.find('?'));
  if (target.find('?') != std::string::npos) request.query = target.substr(target.find('?') + 1);
  if (!key.empty()) request.headers.add("authorization", "Bearer " + key);
  if (!body.empty()) request.headers.add("content-type", content_type);
  request.headers.add("host", "localhost");
  request.body = body;
  request.request_id = "req_test";
  const auto reply = thread_.run(app_->handle(std::move(request)));
  Reply out{reply.status, reply.headers, reply.body, nullptr};
  if (const auto json = core::try_parse_json(reply.body)) out.json = *json;
  return out;
}

Tenant RunningApp::new_tenant(const std::string& name) {
  const auto platform = send("POST", "/v1/platforms", admin_key_, R"({"name":")" + name + R"("})").data();
  Tenant out;
  out.id = platform["id"];
  out.key = platform["api_key"]["raw_key"];
  const auto user = send("POST", out.path() + "/end-users", out.key, R"({"external_id":"user-1"})").data();
  out.user = user["id"];
  out.user_key = user["api_key"]["raw_key"];
  out.user_key_id = user["api_key"]["id"];
  return out;
}

}  // namespace assistiv::test
