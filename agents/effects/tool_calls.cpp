#include "agents/effects/tool_calls.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/error.h"
#include "core/json_read.h"
#include "core/metrics.h"

namespace assistiv::agents {
namespace {

using core::Json;

constexpr std::size_t kTextBytesMax = 256 << 10;

bool may_use_tools(const RunContext& context) {
  const auto& who = *context.identity.principal;
  return who.end_user_id && who.has_scope("mcp");
}

mcp::CallContext call_context(const RunContext& context, const Act& act, const Toolset& from,
                              const Span& span) {
  mcp::CallContext out;
  out.principal = context.identity.principal;
  out.app = from.connector;
  out.request_id = request_id_of(context, act);
  out.run_id = act.run;
  out.traceparent = span.traceparent;
  out.stop = act.stop;
  return out;
}

SideEffect from_hints(const mcp::ToolView& tool) {
  if (tool.read_only) return SideEffect::None;
  return tool.idempotent ? SideEffect::Idempotent : SideEffect::Unsafe;
}

ToolOffer offer_of(const mcp::ToolView& tool, const std::string& alias, const std::string& prefix) {
  const auto definition = core::parse_json(tool.definition_json);
  ToolOffer out;
  out.toolset = alias;
  out.name = tool.name.substr(prefix.size());
  out.called = tool.name;
  out.description = definition.value("description", "");
  out.schema = definition.value("inputSchema", Json::object());
  out.side_effect = from_hints(tool);
  return out;
}

// At the end of a character.
std::string cut(std::string text) {
  if (text.size() <= kTextBytesMax) return text;
  const auto whole = text.size();
  auto at = kTextBytesMax;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) --at;
  text.resize(at);
  return text + "\n[cut: " + std::to_string(whole - at) + " bytes more]";
}

std::string text_of_blocks(const Json& content) {
  std::string out;
  for (const auto& block : content) {
    if (!block.is_object() || block.value("type", "") != "text") continue;
    out += (out.empty() ? "" : "\n") + block.value("text", std::string());
  }
  return out;
}

// Of the text {"error": {...}} that refusals are (mcp/tools/tool_result.h).
Json error_details(const Json& result) {
  const auto content = result.find("content");
  if (content == result.end() || !content->is_array()) return Json::object();
  const auto parsed = core::try_parse_json(text_of_blocks(*content));
  if (!parsed || !parsed->is_object() || !parsed->contains("error") || !parsed->at("error").is_object())
    return Json::object();
  return parsed->at("error");
}

// What the end user must see before the call can be made.
Json ask_of(const mcp::ToolCallResult& result, const Json& details, const std::string& app) {
  Json out = {{"app", app}, {"code", result.code}, {"message", details.value("message", result.message)}};
  for (const char* name : {"connect_url", "approval_id", "expires_at"}) {
    if (details.contains(name)) out[name] = details[name];
  }
  if (!result.connect_url.empty()) out["connect_url"] = result.connect_url;
  return out;
}

ToolAnswer plain_error(std::string text) {
  ToolAnswer out;
  out.text = std::move(text);
  out.is_error = true;
  return out;
}

struct Called {
  std::optional<mcp::ToolCallResult> result;
  std::optional<core::Error> error;
};

core::Task<Called> call_door(mcp::ToolDoor* door, mcp::CallContext context, std::string name,
                             Json arguments) {
  Called out;
  try {
    out.result = co_await door->call(std::move(context), std::move(name), std::move(arguments));
  } catch (const core::Error& error) {
    out.error = error;
  }
  co_return out;
}

std::optional<core::Error> failure_of(const Called& called, const Act& act) {
  if (called.error) return called.error;
  if (called.result->code == "cancelled" && act.stop.stop_requested()) return run_cancelled();
  if (!called.result->outcome_unknown) return {};
  const auto parsed = core::try_parse_json(called.result->result_json);
  auto words = parsed && parsed->is_object() ? error_details(*parsed).value("message", "") : std::string();
  if (words.empty()) words = "It is not known whether the call was carried out.";
  return core::Error(core::ErrorKind::UpstreamFailed, std::move(words)).with_code("outcome_unknown");
}

}  // namespace

