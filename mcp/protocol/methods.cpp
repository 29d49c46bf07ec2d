#include "mcp/protocol/methods.h"

#include <array>

#include "core/error.h"
#include "core/log.h"
#include "mcp/protocol/services.h"

namespace assistiv::mcp {

namespace {

bool always(const Doors&) {
  return true;
}
bool with_resources(const Doors& doors) {
  return doors.resources != nullptr;
}
bool with_subscriptions(const Doors& doors) {
  return doors.resources != nullptr && doors.resources->subscribable();
}
bool with_prompts(const Doors& doors) {
  return doors.prompts != nullptr;
}
bool with_completions(const Doors& doors) {
  return doors.completions != nullptr;
}
bool with_tasks(const Doors& doors) {
  return doors.tasks != nullptr;
}
bool with_logging(const Doors& doors) {
  return doors.logging == LogSupport::Yes;
}

constexpr std::array<Method, 16> kMethods = {{
    {"tools/call", Eras::Both, Streams::May, always, run_call_tool},
    {"tools/list", Eras::Both, Streams::Never, always, run_list_tools},
    {"ping", Eras::Legacy, Streams::Never, always, run_ping},
    {"server/discover", Eras::Modern, Streams::Never, always, run_discover},
    {"logging/setLevel", Eras::Legacy, Streams::Never, with_logging, run_set_log_level},
    {"resources/list", Eras::Both, Streams::Never, with_resources, run_list_resources},
    {"resources/templates/list", Eras::Both, Streams::Never, with_resources, run_list_templates},
    {"resources/read", Eras::Both, Streams::May, with_resources, run_read_resource},
    {"resources/subscribe", Eras::Legacy, Streams::Never, with_subscriptions, run_subscribe},
    {"resources/unsubscribe", Eras::Legacy, Streams::Never, with_subscriptions, run_unsubscribe},
    {"prompts/list", Eras::Both, Streams::Never, with_prompts, run_list_prompts},
    {"prompts/get", Eras::Both, Streams::May, with_prompts, run_get_prompt},
    {"tasks/get", Eras::Modern, Streams::Never, with_tasks, run_get_task},
    {"tasks/update", Eras::Modern, Streams::Never, with_tasks, run_update_task},
    {"tasks/cancel", Eras::Modern, Streams::Never, with_tasks, run_cancel_task},
    {"completion/complete", Eras::Both, Streams::Never, with_completions, run_complete},
}};

Fault fault_of(const core::Error& error, const Call& call) {
  switch (error.kind()) {
    case core::ErrorKind::InvalidArgument:
    case core::ErrorKind::NotFound:
    case core::ErrorKind::Unprocessable:
      return {kInvalidParams, error.message(), 200, {}};
    case core::ErrorKind::Internal:
      core::log::error("mcp.call_failed", {{"method", call.message.method},
                                           {"request_id", call.incoming->http.request_id},
                                           {"detail", error.detail()}});
      return {kInternalError,
              "Something went wrong on our side (request " + call.incoming->http.request_id + ").",
              200,
              {}};
    default:
      core::log::warn("mcp.call_failed", {{"method", call.message.method},
                                          {"request_id", call.incoming->http.request_id},
                                          {"error", error.message()},
                                          {"detail", error.detail()}});
      return {kInternalError, error.message(), 200, {}};
  }
}

}  // namespace

std::span<const Method> all_methods() {
  return kMethods;
}

const Method* find_method(std::string_view name, Version version, const Doors& doors) {
  const auto era = static_cast<unsigned>(is_modern(version) ? Eras::Modern : Eras::Legacy);
  for (const auto& method : kMethods) {
    if (method.name != name) continue;
    return (static_cast<unsigned>(method.eras) & era) != 0 && method.offered(doors) ? &method : nullptr;
  }
  return nullptr;
}

Fault unknown_method(const Call& call) {
  return {kMethodNotFound,
          "The method \"" + call.message.method.substr(0, 100) + "\" is not known here.",
          call.modern() ? 404 : 200,
          {}};
}

core::Task<Reply> run_method(CallPtr call, const Method* method) {
  if (method == nullptr) co_return failed(unknown_method(*call));
  try {
    co_return co_await method->run(call);
  } catch (const core::Error& e) {
    co_return failed(fault_of(e, *call));
  } catch (const std::exception& e) {
    co_return failed(fault_of(core::internal(e.what()), *call));
  }
}

}  // namespace assistiv::mcp
