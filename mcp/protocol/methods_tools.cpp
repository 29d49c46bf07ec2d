#include <nlohmann/json.hpp>
#include <utility>

#include "core/json_read.h"
#include "mcp/protocol/header_mirror.h"
#include "mcp/protocol/input_rounds.h"
#include "mcp/protocol/methods.h"
#include "mcp/protocol/paging.h"
#include "mcp/protocol/services.h"
#include "mcp/protocol/task_start.h"
#include "mcp/tools/icon.h"

namespace assistiv::mcp {

namespace {

constexpr std::string_view kConnectKey = "connect";

std::string write_tools(const ToolList& list, const PageBounds& page, bool icons) {
  std::string members;
  const bool whole = page.first == 0 && page.last == list.tools.size();
  if (whole) members.reserve(list.joined_json.size() + 160);
  if (whole && !list.joined_json.empty() && (icons || !list.has_icons)) {
    members.append("\"tools\":[").append(list.joined_json).append("]");
    return members;
  }
  members = "\"tools\":[";
  for (std::size_t i = page.first; i < page.last; ++i) {
    if (i != page.first) members.push_back(',');
    const auto& tool = list.tools[i];
    append_with_icons(members, tool.definition_json, icons ? tool.icons_json : std::string_view());
  }
  members.push_back(']');
  if (!page.next_cursor.empty()) members.append(",\"nextCursor\":\"").append(page.next_cursor).append("\"");
  return members;
}

// What a client that can open a link is asked when the app is not connected yet.
core::Json connect_request(const ToolCallResult& result) {
  return {{"mode", "url"}, {"message", result.message}, {"url", result.connect_url}};
}

bool link_refused(const CallContext& context) {
  if (!context.input_responses) return false;
  const auto answer = context.input_responses->find(kConnectKey);
  return answer != context.input_responses->end() && answer->is_object() &&
         answer->value("action", core::Json()) != "accept";
}

Turn final_turn(Reply reply) {
  return {std::move(reply), {}, {}};
}

// Not connected: the newest way to hand over the link that the client knows, else the tool error that carries
// it.
Turn not_connected(const CallPtr& call, ToolCallResult result, bool refused) {
  const bool can_link = call->abilities.elicitation_url && !result.connect_url.empty() && !refused;
  if (can_link && call->modern()) {
    const core::Json requests = {
        {std::string(kConnectKey), {{"method", "elicitation/create"}, {"params", connect_request(result)}}}};
    return {{}, core::dump_json(requests), {}};
  }
  if (can_link && call->version >= Version::v2025_11_25) {
    core::Json elicitation = connect_request(result);
    elicitation["elicitationId"] = "connect-" + core::random_token(call->services.world.random, 12);
    return final_turn(
        failed({kUrlElicitationRequired, result.message, 200,
                core::dump_json({{"elicitations", core::Json::array({std::move(elicitation)})}})}));
  }
  return final_turn(completed(std::string(object_members(result.result_json))));
}

Turn turn_of(const CallPtr& call, ToolCallResult result, bool refused) {
  switch (result.outcome) {
    case ToolOutcome::Done:
    case ToolOutcome::ToolError:
      return final_turn(completed(std::string(object_members(result.result_json))));
    case ToolOutcome::NotConnected:
      return not_connected(call, std::move(result), refused);
    case ToolOutcome::Unknown:
      return final_turn(failed(
          kInvalidParams,
          (result.message.empty() ? "There is no tool of this name for this caller." : result.message) +
              " tools/list shows what there is."));
    case ToolOutcome::InputRequired:
      return {{}, std::move(result.input_requests_json), std::move(result.input_state)};
    case ToolOutcome::ProtocolError:
      return final_turn(failed(result.error_code, std::move(result.message)));
    case ToolOutcome::TaskRequired:
      return final_turn(failed(tasks_not_declared()));
  }
  return final_turn(failed(kInternalError, "The tool gave no result."));
}

core::Task<Turn> call_tool_once(CallPtr call, CallContext context) {
  const core::Json& params = *call->params();
  const auto arguments = params.find("arguments");
  const bool refused = link_refused(context);
  auto result = co_await call->services.doors.tools.call(
      std::move(context), params.at("name").get<std::string>(),
      arguments == params.end() ? core::Json() : core::Json(*arguments));
  if (result.wait && takes_tasks(*call)) {
    if (auto started = co_await start_task(call, *result.wait)) co_return final_turn(std::move(*started));
    // There is no room for another task: the result says what it is without one.
    if (result.result_json.empty()) co_return final_turn(failed(too_many_tasks()));
  }
  co_return turn_of(call, std::move(result), refused);
}

}  // namespace

core::Task<Reply> run_list_tools(CallPtr call) {
  const auto list = co_await call->services.doors.tools.list(make_context(call));
  const auto page =
      page_of(call->params(), list->tools.size(), list->etag, call->services.options.list_page_size);
  if (!page) {
    co_return failed(kInvalidParams,
                     "params.cursor is not a cursor of the present list. Start again without it.");
  }
  if (call->session && call->session->list_etag != list->etag) {
    co_await call->services.world.sessions.set_list_etag(call->incoming->owner(), call->session->id,
                                                         list->etag);
  }
  co_return listed(write_tools(*list, *page, has_icons(call->version)));
}

core::Task<Reply> run_call_tool(CallPtr call) {
  const core::Json* params = call->params();
  const auto name = params == nullptr ? core::Json::const_iterator() : params->find("name");
  if (params == nullptr || name == params->end() || !name->is_string()) {
    co_return failed(kInvalidParams, "params.name must be a string.");
  }
  const auto arguments = params->find("arguments");
  if (arguments != params->end() && !arguments->is_null() && !arguments->is_object()) {
    co_return failed(kInvalidParams, "params.arguments must be an object.");
  }
  if (call->modern()) {
    const auto* mirrored = call->services.doors.tools.mirrored(name->get_ref<const std::string&>());
    if (mirrored != nullptr) {
      const core::Json none;
      auto fault = check_mirrored_arguments(call->incoming->http.headers, *mirrored,
                                            arguments == params->end() ? none : *arguments);
      if (fault) co_return failed(std::move(*fault));
    }
  }
  co_return co_await run_rounds(call, call_tool_once);
}

}  // namespace assistiv::mcp
