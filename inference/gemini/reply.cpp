#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "inference/gemini/grounding.h"
#include "inference/gemini/parts.h"
#include "inference/translate/content.h"
#include "inference/translate/faults.h"
#include "inference/translate/fields.h"

namespace assistiv::inference::gemini {

namespace {

using core::Json;

// Without a response id the calls themselves tell one reply from another.
std::string reply_name(const Json& body) {
  auto id = text_of(body, "responseId");
  return id.empty() ? core::sha256_hex(core::dump_json(body)).substr(0, 16) : id;
}

// Google's log probabilities in OpenAI's form, which the canonical form uses.
Json read_logprobs(const Json& result) {
  const Json* chosen = member_of(result, "chosenCandidates");
  const Json* top = member_of(result, "topCandidates");
  if (chosen == nullptr || !chosen->is_array()) return {};
  const auto entry = [](const Json& candidate) {
    const Json* value = member_of(candidate, "logProbability");
    return Json{{"token", text_of(candidate, "token")},
                {"logprob", value != nullptr && value->is_number() ? *value : Json(0)},
                {"bytes", nullptr}};
  };
  Json content = Json::array();
  for (std::size_t i = 0; i < chosen->size(); ++i) {
    Json token = entry((*chosen)[i]);
    token["top_logprobs"] = Json::array();
    if (top != nullptr && top->is_array() && i < top->size()) {
      const Json* others = member_of((*top)[i], "candidates");
      if (others != nullptr && others->is_array())
        for (const auto& other : *others) token["top_logprobs"].push_back(entry(other));
    }
    content.push_back(std::move(token));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

Choice read_candidate(const Json& candidate, CallIds& ids, Reply& reply) {
  Choice out;
  out.message.role = Role::Assistant;
  bool called = false;
  const Json* content = member_of(candidate, "content");
  const Json* parts = content == nullptr ? nullptr : member_of(*content, "parts");
  if (parts != nullptr && parts->is_array()) {
    for (std::size_t i = 0; i < parts->size(); ++i) {
      const auto& part = (*parts)[i];
      auto read = read_part(part, ids);
      if (!read) {
        auto code = code_text(part);
        if (!code.empty()) out.message.parts.push_back(TextPart{std::move(code), {}});
        continue;
      }
      called = called || std::holds_alternative<ToolCallPart>(*read);
      auto* text = std::get_if<TextPart>(&*read);
      if (text != nullptr) text->citations = read_citations(candidate, text->text, i);
      if (text == nullptr || !text->text.empty()) out.message.parts.push_back(std::move(*read));
      if (auto signature = signature_after(part)) out.message.parts.push_back(std::move(*signature));
    }
  }
  for (auto& name : unread_members(candidate)) reply.left_out.push_back(std::move(name));
  const auto word = text_of(candidate, "finishReason");
  out.finish = finish_of(word, called);
  if (out.finish == Finish::ContentFilter || out.finish == Finish::Error) out.refusal_reason = word;
  // What was said stands; only a reply without anything may be asked for again.
  if (out.finish == Finish::Error && !out.message.parts.empty())
    out.finish = called ? Finish::ToolCalls : Finish::Stop;
  if (const Json* logprobs = member_of(candidate, "logprobsResult")) out.logprobs = read_logprobs(*logprobs);
  return out;
}

Json write_logprobs(const Json& logprobs) {
  const Json* content = member_of(logprobs, "content");
  if (content == nullptr || !content->is_array()) return {};
  const auto entry = [](const Json& token) {
    return Json{{"token", text_of(token, "token")}, {"logProbability", token.value("logprob", Json(0))}};
  };
  Json chosen = Json::array();
  Json top = Json::array();
  for (const auto& token : *content) {
    chosen.push_back(entry(token));
    Json candidates = Json::array();
    if (const Json* others = member_of(token, "top_logprobs"); others != nullptr && others->is_array())
      for (const auto& other : *others) candidates.push_back(entry(other));
    top.push_back({{"candidates", std::move(candidates)}});
  }
  return {{"chosenCandidates", std::move(chosen)}, {"topCandidates", std::move(top)}};
}

Json write_parts(const Message& message, const ReplyContext& context, Grounding& grounding) {
  Json parts = Json::array();
  for (const auto& part : message.parts) {
    if (const auto* text = std::get_if<TextPart>(&part)) {
      for (const auto& citation : text->citations) grounding.add(citation, text->text, parts.size());
      parts.push_back({{"text", text->text}});
    } else if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
      parts.push_back({{"text", refusal->text}});
    } else if (const auto* media = std::get_if<MediaPart>(&part)) {
      parts.push_back(media_part(*media));
    } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
      Json function = {{"id", call->id}, {"name", call->name}};
      function["args"] = arguments_object(call->arguments, {}, Unsupported::Drop);
      Json out = {{"functionCall", std::move(function)}};
      if (!call->signature.empty()) out["thoughtSignature"] = call->signature;
      parts.push_back(std::move(out));
    } else if (const auto* thinking = std::get_if<ThinkingPart>(&part)) {
      const auto signature = outer_signature(*thinking);
      const bool shown = context.include_reasoning && !thinking->text.empty();
      if (!shown && signature.empty()) continue;
      const bool after_text = thinking->text.empty() && !parts.empty() && parts.back().contains("text") &&
                              !parts.back().contains("thought") && thinking->signed_by == DialectId::Gemini;
      if (after_text) {
        parts.back()["thoughtSignature"] = signature;
        continue;
      }
      Json out = {{"text", shown ? thinking->text : ""}, {"thought", true}};
      if (!signature.empty()) out["thoughtSignature"] = signature;
      parts.push_back(std::move(out));
    }
  }
  return parts;
}

}  // namespace

Reply decode_reply(const Json& body) {
  if (member_of(body, "error") != nullptr || body.is_array()) {
    const auto fault = read_fault(0, body);
    throw core::Error(core::ErrorKind::UpstreamFailed, fault.message);
  }
  const Json* candidates = member_of(body, "candidates");
  const Json* feedback = member_of(body, "promptFeedback");
  if ((candidates == nullptr || !candidates->is_array()) && feedback == nullptr) {
    throw core::Error(core::ErrorKind::UpstreamFailed, "The provider's reply is none of Gemini's.");
  }
  Reply out;
  out.id = text_of(body, "responseId");
  out.model = text_of(body, "modelVersion");
  if (const Json* usage = member_of(body, "usageMetadata")) out.usage = read_usage(*usage);
  CallIds ids(reply_name(body));
  if (candidates != nullptr && candidates->is_array())
    for (const auto& candidate : *candidates) out.choices.push_back(read_candidate(candidate, ids, out));
  if (out.choices.empty()) {
    // A blocked prompt is an answer, not a fault (rule 5.7).
    Choice blocked;
    blocked.message.role = Role::Assistant;
    const auto reason = feedback == nullptr ? "" : text_of(*feedback, "blockReason");
    blocked.finish = reason.empty() ? Finish::Error : Finish::ContentFilter;
    blocked.refusal_reason = reason;
    out.choices.push_back(std::move(blocked));
  }
  return out;
}

Json encode_reply(const Reply& reply, const ReplyContext& context) {
  Json candidates = Json::array();
  for (std::size_t i = 0; i < reply.choices.size(); ++i) {
    const auto& choice = reply.choices[i];
    Grounding grounding;
    Json candidate = {
        {"content", {{"role", "model"}, {"parts", write_parts(choice.message, context, grounding)}}},
        {"finishReason", finish_word(choice.finish, choice.refusal_reason)},
        {"index", i}};
    if (!grounding.empty()) candidate["groundingMetadata"] = grounding.take();
    if (!choice.logprobs.is_null()) {
      Json logprobs = write_logprobs(choice.logprobs);
      if (!logprobs.is_null()) candidate["logprobsResult"] = std::move(logprobs);
    }
    candidates.push_back(std::move(candidate));
  }
  return {{"candidates", std::move(candidates)},
          {"usageMetadata", write_usage(reply.usage)},
          {"modelVersion", context.model},
          {"responseId", context.id}};
}

}  // namespace assistiv::inference::gemini
