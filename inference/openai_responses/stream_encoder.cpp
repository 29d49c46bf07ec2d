#include "inference/openai_responses/stream_encoder.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "inference/openai_responses/items.h"
#include "inference/translate/wire.h"

namespace assistiv::inference {

using core::Json;

ResponsesStreamEncoder::ResponsesStreamEncoder(ReplyContext context, Json echo, McpLookup lookup)
    : object_(std::move(context), std::move(echo)), lookup_(std::move(lookup)) {}

std::string ResponsesStreamEncoder::encode(const StreamEvent& one) {
  if (ended_) return {};
  std::string out = start();
  out += std::visit([this](const auto& value) { return write(value); }, one);
  return out;
}

std::string ResponsesStreamEncoder::start() {
  std::string out;
  if (started_) return out;
  started_ = true;
  event(out, "response.created", {{"response", object_.in_progress()}});
  event(out, "response.in_progress", {{"response", object_.in_progress()}});
  return out;
}

std::string ResponsesStreamEncoder::close() {
  if (ended_) return {};
  std::string out = start();
  end_turn(out);
  Json response = object_.finished(finish_);
  ended_ = true;
  const auto status = response["status"].get<std::string>();
  event(out, "response." + status, {{"response", std::move(response)}});
  return out;
}

std::string ResponsesStreamEncoder::fail(const Fault& fault) {
  if (ended_) return {};
  std::string out = start();
  object_.add_usage(turn_usage_);
  turn_usage_ = {};
  ended_ = true;
  event(out, "response.failed", {{"response", object_.failed(fault)}});
  return out;
}

// ---- items of the door ----

std::string ResponsesStreamEncoder::add_item(Json item) {
  std::string out = start();
  close_message(out);
  if (!item.contains("id")) {
    const auto type = item.value("type", "");
    item["id"] = object_.next_id(type == "mcp_approval_request" ? "mcpr"
                                 : type == "mcp_list_tools"     ? "mcpl"
                                                                : "item");
  }
  const auto index = object_.append(std::move(item));
  added(out, index);
  done(out, index);
  return out;
}

std::string ResponsesStreamEncoder::begin_list_tools(std::string server_label) {
  std::string out = start();
  close_message(out);
  list_tools_ = object_.append({{"type", "mcp_list_tools"},
                                {"id", object_.next_id("mcpl")},
                                {"server_label", std::move(server_label)},
                                {"tools", Json::array()}});
  added(out, *list_tools_);
  event(out, "response.mcp_list_tools.in_progress",
        {{"item_id", object_.item(*list_tools_)["id"]}, {"output_index", *list_tools_}});
  return out;
}

std::string ResponsesStreamEncoder::end_list_tools(Json tools, std::string error) {
  std::string out;
  if (!list_tools_) return out;
  const auto index = *list_tools_;
  list_tools_.reset();
  auto& item = object_.item(index);
  const bool failed = !error.empty();
  if (tools.is_array()) item["tools"] = std::move(tools);
  if (failed) item["error"] = std::move(error);
  event(out, failed ? "response.mcp_list_tools.failed" : "response.mcp_list_tools.completed",
        {{"item_id", item["id"]}, {"output_index", index}});
  done(out, index);
  return out;
}

std::string ResponsesStreamEncoder::begin_mcp_call(const McpTool& tool, std::string call_id,
                                                   std::string arguments, std::string approval_request_id) {
  std::string out = start();
  close_message(out);
  Open open;
  begin_mcp_item(out, tool, call_id, open);
  if (!approval_request_id.empty())
    object_.item(open.output)["approval_request_id"] = std::move(approval_request_id);
  if (arguments.empty()) arguments = "{}";
  delta(out, "response.mcp_call_arguments.delta", open, {}, arguments);
  open.text = std::move(arguments);
  end_call(out, open);
  return out;
}

std::string ResponsesStreamEncoder::end_mcp_call(std::string_view call_id, std::optional<std::string> output,
                                                 std::string error) {
  std::string out;
  const auto index = object_.mcp_call(call_id);
  if (!index) return out;
  const bool failed = !error.empty();
  object_.end_mcp_call(call_id, std::move(output), std::move(error));
  event(out, failed ? "response.mcp_call.failed" : "response.mcp_call.completed",
        {{"item_id", object_.item(*index)["id"]}, {"output_index", *index}});
  done(out, *index);
  return out;
}

// ---- events of a turn ----

std::string ResponsesStreamEncoder::write(const StreamStart& one) {
  core::merge_usage(turn_usage_, one.usage);
  return {};
}

std::string ResponsesStreamEncoder::write(const UsageEvent& one) {
  core::merge_usage(turn_usage_, one.usage);
  return {};
}

std::string ResponsesStreamEncoder::write(const FinishEvent& one) {
  finish_ = one.finish;
  return {};
}

std::string ResponsesStreamEncoder::write(const FaultEvent& one) {
  return fail(one.fault);
}

std::string ResponsesStreamEncoder::write(const StreamEnd&) {
  if (!keep_open_) return close();
  std::string out;
  end_turn(out);
  return out;
}

std::string ResponsesStreamEncoder::write(const PartStart& one) {
  std::string out;
  auto& open = open_[one.index];
  open = {};
  if (const auto* text = std::get_if<TextPart>(&one.part)) {
    if (!text->text.empty()) out += write(TextDelta{one.index, text->text});
  } else if (const auto* refusal = std::get_if<RefusalPart>(&one.part)) {
    open.kind = Kind::Refusal;
    if (!refusal->text.empty()) out += write(TextDelta{one.index, refusal->text});
  } else if (const auto* thinking = std::get_if<ThinkingPart>(&one.part)) {
    open.kind = Kind::Thinking;
    open.thinking = *thinking;
    open.thinking.text.clear();
    if (!thinking->text.empty()) out += write(TextDelta{one.index, thinking->text});
  } else if (const auto* call = std::get_if<ToolCallPart>(&one.part)) {
    close_message(out);
    begin_call(out, open, *call);
  } else if (const auto* media = std::get_if<MediaPart>(&one.part)) {
    open_.erase(one.index);
    out += add_item({{"type", "image_generation_call"},
                     {"id", object_.next_id("ig")},
                     {"status", "completed"},
                     {"result", media->data}});
  }
  return out;
}

std::string ResponsesStreamEncoder::write(const TextDelta& one) {
  std::string out;
  if (one.text.empty()) return out;
  auto& open = open_[one.index];
  open.text += one.text;
  if (open.kind == Kind::Thinking) {
    if (!object_.context().include_reasoning) return out;
    if (!open.begun) begin_thinking(out, open, true);
    delta(out, "response.reasoning_summary_text.delta", open, "summary_index", one.text);
    return out;
  }
  if (open.kind != Kind::Text && open.kind != Kind::Refusal) return out;
  if (!open.begun) begin_text(out, open);
  delta(out, open.kind == Kind::Text ? "response.output_text.delta" : "response.refusal.delta", open,
        "content_index", one.text);
  return out;
}

std::string ResponsesStreamEncoder::write(const SignatureDelta& one) {
  const auto it = open_.find(one.index);
  if (it != open_.end()) it->second.thinking.signature += one.signature;
  return {};
}

std::string ResponsesStreamEncoder::write(const ArgumentsDelta& one) {
  std::string out;
  const auto it = open_.find(one.index);
  if (it == open_.end() || one.json.empty()) return out;
  auto& open = it->second;
  open.text += one.json;
  if (open.kind == Kind::Function) delta(out, "response.function_call_arguments.delta", open, {}, one.json);
  if (open.kind == Kind::Mcp) delta(out, "response.mcp_call_arguments.delta", open, {}, one.json);
  return out;
}

std::string ResponsesStreamEncoder::write(const CitationEvent& one) {
  std::string out;
  const auto it = open_.find(one.index);
  if (it == open_.end() || it->second.kind != Kind::Text || !it->second.begun) return out;
  auto& open = it->second;
  event(out, "response.output_text.annotation.added",
        {{"item_id", open.item_id},
         {"output_index", open.output},
         {"content_index", open.content},
         {"annotation_index", open.citations.size()},
         {"annotation", responses::annotation(one.citation, open.text)}});
  open.citations.push_back(one.citation);
  return out;
}

std::string ResponsesStreamEncoder::write(const PartEnd& one) {
  std::string out;
  const auto it = open_.find(one.index);
  if (it == open_.end()) return out;
  end_part(out, it->second);
  open_.erase(it);
  return out;
}

// ---- frames ----

void ResponsesStreamEncoder::event(std::string& out, std::string_view type, Json members) {
  members["type"] = type;
  members["sequence_number"] = sequence_++;
  begin_sse(out, type);
  out += core::dump_json(members);
  end_sse(out);
}

// Written by hand: one per token.
void ResponsesStreamEncoder::delta(std::string& out, std::string_view type, const Open& open,
                                   std::string_view index_name, std::string_view text) {
  begin_sse(out, type);
  out.append("{\"type\":\"")
      .append(type)
      .append("\",\"sequence_number\":")
      .append(std::to_string(sequence_++));
  out.append(",\"item_id\":");
  append_json_string(out, open.item_id);
  out.append(",\"output_index\":").append(std::to_string(open.output));
  if (!index_name.empty())
    out.append(",\"").append(index_name).append("\":").append(std::to_string(open.content));
  if (open.kind == Kind::Text) out.append(",\"logprobs\":[]");
  out.append(",\"delta\":");
  append_json_string(out, text);
  out.push_back('}');
  end_sse(out);
}

void ResponsesStreamEncoder::added(std::string& out, std::size_t output) {
  event(out, "response.output_item.added", {{"output_index", output}, {"item", object_.item(output)}});
}

void ResponsesStreamEncoder::done(std::string& out, std::size_t output) {
  event(out, "response.output_item.done", {{"output_index", output}, {"item", object_.item(output)}});
}

// ---- text ----

void ResponsesStreamEncoder::begin_text(std::string& out, Open& open) {
  if (!message_) {
    message_ = object_.append({{"type", "message"},
                               {"id", object_.next_id("msg")},
                               {"status", "in_progress"},
                               {"role", "assistant"},
                               {"content", Json::array()}});
    added(out, *message_);
  }
  auto& item = object_.item(*message_);
  open.begun = true;
  open.output = *message_;
  open.item_id = item["id"].get<std::string>();
  open.content = item["content"].size();
  Json part = open.kind == Kind::Text ? responses::output_text("") : responses::refusal_part("");
  item["content"].push_back(part);
  event(out, "response.content_part.added",
        {{"item_id", open.item_id},
         {"output_index", open.output},
         {"content_index", open.content},
         {"part", part}});
}

void ResponsesStreamEncoder::end_text(std::string& out, Open& open) {
  const bool text = open.kind == Kind::Text;
  Json where = {{"item_id", open.item_id}, {"output_index", open.output}, {"content_index", open.content}};
  Json whole = where;
  whole[text ? "text" : "refusal"] = open.text;
  if (text) whole["logprobs"] = Json::array();
  event(out, text ? "response.output_text.done" : "response.refusal.done", std::move(whole));
  Json part = text ? responses::output_text(open.text, open.citations) : responses::refusal_part(open.text);
  object_.item(open.output)["content"][open.content] = part;
  where["part"] = std::move(part);
  event(out, "response.content_part.done", std::move(where));
}

// What comes next is another item.
void ResponsesStreamEncoder::close_message(std::string& out) {
  if (!message_) return;
  for (auto it = open_.begin(); it != open_.end();) {
    const bool text = it->second.kind == Kind::Text || it->second.kind == Kind::Refusal;
    if (!text || !it->second.begun) {
      ++it;
      continue;
    }
    end_text(out, it->second);
    // A delta that still comes for it begins another message.
    it = open_.erase(it);
  }
  const bool cut = finish_ == Finish::Length || finish_ == Finish::ContentFilter;
  object_.item(*message_)["status"] = cut ? "incomplete" : "completed";
  done(out, *message_);
  message_.reset();
}

// ---- thinking ----

void ResponsesStreamEncoder::begin_thinking(std::string& out, Open& open, bool summary) {
  close_message(out);
  const auto& thinking = open.thinking;
  const bool own_id = thinking.signed_by == DialectId::OpenAiResponses && !thinking.id.empty();
  open.begun = true;
  open.item_id = own_id ? thinking.id : object_.next_id("rs");
  open.output = object_.append({{"type", "reasoning"}, {"id", open.item_id}, {"summary", Json::array()}});
  added(out, open.output);
  if (!summary) return;
  event(out, "response.reasoning_summary_part.added",
        {{"item_id", open.item_id},
         {"output_index", open.output},
         {"summary_index", 0},
         {"part", {{"type", "summary_text"}, {"text", ""}}}});
}

void ResponsesStreamEncoder::end_thinking(std::string& out, Open& open) {
  const auto encrypted = responses::outer_content(open.thinking);
  if (!open.begun && encrypted.empty()) return;
  const bool summary = open.begun;
  if (!open.begun) begin_thinking(out, open, false);
  auto& item = object_.item(open.output);
  if (summary) {
    Json part = {{"type", "summary_text"}, {"text", open.text}};
    Json where = {{"item_id", open.item_id}, {"output_index", open.output}, {"summary_index", 0}};
    Json whole = where;
    whole["text"] = open.text;
    event(out, "response.reasoning_summary_text.done", std::move(whole));
    where["part"] = part;
    event(out, "response.reasoning_summary_part.done", std::move(where));
    item["summary"].push_back(std::move(part));
  }
  if (!encrypted.empty()) item["encrypted_content"] = encrypted;
  done(out, open.output);
}

// ---- calls ----

void ResponsesStreamEncoder::begin_call(std::string& out, Open& open, const ToolCallPart& call) {
  if (!call.signature.empty()) {
    const auto sealed =
        object_.append({{"type", "reasoning"},
                        {"id", object_.next_id("rs")},
                        {"summary", Json::array()},
                        {"encrypted_content", responses::sealed_call_signature(call.signature)}});
    added(out, sealed);
    done(out, sealed);
  }
  const auto tool = lookup_ ? lookup_(call.name) : std::nullopt;
  open.text = call.arguments;
  open.begun = true;
  if (tool && tool->needs_approval) {
    open.kind = Kind::Approval;
    open.tool = *tool;
    return;
  }
  if (tool) {
    begin_mcp_item(out, *tool, call.id, open);
    return;
  }
  open.kind = Kind::Function;
  open.item_id = object_.next_id("fc");
  open.output = object_.append({{"type", "function_call"},
                                {"id", open.item_id},
                                {"call_id", call.id},
                                {"name", call.name},
                                {"arguments", ""},
                                {"status", "in_progress"}});
  added(out, open.output);
}

void ResponsesStreamEncoder::begin_mcp_item(std::string& out, const McpTool& tool, const std::string& call_id,
                                            Open& open) {
  open.kind = Kind::Mcp;
  open.begun = true;
  open.item_id = object_.next_id("mcp");
  open.output = object_.append({{"type", "mcp_call"},
                                {"id", open.item_id},
                                {"server_label", tool.server_label},
                                {"name", tool.name},
                                {"arguments", ""},
                                {"approval_request_id", nullptr},
                                {"output", nullptr},
                                {"error", nullptr},
                                {"status", "in_progress"}});
  object_.remember_mcp_call(call_id, open.output);
  added(out, open.output);
  event(out, "response.mcp_call.in_progress", {{"item_id", open.item_id}, {"output_index", open.output}});
}

void ResponsesStreamEncoder::end_call(std::string& out, Open& open) {
  std::string arguments = open.text.empty() ? "{}" : std::move(open.text);
  if (open.kind == Kind::Approval) {
    out += add_item({{"type", "mcp_approval_request"},
                     {"server_label", open.tool.server_label},
                     {"name", open.tool.name},
                     {"arguments", std::move(arguments)}});
    return;
  }
  const bool mcp = open.kind == Kind::Mcp;
  auto& item = object_.item(open.output);
  item["arguments"] = arguments;
  Json whole = {
      {"item_id", open.item_id}, {"output_index", open.output}, {"arguments", std::move(arguments)}};
  if (!mcp) whole["name"] = item["name"];
  event(out, mcp ? "response.mcp_call_arguments.done" : "response.function_call_arguments.done",
        std::move(whole));
  if (mcp) return;  // until end_mcp_call
  item["status"] = "completed";
  done(out, open.output);
}

void ResponsesStreamEncoder::end_part(std::string& out, Open& open) {
  switch (open.kind) {
    case Kind::Text:
    case Kind::Refusal:
      if (open.begun) end_text(out, open);
      return;
    case Kind::Thinking:
      end_thinking(out, open);
      return;
    default:
      end_call(out, open);
  }
}

void ResponsesStreamEncoder::end_turn(std::string& out) {
  for (auto it = open_.begin(); it != open_.end(); it = open_.begin()) {
    auto last = std::move(it->second);
    open_.erase(it);
    end_part(out, last);
  }
  close_message(out);
  object_.add_usage(turn_usage_);
  turn_usage_ = {};
}

}  // namespace assistiv::inference
