#pragma once
// A REST executor with everything around it faked: an upstream that replays responses in order, tokens from a
// script, a clock that stands still, waits that only get counted.
#include <chrono>
#include <deque>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "core/http_client.h"
#include "mcp/connectors/catalog.h"
#include "mcp/connectors/rest_executor.h"
#include "mcp/connectors/token_source.h"
#include "support/manual_clock.h"

namespace assistiv::test {

// Answers with what it was given, in order; remembers the requests.
class ReplayHttpClient final : public core::HttpClient {
 public:
  using Reply = std::variant<core::OutboundResponse, core::OutboundFailure>;

  void reply(int status, const nlohmann::json& body,
             std::vector<std::pair<std::string, std::string>> headers = {});
  void reply_text(int status, std::string body,
                  std::vector<std::pair<std::string, std::string>> headers = {});
  void fail(core::OutboundFailure failure) { replies_.emplace_back(failure); }

  core::Task<core::OutboundResponse> send(core::OutboundRequest request) override;
  const std::vector<core::OutboundRequest>& requests() const { return requests_; }
  bool all_used() const { return replies_.empty(); }

 private:
  std::deque<Reply> replies_;
  std::vector<core::OutboundRequest> requests_;
};

class ScriptedTokens final : public mcp::TokenSource {
 public:
  mcp::AccessToken current;
  mcp::AccessToken refreshed;
  std::vector<mcp::CredentialRef> asked;
  std::vector<std::int64_t> refused_versions;
  std::vector<std::int64_t> rejected_versions;  // refused again after the refresh

  ScriptedTokens();
  core::Task<mcp::AccessToken> token(mcp::CredentialRef credential) override;
  core::Task<mcp::AccessToken> after_401(mcp::CredentialRef credential, std::int64_t version) override;
  core::Task<> rejected(mcp::CredentialRef credential, std::int64_t version) override;
};

mcp::AccessToken ready_token(std::string value, std::int64_t version);

// What came out of one call.
struct ToolRun {
  mcp::ToolExecution execution;
  nlohmann::json result;      // the whole CallToolResult
  nlohmann::json structured;  // its structuredContent
  nlohmann::json error;       // {"code", "message", ...} of a failure
};

class ConnectorFixture {
 public:
  explicit ConnectorFixture(mcp::Catalog catalog, mcp::RestExecutorOptions options = {});

  ToolRun call(const std::string& tool, nlohmann::json arguments);
  ToolRun call_on(core::ConnectionId connection, const std::string& tool, nlohmann::json arguments);

  mcp::Catalog catalog;
  ReplayHttpClient http;
  ScriptedTokens tokens;
  ManualClock clock;
  std::vector<std::chrono::milliseconds> waits;
  core::PlatformId platform;
  core::EndUserId end_user;
  core::ConnectionId connection, other_connection;

 private:
  mcp::RestExecutorOptions with_counted_waits(mcp::RestExecutorOptions options);
  mcp::RestExecutor executor_;
};

// The catalogue that the binary carries, loaded once.
mcp::Catalog shipped_catalog();

}  // namespace assistiv::test
