// subscriptions/listen (2026-07-28 "Subscriptions"): the answer is the stream.
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/encoding.h"
#include "core/json_read.h"
#include "mcp/protocol/open_stream.h"
#include "mcp/protocol/serve.h"
#include "mcp/protocol/task_start.h"
#include "mcp/tasks/task_store.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kListenUriMax = 4096;
constexpr std::size_t kListenTasksMax = 128;
constexpr std::size_t kListenTaskIdMax = 128;

struct ListKindField {
  const char* field;
  unsigned kind;
};
constexpr ListKindField kListKindFields[] = {{"toolsListChanged", kToolsChanged},
                                             {"promptsListChanged", kPromptsChanged},
                                             {"resourcesListChanged", kResourcesChanged}};

// The subset of the client's filter that this endpoint has. False when the filter cannot be read.
bool read_filter(const core::Json& filter, const Doors& doors, StreamInterest& interest,
                 core::Json& acknowledged) {
  acknowledged = core::Json::object();
  for (const auto& [field, kind] : kListKindFields) {
    const auto it = filter.find(field);
    if (it == filter.end()) continue;
    if (!it->is_boolean()) return false;
    if (!it->get<bool>() || (offered_kinds(doors) & kind) == 0) continue;
    interest.kinds |= kind;
    acknowledged[field] = true;
  }
  const auto uris = filter.find("resourceSubscriptions");
  if (uris == filter.end()) return true;
  if (!uris->is_array() || uris->size() > kSubscriptionsMax) return false;
  for (const auto& uri : *uris) {
    if (!uri.is_string() || uri.get_ref<const std::string&>().size() > kListenUriMax) return false;
    interest.uris.push_back(uri.get<std::string>());
  }
  const bool offered = doors.resources != nullptr && doors.resources->subscribable();
  if (!offered) interest.uris.clear();
  return true;
}

// The tasks that the filter names. Nothing when they cannot be read.
std::optional<std::vector<std::string>> read_tasks(const core::Json& filter) {
  std::vector<std::string> out;
  const auto ids = filter.find("taskIds");
  if (ids == filter.end()) return out;
  if (!ids->is_array() || ids->size() > kListenTasksMax) return {};
  for (const auto& id : *ids) {
    if (!id.is_string() || id.get_ref<const std::string&>().size() > kListenTaskIdMax) return {};
    out.push_back(id.get<std::string>());
  }
  return out;
}

// Those of the resources that this caller can read.
core::Task<std::vector<std::string>> own_resources(CallPtr call, std::vector<std::string> uris) {
  std::vector<std::string> out;
  for (auto& uri : uris) {
    if (co_await call->services.doors.resources->exists(make_context(call), uri))
      out.push_back(std::move(uri));
  }
  co_return out;
}

// Those of the ids that are tasks of this caller.
core::Task<std::vector<std::string>> own_tasks(CallPtr call, std::vector<std::string> ids) {
  std::vector<std::string> out;
  if (call->services.doors.tasks == nullptr) co_return out;
  const TaskOwner owner = task_owner(call->incoming->principal, call->incoming->app);
  for (const auto& id : ids) {
    if (co_await call->services.doors.tasks->find(owner, id)) out.push_back(id);
  }
  co_return out;
}

}  // namespace

core::Task<core::HttpReply> open_listen(CallPtr call) {
  EndpointServices& services = call->services;
  const auto filter = call->params()->find("notifications");
  StreamInterest interest;
  core::Json acknowledged;
  auto tasks = filter != call->params()->end() && filter->is_object() ? read_tasks(*filter) : std::nullopt;
  if (!tasks || !read_filter(*filter, services.doors, interest, acknowledged)) {
    co_return fault_reply(
        call->message.id,
        {kInvalidParams, "params.notifications must be an object that names what to listen for.", 200, {}});
  }
  if (!tasks->empty() && !call->abilities.tasks)
    co_return fault_reply(call->message.id, tasks_not_declared());
  interest.tasks = co_await own_tasks(call, std::move(*tasks));
  if (!interest.tasks.empty()) acknowledged["taskIds"] = interest.tasks;
  interest.uris = co_await own_resources(call, std::move(interest.uris));
  if (!interest.uris.empty()) acknowledged["resourceSubscriptions"] = interest.uris;
  const auto watched = interest.tasks;
  const SessionOwner owner = call->incoming->owner();
  interest.platform = owner.platform;
  interest.end_user = owner.end_user;
  auto stream = std::make_shared<OpenStream>(services);
  stream->bearer = bearer_of(call->incoming->http.headers);
  interest.key_hash = core::sha256_hex(stream->bearer.reveal());
  stream->place = services.hub.open(std::move(interest));
  if (!stream->place) {
    co_return fault_reply(
        call->message.id,
        {kInternalError, "There are too many open streams. Close some, or try again later.", 200, {}});
  }
  // What they are now, so that nothing is missed of what changed since the client looked.
  for (const auto& id : watched) stream->place->mailbox().post_task(id);
  stream->principal = call->incoming->principal;
  stream->app = call->incoming->app;
  stream->listen_id = call->message.id;
  stream->acknowledged_json = core::dump_json(acknowledged);
  co_return event_reply(std::bind_front(pump_open_stream, std::move(stream), call->incoming->http.gone));
}

}  // namespace assistiv::mcp
