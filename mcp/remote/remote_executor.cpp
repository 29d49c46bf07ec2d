#include "mcp/remote/remote_executor.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/log.h"
#include "mcp/connectors/result.h"
#include "mcp/remote/remote_apps.h"
#include "mcp/remote/remote_server_store.h"
#include "mcp/remote/remote_token.h"
#include "oauth/connect/credential_store.h"
#include "oauth/crypto/vault.h"

namespace assistiv::mcp {

namespace {

Failure no_credential(const RemoteApp& app) {
  Failure out;
  out.code = FailureCode::ReauthRequired;
  out.message = "There is no credential of this user for " + app.title + ".";
  return out;
}

}  // namespace

// Empty when there is none.
core::Task<core::Secret> RemoteExecutor::own_credential(core::PlatformId platform,
                                                        core::ConnectionId connection) {
  co_return co_await parts_.database.run(
      storage::Scope::tenant(platform), [this, platform, connection](storage::Transaction& tx) {
        const oauth::CredentialStore store(parts_.vault, parts_.clock, parts_.random);
        const auto state = store.get(tx, platform, connection, "main");
        const bool good = state && state->status == oauth::ConnectionStatus::Active;
        return good ? store.open_access(*state) : core::Secret();
      });
}

// 401 means that the server did not look at the call, so it may be made again with a newer token.
core::Task<std::variant<core::Json, Failure>> RemoteExecutor::call_signed_in(RemoteTarget target,
                                                                             RemoteCall call,
                                                                             CredentialRef credential) {
  auto token = co_await parts_.tokens.token(credential);
  std::optional<std::int64_t> refused;
  for (;;) {
    if (auto failure = token_fault(target.title, token)) co_return std::move(*failure);
    set_bearer(target, token);
    auto outcome = co_await parts_.client.call_tool(target, call);
    const auto* failure = std::get_if<Failure>(&outcome);
    if (failure == nullptr || failure->code != FailureCode::ReauthRequired) co_return outcome;
    if (refused) {
      // A token that was not renewed because it is young may be refused for a passing reason.
      if (*refused != token.version) co_await parts_.tokens.rejected(credential, token.version);
      co_return outcome;
    }
    refused = token.version;
    token = co_await parts_.tokens.after_401(credential, token.version);
  }
}

// The next consent asks for these, too; of whoever connects, as one app asks everybody for the same.
core::Task<> RemoteExecutor::ask_for_more(core::PlatformId platform, std::string app,
                                          std::vector<std::string> scopes) {
  const auto payload = platform.str() + "/" + app;
  const bool added = co_await parts_.database.run(
      storage::Scope::tenant(platform), [this, platform, app, scopes, payload](storage::Transaction& tx) {
        const bool more = RemoteServerStore(parts_.vault).add_scopes(tx, platform, app, scopes);
        if (more) tx.notify("app", payload);
        return more;
      });
  if (added && parts_.changed) parts_.changed("app", payload);
}

core::Task<ToolExecution> RemoteExecutor::execute(ToolInvocation invocation) {
  const App* found = invocation.catalog->find_app(invocation.app);
  if (found == nullptr || found->kind != AppKind::Remote)
    throw core::internal("the app " + invocation.app + " is no remote MCP server");
  const auto& app = static_cast<const RemoteApp&>(*found);
  const Tool* tool = app.find_tool(invocation.tool);
  const auto plan = app.plans.find(invocation.tool);
  if (tool == nullptr || plan == app.plans.end())
    throw core::internal("the tool " + invocation.tool + " has no plan");
  RemoteTarget target;
  target.session_key = invocation.platform_id.str() + "/" + app.id + "/" + invocation.end_user_id.str();
  target.url = app.url;
  target.title = app.title;
  target.personal = app.auth == RemoteAuth::UserHeader || app.auth == RemoteAuth::Oauth;
  if (app.auth != RemoteAuth::None) target.header_name = app.header_name;
  target.header_value = app.header;
  if (app.auth == RemoteAuth::UserHeader) {
    target.header_value = co_await own_credential(invocation.platform_id, invocation.connection_id);
    if (target.header_value.empty()) co_return failed(no_credential(app));
  }
  RemoteCall call;
  call.tool = plan->second.remote_name;
  call.arguments = invocation.arguments;
  call.mirrored = plan->second.mirrored;
  call.safe = tool->hints.read_only;
  call.traceparent = invocation.traceparent;
  call.stop = invocation.stop;
  call.progress = invocation.progress;
  const bool signed_in = app.auth == RemoteAuth::Oauth;
  auto outcome = signed_in ? co_await call_signed_in(std::move(target), std::move(call),
                                                     {invocation.platform_id, invocation.end_user_id,
                                                      invocation.connection_id, "main"})
                           : co_await parts_.client.call_tool(std::move(target), std::move(call));
  if (const auto* failure = std::get_if<Failure>(&outcome)) {
    core::log::info("remote_server.call_failed", {{"app", app.id},
                                                  {"tool", tool->name},
                                                  {"failure", failure_code(failure->code)},
                                                  {"status", failure->status.value_or(0)},
                                                  {"request_id", invocation.request_id}});
    auto out = failed(*failure);
    if (signed_in && failure->code == FailureCode::ScopeMissing) {
      co_await ask_for_more(invocation.platform_id, app.id, failure->missing_scopes);
      out.scopes_wanted = failure->missing_scopes;
    }
    co_return out;
  }
  co_return shape_remote_result(app.title, std::get<core::Json>(outcome), tool->output.get(), limits_);
}

}  // namespace assistiv::mcp
