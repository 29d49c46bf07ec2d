#pragma once
// What went wrong at an upstream, in words and codes that an agent can act on.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/http_client.h"
#include "core/json.h"
#include "mcp/connectors/catalog.h"
#include "mcp/connectors/plan.h"

namespace assistiv::mcp {

struct Failure {
  FailureCode code = FailureCode::Upstream;
  std::string message;
  std::optional<std::chrono::seconds> retry_after;
  std::vector<std::string> missing_scopes;
  std::optional<int> status;
  bool timed_out = false;        // there was no answer in time
  bool outcome_unknown = false;  // a change may or may not have been made
};

std::string_view failure_code(FailureCode code);  // "rate_limited", ...

// The upstream's own error code, "" when it gave none.
std::string upstream_code(const ApiPlan& api, const core::Json& body);
// A response that is no success. `body` is null when it is no JSON; `safe` says that the request changed
// nothing.
Failure classify(const Tool& tool, const core::OutboundResponse& response, const core::Json& body, bool safe,
                 core::Time now);
// A status of success over a body that is no answer of the API: a page, cut JSON, another kind of JSON. No
// rule of a manifest is asked, since its words would blame the arguments.
Failure unreadable(const Tool& tool, const core::OutboundResponse& response, bool safe);
// No response at all.
Failure no_response(const Tool& tool, const core::OutboundError& error, bool safe);

Failure invalid_arguments(std::string message);
Failure reauth_required(const Tool& tool);
// The arguments ask for a credential that this connection does not have.
Failure slot_missing(const Tool& tool, const std::string& slot);
Failure upstream_failure(std::string message);

struct RateState {
  std::optional<std::int64_t> remaining;
  std::optional<core::Time> reset_at;
};
RateState rate_state(const RateHeaders& rules, const core::HttpHeaders& headers, core::Time now);

}  // namespace assistiv::mcp
