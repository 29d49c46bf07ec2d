#include "agents/doors/model_request.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "agents/doors/model_door.h"
#include "agents/doors/model_messages.h"
#include "core/json_read.h"
#include "inference/dialect.h"

namespace assistiv::agents {

namespace {

using core::Json;
using inference::DialectId;

constexpr std::string_view kApprovalPrefix = "mcpr_";
constexpr std::array<std::string_view, 15> kTaken = {"model",
                                                     "messages",
                                                     "input",
                                                     "instructions",
                                                     "system",
                                                     "stream",
                                                     "stream_options",
                                                     "metadata",
                                                     "user",
                                                     "store",
                                                     "include",
                                                     "previous_response_id",
                                                     "contents",
                                                     "systemInstruction",
                                                     "safety_identifier"};

Json approval_answer(const Json& item, const std::string& at) {
  const core::JsonReader read(item, at);
  Json out = {{"approved", read.optional_bool("approve").value_or(false)}};
  if (const auto reason = read.optional_string("reason")) out["reason"] = *reason;
  return out;
}

// The input without the answers to requests for approval, which go into `approvals`.
Json without_approvals(const Json& input, Json& approvals) {
  if (!input.is_array()) return input;
  Json out = Json::array();
  for (std::size_t i = 0; i < input.size(); ++i) {
    const auto& item = input[i];
    if (!item.is_object() || item.value("type", Json()) != "mcp_approval_response") {
      out.push_back(item);
      continue;
    }
    const auto at = "/input/" + std::to_string(i);
    const auto id = core::JsonReader(item, at).string("approval_request_id", 1, 255);
    if (!id.starts_with(kApprovalPrefix))
      throw core::bad_request("This is no request for approval of an agent.", at + "/approval_request_id");
    approvals[id.substr(kApprovalPrefix.size())] = approval_answer(item, at);
  }
  return out;
}

void refuse(const Json& body, const char* member, const char* why) {
  const auto found = body.find(member);
  if (found != body.end() && !found->is_null() && *found != false)
    throw core::bad_request(why, std::string("/") + member);
}

ModelConversation response_conversation(const Json& body) {
  refuse(body, "conversation", "Agents go on with \"previous_response_id\".");
  refuse(body, "background", "Start a run at /v1/agents/api/threads/{thread_id}/runs to look at it later.");
  ModelConversation out;
  Json asked = body;
  if (asked.contains("input")) asked["input"] = without_approvals(body.at("input"), out.approvals);
  const auto previous = body.value("previous_response_id", Json());
  if (previous.is_string()) {
    out.thread = thread_of_response(previous.get_ref<const std::string&>());
    if (!out.thread) {
      throw core::not_found("The response \"" + previous.get<std::string>() + "\" is not one of an agent.")
          .with_code("previous_response_not_found")
          .with_field("previous_response_id");
    }
  }
  asked.erase("previous_response_id");
  if (asked.contains("input") && asked["input"].is_array() && asked["input"].empty()) return out;
  out.messages =
      langchain_messages(inference::dialect(DialectId::OpenAiResponses).decode_request(asked).messages);
  return out;
}

}  // namespace

ModelConversation conversation_of(const inference::InferenceCall& call) {
  const auto& body = *call.body;
  if (call.dialect == DialectId::OpenAiResponses) return response_conversation(body);
  ModelConversation out;
  out.whole = true;
  out.messages = langchain_messages(call.request.messages);
  const auto metadata = body.value("metadata", Json());
  const auto thread = metadata.is_object() ? metadata.value("thread_id", Json()) : Json();
  if (thread.is_null()) return out;
  if (thread.is_string()) out.thread = ThreadId::parse(thread.get_ref<const std::string&>());
  if (!out.thread) throw core::bad_request("A thread's id is a UUID.", "/metadata/thread_id");
  return out;
}

std::vector<std::string> dropped_members(const inference::InferenceCall& call) {
  std::vector<std::string> out;
  for (const auto& [name, value] : call.body->items()) {
    if (!value.is_null() && std::find(kTaken.begin(), kTaken.end(), name) == kTaken.end())
      out.push_back(name);
  }
  return out;
}

bool asks_for_approval(const Waiting& waiting) {
  return waiting.type == "approval" || waiting.type == "tool_approval";
}

core::Json approval_request(const Agent& agent, const Waiting& waiting) {
  const bool tool = waiting.type == "tool_approval";
  const auto& value = waiting.value;
  return {{"type", "mcp_approval_request"},
          {"id", std::string(kApprovalPrefix) + waiting.id},
          {"server_label", "agent_" + agent.slug},
          {"name", value.value(tool ? "tool" : "node", std::string())},
          {"arguments", core::dump_json(tool ? value.value("arguments", Json::object()) : value)}};
}

}  // namespace assistiv::agents
