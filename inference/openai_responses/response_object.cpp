#include "inference/openai_responses/response_object.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "inference/openai_responses/items.h"
#include "inference/translate/content.h"
#include "inference/translate/faults.h"
#include "inference/translate/fields.h"

namespace assistiv::inference {

namespace responses {

namespace {

using core::Json;

constexpr std::array<std::string_view, 19> kEchoed = {"background",
                                                      "instructions",
                                                      "max_output_tokens",
                                                      "max_tool_calls",
                                                      "metadata",
                                                      "model",
                                                      "previous_response_id",
                                                      "prompt",
                                                      "prompt_cache_key",
                                                      "safety_identifier",
                                                      "service_tier",
                                                      "store",
                                                      "temperature",
                                                      "tool_choice",
                                                      "top_logprobs",
                                                      "top_p",
                                                      "truncation",
                                                      "user",
                                                      "parallel_tool_calls"};

Json echo_defaults() {
  return {{"background", false},
          {"instructions", nullptr},
          {"max_output_tokens", nullptr},
          {"metadata", Json::object()},
          {"parallel_tool_calls", true},
          {"previous_response_id", nullptr},
          {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
          {"store", true},
          {"temperature", nullptr},
          {"text", {{"format", {{"type", "text"}}}}},
          {"tool_choice", "auto"},
          {"tools", Json::array()},
          {"top_p", nullptr},
          {"truncation", "disabled"}};
}

// The chat form of a function as the Responses form; an MCP server without what it is reached with.
Json echoed_tool(const Json& tool) {
  Json out = tool;
  if (!out.is_object()) return out;
  if (const Json* function = member_of(tool, "function"); function != nullptr && function->is_object()) {
    out = *function;
    out["type"] = "function";
  }
  out.erase("authorization");
  out.erase("headers");
  return out;
}

Json echoed_format(const Json& format) {
  const Json* inner = member_of(format, "json_schema");
  if (inner == nullptr || !inner->is_object()) return format;
  Json out = *inner;
  out["type"] = "json_schema";
  return out;
}

std::optional<std::int64_t> plus(std::optional<std::int64_t> a, std::optional<std::int64_t> b) {
  if (!a && !b) return {};
  return a.value_or(0) + b.value_or(0);
}

void append_message(ResponseObject& object, Json& content) {
  if (content.empty()) return;
  object.append({{"type", "message"},
                 {"id", object.next_id("msg")},
                 {"status", "completed"},
                 {"role", "assistant"},
                 {"content", std::move(content)}});
  content = Json::array();
}

void append_thinking(ResponseObject& object, const ThinkingPart& thinking) {
  const bool shown = object.context().include_reasoning && !thinking.text.empty();
  const auto encrypted = outer_content(thinking);
  if (!shown && encrypted.empty()) return;
  const bool own_id = thinking.signed_by == DialectId::OpenAiResponses && !thinking.id.empty();
  Json item = {
      {"type", "reasoning"}, {"id", own_id ? thinking.id : object.next_id("rs")}, {"summary", Json::array()}};
  if (shown) item["summary"].push_back({{"type", "summary_text"}, {"text", thinking.text}});
  if (!encrypted.empty()) item["encrypted_content"] = encrypted;
  object.append(std::move(item));
}

void append_call(ResponseObject& object, const ToolCallPart& call, const McpLookup& lookup) {
  if (!call.signature.empty()) {
    object.append({{"type", "reasoning"},
                   {"id", object.next_id("rs")},
                   {"summary", Json::array()},
                   {"encrypted_content", sealed_call_signature(call.signature)}});
  }
  const std::string arguments = call.arguments.empty() ? "{}" : call.arguments;
  const auto tool = lookup ? lookup(call.name) : std::nullopt;
  if (!tool) {
    object.append({{"type", "function_call"},
                   {"id", object.next_id("fc")},
                   {"call_id", call.id},
                   {"name", call.name},
                   {"arguments", arguments},
                   {"status", "completed"}});
    return;
  }
  Json item = {{"server_label", tool->server_label}, {"name", tool->name}, {"arguments", arguments}};
  if (tool->needs_approval) {
    item["type"] = "mcp_approval_request";
    item["id"] = object.next_id("mcpr");
    object.append(std::move(item));
    return;
  }
  item["type"] = "mcp_call";
  item["id"] = object.next_id("mcp");
  item["status"] = "in_progress";
  item["approval_request_id"] = nullptr;
  item["output"] = nullptr;
  item["error"] = nullptr;
  object.remember_mcp_call(call.id, object.append(std::move(item)));
}

}  // namespace

}  // namespace responses

core::Json response_echo(const core::Json& body) {
  using core::Json;
  Json out = responses::echo_defaults();
  if (!body.is_object()) return out;
  for (const auto name : responses::kEchoed) {
    const Json* value = member_of(body, name);
    if (value != nullptr) out[std::string(name)] = *value;
  }
  if (const Json* tools = member_of(body, "tools"); tools != nullptr && tools->is_array()) {
    out["tools"] = Json::array();
    for (const auto& tool : *tools) out["tools"].push_back(responses::echoed_tool(tool));
  }
  if (const Json* reasoning = member_of(body, "reasoning"); reasoning != nullptr && reasoning->is_object())
    out["reasoning"].update(*reasoning);
  if (const Json* format = member_of(body, "response_format"))
    out["text"] = {{"format", responses::echoed_format(*format)}};
  if (const Json* text = member_of(body, "text"); text != nullptr && text->is_object())
    out["text"].update(*text);
  return out;
}

core::Json responses_usage(const core::Usage& usage) {
  const auto input = usage.input.value_or(0);
  const auto output = usage.output.value_or(0);
  core::Json out = {{"input_tokens", input},
                    {"input_tokens_details", {{"cached_tokens", usage.cache_read.value_or(0)}}},
                    {"output_tokens", output},
                    {"output_tokens_details", {{"reasoning_tokens", usage.reasoning.value_or(0)}}},
                    {"total_tokens", input + output}};
  if (usage.cache_write_5m || usage.cache_write_1h) {
    out["input_tokens_details"]["cache_write_tokens"] =
        usage.cache_write_5m.value_or(0) + usage.cache_write_1h.value_or(0);
  }
  return out;
}

core::Json take_extra(Request& request, std::string_view path) {
  const auto it = std::find_if(request.extras.begin(), request.extras.end(),
                               [&](const Extra& extra) { return extra.path == path; });
  if (it == request.extras.end()) return {};
  core::Json out = std::move(it->value);
  request.extras.erase(it);
  return out;
}

ResponseObject::ResponseObject(ReplyContext context, core::Json echo)
    : context_(std::move(context)),
      members_(echo.is_object() ? std::move(echo) : responses::echo_defaults()),
      output_(core::Json::array()) {}

std::string ResponseObject::next_id(std::string_view prefix) {
  std::string_view own = context_.id;
  if (own.starts_with("resp_")) own.remove_prefix(5);
  return std::string(prefix) + "_" + std::string(own) + "_" + std::to_string(ids_++);
}

std::size_t ResponseObject::append(core::Json item) {
  output_.push_back(std::move(item));
  return output_.size() - 1;
}

core::Json& ResponseObject::item(std::size_t index) {
  return output_.at(index);
}

std::size_t ResponseObject::size() const {
  return output_.size();
}

void ResponseObject::append_turn(const Reply& reply, const McpLookup& lookup) {
  add_usage(reply.usage);
  if (reply.choices.empty()) return;
  const auto& choice = reply.choices.front();
  finish_ = choice.finish;
  core::Json content = core::Json::array();
  for (const auto& part : choice.message.parts) {
    if (const auto* text = std::get_if<TextPart>(&part)) {
      content.push_back(responses::output_text(text->text, text->citations));
      if (const core::Json* logprobs = member_of(choice.logprobs, "content"))
        content.back()["logprobs"] = *logprobs;
      continue;
    }
    if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
      content.push_back(responses::refusal_part(refusal->text));
      continue;
    }
    responses::append_message(*this, content);
    if (const auto* thinking = std::get_if<ThinkingPart>(&part)) {
      responses::append_thinking(*this, *thinking);
    } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
      responses::append_call(*this, *call, lookup);
    } else if (const auto* media = std::get_if<MediaPart>(&part)) {
      append({{"type", "image_generation_call"},
              {"id", next_id("ig")},
              {"status", "completed"},
              {"result", media->data}});
    }
  }
  responses::append_message(*this, content);
  if (choice.finish == Finish::Length && !output_.empty() && output_.back().contains("status"))
    output_.back()["status"] = "incomplete";
}