ToolAnswer tool_answer(const mcp::ToolCallResult& result, const std::string& app) {
  switch (result.outcome) {
    case mcp::ToolOutcome::Unknown:
      return plain_error("There is no such tool for this user.");
    case mcp::ToolOutcome::InputRequired:
    case mcp::ToolOutcome::TaskRequired:
      return plain_error(
          "This tool asks its caller for something that a run cannot give. Call it from an MCP client.");
    case mcp::ToolOutcome::ProtocolError:
      return plain_error(result.message.empty() ? "The tool cannot be called here." : result.message);
    case mcp::ToolOutcome::Done:
    case mcp::ToolOutcome::ToolError:
    case mcp::ToolOutcome::NotConnected:
      break;
  }
  const auto parsed = core::try_parse_json(result.result_json);
  if (!parsed || !parsed->is_object()) return plain_error("The tool gave no result.");
  ToolAnswer out;
  const bool connect = result.outcome == mcp::ToolOutcome::NotConnected;
  if (connect || result.code == "approval_required") {
    out.kind = connect ? ToolAnswer::Kind::Connect : ToolAnswer::Kind::Approve;
    out.ask = ask_of(result, error_details(*parsed), app);
    return out;
  }
  out.is_error = parsed->value("isError", false) || result.outcome == mcp::ToolOutcome::ToolError;
  const auto content = parsed->find("content");
  if (content != parsed->end() && content->is_array()) out.text = text_of_blocks(*content);
  const bool small = result.result_json.size() <= kTextBytesMax;
  if (small && content != parsed->end()) out.content = *content;
  const auto structured = parsed->find("structuredContent");
  if (small && structured != parsed->end()) out.json = *structured;
  if (out.text.empty() && !out.json.is_null()) out.text = core::dump_json(out.json);
  out.text = cut(std::move(out.text));
  return out;
}

core::Task<std::vector<ToolOffer>> list_tools(const RunContext* context, Act act, std::string alias,
                                              Toolset from) {
  std::vector<ToolOffer> out;
  if (!may_use_tools(*context)) co_return out;
  const auto span = begin_span(*context, act);
  const auto list = co_await context->world.tools.list(call_context(*context, act, from, span));
  const auto prefix = from.connector + "_";
  for (const auto& tool : list->tools) {
    if (tool.name.starts_with(prefix)) out.push_back(offer_of(tool, alias, prefix));
  }
  co_return out;
}

core::Task<ToolAnswer> place_tool_call(const RunContext* context, ToolCall call) {
  if (!may_use_tools(*context))
    co_return plain_error("Tools are called for an end user, with a key that has the scope \"mcp\".");
  if (call.from.as_platform)
    co_return plain_error("Tools are called with the end user's connections only (identity \"platform\").");
  const auto span = begin_span(*context, call.act);
  const auto name = call.from.connector + "_" + call.tool;
  const auto start = std::chrono::steady_clock::now();
  auto asked = call_context(*context, call.act, call.from, span);
  const auto request_id = asked.request_id;
  const auto called =
      co_await call_door(&context->world.tools, std::move(asked), name, std::move(call.arguments));
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
  const auto failure = failure_of(called, call.act);
  core::log::Fields fields = {
      {"gen_ai.operation.name", "execute_tool"}, {"gen_ai.tool.name", name}, {"request_id", request_id}};
  if (called.result && !called.result->code.empty()) fields.emplace_back("outcome", called.result->code);
  log_act("agent.tool_call", *context, call.act, span, took.count(), failure ? &*failure : nullptr,
          std::move(fields));
  static auto& counted =
      core::metrics::counter("assistiv_agent_tool_calls_total", "Calls of tools that runs of agents made.");
  counted.add();
  if (failure) throw *failure;
  co_return tool_answer(*called.result, call.from.connector);
}

}  // namespace assistiv::agents
