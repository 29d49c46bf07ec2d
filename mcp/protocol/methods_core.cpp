#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "mcp/protocol/methods.h"
#include "mcp/protocol/services.h"

namespace assistiv::mcp {

core::Task<Reply> run_ping(CallPtr) {
  co_return completed({});
}

core::Task<Reply> run_discover(CallPtr call) {
  const EndpointServices& services = call->services;
  std::string members = "\"supportedVersions\":" + std::string(supported_versions_json());
  members += ",\"capabilities\":" + services.modern_capabilities;
  if (!services.options.instructions.empty())
    members += ",\"instructions\":" + json_string(services.options.instructions);
  co_return discovered(std::move(members));
}

core::Task<Reply> run_set_log_level(CallPtr call) {
  const core::Json* params = call->params();
  const auto level = params == nullptr ? std::string()
                     : params->value("level", core::Json()).is_string()
                         ? params->at("level").get<std::string>()
                         : std::string();
  if (!parse_log_level(level)) {
    co_return failed(
        kInvalidParams,
        "params.level must be one of: debug, info, notice, warning, error, critical, alert, emergency.");
  }
  // Without a session there is nothing that the level could hold for.
  if (call->session) {
    co_await call->services.world.sessions.set_log_level(call->incoming->owner(), call->session->id, level);
  }
  co_return completed({});
}

core::Task<Reply> run_complete(CallPtr call) {
  if (call->params() == nullptr)
    co_return failed(kInvalidParams, "params must have \"ref\" and \"argument\".");
  auto result = co_await call->services.doors.completions->complete(make_context(call), *call->params());
  if (result.outcome != ReadOutcome::Done) co_return failed(kInvalidParams, std::move(result.message));
  co_return completed(std::string(object_members(result.result_json)));
}

}  // namespace assistiv::mcp
