#pragma once
// The second half of ConnectFlow: from the provider's callback to a connection.
#include <optional>
#include <string>

#include "core/task.h"
#include "oauth/connect/connect_flow.h"
#include "oauth/connect/connector_spec.h"
#include "oauth/connect/flow_store.h"
#include "oauth/connect/grant_record.h"

namespace assistiv::oauth {

// What a callback leads to once its flow has been claimed.
struct ClaimedFlow {
  std::optional<FlowReason> fault;
  bool trusted = false;  // the browser, the path and the issuer are right: the user may be sent on
  FlowRow flow;
  ConnectorPtr spec;  // null when its app is not there any more
};

// The checks that need no provider, in the order of connect_flow.h. `flow` is the row as it was before it was
// consumed.
ClaimedFlow judge_callback(const CallbackRequest& request, const std::optional<FlowRow>& flow,
                           const ConnectorPtr& spec, const std::string& public_url, core::Time now);

// A query parameter that occurs once; empty when it is missing or occurs twice.
std::optional<std::string> single_param(const core::FormFields& query, std::string_view name);

}  // namespace assistiv::oauth
