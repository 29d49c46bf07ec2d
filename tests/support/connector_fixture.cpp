#include "support/connector_fixture.h"

#include "core/random.h"
#include "support/run_task.h"

namespace assistiv::test {

void ReplayHttpClient::reply(int status, const nlohmann::json& body,
                             std::vector<std::pair<std::string, std::string>> headers) {
  headers.emplace_back("content-type", "application/json; charset=utf-8");
  reply_text(status, body.dump(), std::move(headers));
}

void ReplayHttpClient::reply_text(int status, std::string body,
                                  std::vector<std::pair<std::string, std::string>> headers) {
  core::OutboundResponse response;
  response.status = status;
  response.body = std::move(body);
  for (auto& [name, value] : headers) response.headers.add(name, value);
  replies_.emplace_back(std::move(response));
}

core::Task<core::OutboundResponse> ReplayHttpClient::send(core::OutboundRequest request) {
  requests_.push_back(std::move(request));
  if (replies_.empty()) throw core::OutboundError(core::OutboundFailure::Refused, "nothing was scripted");
  const Reply next = std::move(replies_.front());
  replies_.pop_front();
  if (const auto* failure = std::get_if<core::OutboundFailure>(&next))
    throw core::OutboundError(*failure, "scripted");
  co_return std::get<core::OutboundResponse>(next);
}

mcp::AccessToken ready_token(std::string value, std::int64_t version) {
  mcp::AccessToken out;
  out.outcome = mcp::TokenOutcome::Ready;
  out.value = core::Secret(std::move(value));
  out.version = version;
  return out;
}

ScriptedTokens::ScriptedTokens() : current(ready_token("token-1", 1)), refreshed(ready_token("token-2", 2)) {}

core::Task<mcp::AccessToken> ScriptedTokens::token(mcp::CredentialRef credential) {
  asked.push_back(std::move(credential));
  co_return current;
}

core::Task<> ScriptedTokens::rejected(mcp::CredentialRef, std::int64_t version) {
  rejected_versions.push_back(version);
  co_return;
}

core::Task<mcp::AccessToken> ScriptedTokens::after_401(mcp::CredentialRef credential, std::int64_t version) {
  asked.push_back(std::move(credential));
  refused_versions.push_back(version);
  co_return refreshed;
}

namespace {

template <class AnyId>
AnyId random_id() {
  core::SystemClock clock;
  core::SystemRandom random;
  return AnyId::make(clock, random);
}

core::Task<> count_wait(std::vector<std::chrono::milliseconds>* waits, std::chrono::milliseconds time) {
  waits->push_back(time);
  co_return;
}

}  // namespace

ConnectorFixture::ConnectorFixture(mcp::Catalog c, mcp::RestExecutorOptions options)
    : catalog(std::move(c)),
      platform(random_id<core::PlatformId>()),
      end_user(random_id<core::EndUserId>()),
      connection(random_id<core::ConnectionId>()),
      other_connection(random_id<core::ConnectionId>()),
      executor_({http, tokens, clock}, core::Secret(std::string(32, 'k')),
                with_counted_waits(std::move(options))) {}

mcp::RestExecutorOptions ConnectorFixture::with_counted_waits(mcp::RestExecutorOptions options) {
  options.sleep = [this](std::chrono::milliseconds time, std::stop_token) {
    return count_wait(&waits, time);
  };
  return options;
}

ToolRun ConnectorFixture::call(const std::string& tool, nlohmann::json arguments) {
  return call_on(connection, tool, std::move(arguments));
}

ToolRun ConnectorFixture::call_on(core::ConnectionId on, const std::string& tool, nlohmann::json arguments) {
  mcp::ToolInvocation invocation;
  invocation.platform_id = platform;
  invocation.end_user_id = end_user;
  invocation.connection_id = on;
  invocation.catalog = std::make_shared<const mcp::Catalog>(catalog);
  invocation.app = catalog.find_tool(tool)->app;
  invocation.tool = tool;
  invocation.arguments = std::make_shared<const core::Json>(std::move(arguments));
  invocation.request_id = "req-1";
  invocation.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  ToolRun out{run(executor_.execute(std::move(invocation))), {}, {}, {}};
  out.result = nlohmann::json::parse(out.execution.result_json);
  if (out.result.contains("structuredContent")) out.structured = out.result["structuredContent"];
  const auto text = nlohmann::json::parse(out.result["content"][0]["text"].get<std::string>());
  if (text.contains("error")) out.error = text["error"];
  return out;
}

mcp::Catalog shipped_catalog() {
  static const mcp::Catalog catalog = mcp::Catalog::load(mcp::manifest_files(""));
  return catalog;
}

}  // namespace assistiv::test