bool ResponseObject::end_mcp_call(std::string_view call_id, std::optional<std::string> output,
                                  std::string error) {
  const auto index = mcp_call(call_id);
  if (!index) return false;
  auto& call = item(*index);
  const bool failed = !error.empty();
  call["status"] = failed ? "failed" : "completed";
  if (output) call["output"] = std::move(*output);
  if (failed) call["error"] = std::move(error);
  mcp_calls_.erase(mcp_calls_.find(call_id));
  return true;
}

std::optional<std::size_t> ResponseObject::mcp_call(std::string_view call_id) const {
  const auto it = mcp_calls_.find(call_id);
  if (it == mcp_calls_.end()) return {};
  return it->second;
}

void ResponseObject::remember_mcp_call(std::string call_id, std::size_t index) {
  mcp_calls_[std::move(call_id)] = index;
}

void ResponseObject::add_usage(const core::Usage& turn) {
  for (const auto field :
       {&core::Usage::input, &core::Usage::output, &core::Usage::cache_read, &core::Usage::cache_write_5m,
        &core::Usage::cache_write_1h, &core::Usage::input_audio, &core::Usage::input_image,
        &core::Usage::reasoning, &core::Usage::output_audio, &core::Usage::output_image}) {
    usage_.*field = responses::plus(usage_.*field, turn.*field);
  }
}

