#pragma once
// Runs a tool of the catalogue against its upstream: renders the request(s), adds the end user's access
// token, sends, and turns the answer into a CallToolResult (items or item, compacted, within a token budget)
// or into an error that an agent can act on. Codes of errors: reauth_required, scope_missing, forbidden,
// not_found, validation, rate_limited, conflict, upstream, internal.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>

#include "core/clock.h"
#include "core/http_client.h"
#include "core/secret.h"
#include "core/task.h"
#include "mcp/connectors/catalog.h"
#include "mcp/connectors/token_source.h"
#include "mcp/tools/tool_executor.h"

namespace assistiv::mcp {

struct RestExecutorOptions {
  std::size_t result_tokens_max = 8000;  // of one result, estimated as bytes / 4
  std::chrono::seconds wait_max{5};  // waited in total inside one call for a rate limit, for safe calls only
  std::chrono::hours cursor_life{24};
  // How the executor waits; tests replace it.
  std::function<core::Task<>(std::chrono::milliseconds, std::stop_token)> sleep;
};

struct RestExecutorParts {
  core::HttpClient& http;
  TokenSource& tokens;
  const core::Clock& clock;
};

// Thread-safe.
class RestExecutor final : public ToolExecutor {
 public:
  // `cursor_key` (at least 32 bytes) authenticates cursors: the same on every node.
  RestExecutor(RestExecutorParts parts, core::Secret cursor_key, RestExecutorOptions options = {});
  ~RestExecutor() override;

  core::Task<ToolExecution> execute(ToolInvocation invocation) override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace assistiv::mcp
