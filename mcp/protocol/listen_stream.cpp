// subscriptions/listen (2026-07-28 "Subscriptions"): the answer is the stream.
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/encoding.h"
#include "core/json_read.h"
#include "mcp/protocol/open_stream.h"
#include "mcp/protocol/serve.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kListenUriMax = 4096;

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
  if (!interest.uris.empty()) acknowledged["resourceSubscriptions"] = interest.uris;
  return true;
}

}  // namespace

core::HttpReply open_listen(CallPtr call) {
  EndpointServices& services = call->services;
  const auto filter = call->params()->find("notifications");
  StreamInterest interest;
  core::Json acknowledged;
  if (filter == call->params()->end() || !filter->is_object() ||
      !read_filter(*filter, services.doors, interest, acknowledged)) {
    return fault_reply(
        call->message.id,
        {kInvalidParams, "params.notifications must be an object that names what to listen for.", 200, {}});
  }
  const SessionOwner owner = call->incoming->owner();
  interest.platform = owner.platform;
  interest.end_user = owner.end_user;
  auto stream = std::make_shared<OpenStream>(services);
  stream->bearer = bearer_of(call->incoming->http.headers);
  interest.key_hash = core::sha256_hex(stream->bearer.reveal());
  stream->place = services.hub.open(std::move(interest));
  if (!stream->place) {
    return fault_reply(
        call->message.id,
        {kInternalError, "There are too many open streams. Close some, or try again later.", 200, {}});
  }
  stream->principal = call->incoming->principal;
  stream->app = call->incoming->app;
  stream->listen_id = call->message.id;
  stream->acknowledged_json = core::dump_json(acknowledged);
  return event_reply(std::bind_front(pump_open_stream, std::move(stream), call->incoming->http.gone));
}

}  // namespace assistiv::mcp