core::Json ResponseObject::base(std::string_view status) const {
  core::Json out = members_;
  out["id"] = context_.id;
  out["object"] = "response";
  out["created_at"] = context_.created;
  out["status"] = status;
  out["model"] = context_.model;
  out["output"] = output_;
  out["error"] = nullptr;
  out["incomplete_details"] = nullptr;
  out["usage"] = nullptr;
  return out;
}

core::Json ResponseObject::in_progress() const {
  return base("in_progress");
}

core::Json ResponseObject::finished(Finish finish) const {
  if (finish == Finish::Error) {
    Fault fault;
    fault.message = "The model ended without an answer.";
    return failed(fault);
  }
  const bool cut = finish == Finish::Length || finish == Finish::ContentFilter;
  core::Json out = base(cut ? "incomplete" : "completed");
  if (cut) {
    out["incomplete_details"] = {
        {"reason", finish == Finish::Length ? "max_output_tokens" : "content_filter"}};
  }
  out["usage"] = responses_usage(usage_);
  return out;
}

core::Json ResponseObject::failed(const Fault& fault) const {
  core::Json out = base("failed");
  for (auto& one : out["output"])
    if (member_of(one, "status") != nullptr && one["status"] == "in_progress") one["status"] = "incomplete";
  const bool limited = fault.kind == Fault::Kind::RateLimited || fault.kind == Fault::Kind::ProviderQuota;
  const bool invalid = fault.kind == Fault::Kind::InvalidRequest || fault.kind == Fault::Kind::TooLarge;
  const char* code = limited ? "rate_limit_exceeded" : invalid ? "invalid_prompt" : "server_error";
  out["error"] = {{"code", code}, {"message", fault.message}};
  out["usage"] = responses_usage(usage_);
  return out;
}

}  // namespace assistiv::inference
