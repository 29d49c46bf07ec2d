#include "inference/openai_responses/items.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "inference/translate/citations.h"
#include "inference/translate/content.h"
#include "inference/translate/faults.h"
#include "inference/translate/fields.h"

namespace assistiv::inference::responses {

namespace {

using core::Json;

constexpr std::string_view kCallId = "call";

void append_texts(std::string& out, const Json& item, std::string_view list) {
  const Json* parts = member_of(item, list);
  if (parts == nullptr || !parts->is_array()) return;
  for (const auto& part : *parts) {
    const auto text = text_of(part, "text");
    if (!out.empty() && !text.empty()) out += "\n\n";
    out += text;
  }
}

}  // namespace

std::string outer_content(const ThinkingPart& part) {
  if (part.signed_by != DialectId::OpenAiResponses) return seal_thinking(part);
  return part.redacted.empty() ? part.signature : part.redacted;
}

void read_content(std::string_view encrypted, ThinkingPart& into) {
  if (!open_thinking(encrypted, into)) into.redacted = encrypted;
}

std::string sealed_call_signature(const std::string& signature) {
  ThinkingPart part;
  part.signed_by = DialectId::Gemini;
  part.id = kCallId;
  part.signature = signature;
  return seal_thinking(part);
}

bool is_call_signature(const ThinkingPart& part) {
  return part.signed_by == DialectId::Gemini && part.id == kCallId && !part.signature.empty();
}

std::string reasoning_text(const Json& item) {
  std::string out;
  append_texts(out, item, "summary");
  append_texts(out, item, "content");
  return out;
}

ThinkingPart read_reasoning(const Json& item) {
  ThinkingPart out;
  out.signed_by = DialectId::OpenAiResponses;
  out.id = text_of(item, "id");
  out.text = reasoning_text(item);
  read_content(text_of(item, "encrypted_content"), out);
  return out;
}

Json annotation(const Citation& citation, std::string_view text) {
  Json out = url_citation(citation, 0, characters(text));
  out["type"] = "url_citation";
  return out;
}

Json output_text(std::string_view text, const std::vector<Citation>& citations) {
  Json annotations = Json::array();
  for (const auto& citation : citations) annotations.push_back(annotation(citation, text));
  return {{"type", "output_text"},
          {"text", text},
          {"annotations", std::move(annotations)},
          {"logprobs", Json::array()}};
}

Json refusal_part(std::string_view text) {
  return {{"type", "refusal"}, {"refusal", text}};
}

Finish read_finish(const Json& response, bool called) {
  if (text_of(response, "status") != "incomplete") return called ? Finish::ToolCalls : Finish::Stop;
  const Json* details = member_of(response, "incomplete_details");
  const auto reason = details == nullptr ? "" : text_of(*details, "reason");
  return reason == "content_filter" ? Finish::ContentFilter : Finish::Length;
}

Fault read_error(const Json& error) {
  Fault fault = read_fault(0, Json{{"error", error}});
  if (fault.code == "invalid_prompt" || fault.code.starts_with("invalid_image"))
    fault.kind = Fault::Kind::InvalidRequest;
  return fault;
}

}  // namespace assistiv::inference::responses
