// Resources and prompts.
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json_read.h"
#include "mcp/protocol/input_rounds.h"
#include "mcp/protocol/methods.h"
#include "mcp/protocol/paging.h"
#include "mcp/protocol/services.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kUriMax = 4096;

Reply list_reply(const Call& call, const DefinitionList& list, std::string_view member) {
  const auto page =
      page_of(call.params(), list.items.size(), list.etag, call.services.options.list_page_size);
  if (!page)
    return failed(kInvalidParams,
                  "params.cursor is not a cursor of the present list. Start again without it.");
  std::string members = "\"" + std::string(member) + "\":[";
  for (std::size_t i = page->first; i < page->last; ++i) {
    if (i != page->first) members.push_back(',');
    members.append(list.items[i]);
  }
  members.push_back(']');
  if (!page->next_cursor.empty()) members.append(",\"nextCursor\":\"").append(page->next_cursor).append("\"");
  return listed(std::move(members));
}

// A string member of the params, or nothing.
const std::string* text_param(const Call& call, std::string_view name) {
  if (call.params() == nullptr) return nullptr;
  const auto it = call.params()->find(name);
  return it == call.params()->end() || !it->is_string() ? nullptr : &it->get_ref<const std::string&>();
}

// The new specification says -32602 with the URI, the old one had a code of its own.
Fault unknown_resource(const Call& call, const std::string& uri) {
  return {call.modern() ? kInvalidParams : kResourceNotFound, "There is no resource of this URI.", 200,
          R"({"uri":)" + json_string(uri) + "}"};
}

core::Task<Turn> read_resource_once(CallPtr call, CallContext context) {
  const std::string uri = call->params()->at("uri").get<std::string>();
  auto result = co_await call->services.doors.resources->read(std::move(context), uri);
  switch (result.outcome) {
    case ReadOutcome::Done:
      co_return Turn{reading(std::string(object_members(result.result_json))), {}, {}};
    case ReadOutcome::Unknown:
      co_return Turn{failed(unknown_resource(*call, uri)), {}, {}};
    case ReadOutcome::InvalidArguments:
      co_return Turn{failed(kInvalidParams, std::move(result.message)), {}, {}};
    case ReadOutcome::InputRequired:
      break;
  }
  co_return Turn{{}, std::move(result.input_requests_json), std::move(result.input_state)};
}

core::Task<Turn> get_prompt_once(CallPtr call, CallContext context) {
  const core::Json& params = *call->params();
  const auto arguments = params.find("arguments");
  auto result = co_await call->services.doors.prompts->get(
      std::move(context), params.at("name").get<std::string>(),
      arguments == params.end() ? core::Json() : core::Json(*arguments));
  switch (result.outcome) {
    case ReadOutcome::Done:
      co_return Turn{completed(std::string(object_members(result.result_json))), {}, {}};
    case ReadOutcome::Unknown:
      co_return Turn{failed(kInvalidParams, "There is no prompt of this name."), {}, {}};
    case ReadOutcome::InvalidArguments:
      co_return Turn{failed(kInvalidParams, std::move(result.message)), {}, {}};
    case ReadOutcome::InputRequired:
      break;
  }
  co_return Turn{{}, std::move(result.input_requests_json), std::move(result.input_state)};
}

core::Task<Reply> change_subscription(CallPtr call, Subscribing what) {
  const std::string* uri = text_param(*call, "uri");
  if (uri == nullptr || uri->empty() || uri->size() > kUriMax)
    co_return failed(kInvalidParams, "params.uri must be a URI.");
  if (!call->session)
    co_return failed(kInvalidRequest, "Subscriptions need a session: send initialize first.");
  EndpointServices& services = call->services;
  const bool adds = what == Subscribing::Add;
  if (adds && !co_await services.doors.resources->exists(make_context(call), *uri))
    co_return failed(unknown_resource(*call, *uri));
  const SessionOwner owner = call->incoming->owner();
  if (!co_await services.world.sessions.subscribe(owner, call->session->id, *uri, what)) {
    co_return failed(kInvalidParams, "This session cannot take more subscriptions.");
  }
  if (adds) {
    services.hub.add_uri(call->session->id, owner.end_user, *uri);
  } else {
    services.hub.remove_uri(call->session->id, owner.end_user, *uri);
  }
  co_return completed({});
}

}  // namespace

core::Task<Reply> run_list_resources(CallPtr call) {
  const auto list = co_await call->services.doors.resources->list(make_context(call));
  co_return list_reply(*call, *list, "resources");
}

core::Task<Reply> run_list_templates(CallPtr call) {
  const auto list = co_await call->services.doors.resources->templates(make_context(call));
  co_return list_reply(*call, *list, "resourceTemplates");
}

core::Task<Reply> run_read_resource(CallPtr call) {
  const std::string* uri = text_param(*call, "uri");
  if (uri == nullptr || uri->size() > kUriMax) co_return failed(kInvalidParams, "params.uri must be a URI.");
  co_return co_await run_rounds(call, read_resource_once);
}

core::Task<Reply> run_subscribe(CallPtr call) {
  return change_subscription(std::move(call), Subscribing::Add);
}
core::Task<Reply> run_unsubscribe(CallPtr call) {
  return change_subscription(std::move(call), Subscribing::Remove);
}

core::Task<Reply> run_list_prompts(CallPtr call) {
  const auto list = co_await call->services.doors.prompts->list(make_context(call));
  co_return list_reply(*call, *list, "prompts");
}

core::Task<Reply> run_get_prompt(CallPtr call) {
  if (text_param(*call, "name") == nullptr) co_return failed(kInvalidParams, "params.name must be a string.");
  const auto arguments = call->params()->find("arguments");
  if (arguments != call->params()->end() && !arguments->is_null() && !arguments->is_object()) {
    co_return failed(kInvalidParams, "params.arguments must be an object.");
  }
  co_return co_await run_rounds(call, get_prompt_once);
}

}  // namespace assistiv::mcp
