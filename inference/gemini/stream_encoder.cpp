#include <map>
#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "inference/gemini/gemini.h"
#include "inference/gemini/grounding.h"
#include "inference/gemini/parts.h"
#include "inference/translate/citations.h"
#include "inference/translate/content.h"
#include "inference/translate/wire.h"

namespace assistiv::inference {

namespace gemini {

namespace {

using core::Json;

// Arguments are sent whole, so they are gathered; a model that writes more than this is broken.
constexpr std::size_t kArgumentsMax = 8 << 20;

class Encoder final : public StreamEncoder {
 public:
  Encoder(ReplyContext context, bool array) : context_(std::move(context)), array_(array) {
    tail_ = "],\"role\":\"model\"},\"index\":0}],\"modelVersion\":";
    append_json_string(tail_, context_.model);
    tail_ += ",\"responseId\":";
    append_json_string(tail_, context_.id);
    tail_ += "}";
  }

  std::string encode(const StreamEvent& event) override {
    if (over_) return {};
    return std::visit([this](const auto& one) { return write(one); }, event);
  }

  // White space may stand between the elements of an array.
  std::string keep_alive() const override { return array_ ? "\n" : ": ping\n\n"; }

 private:
  struct Open {
    bool thought = false;
    DialectId signed_by = DialectId::Gemini;
    std::optional<ToolCallPart> call;
    std::size_t before = 0;  // bytes of the answer before this part
  };

  std::string write(const StreamStart& start) {
    core::merge_usage(usage_, start.usage);
    return {};
  }
  std::string write(const UsageEvent& event) {
    core::merge_usage(usage_, event.usage);
    return {};
  }

  std::string write(const PartStart& start) {
    auto& open = open_[start.index];
    open = {};
    open.before = said_.size();
    if (const auto* text = std::get_if<TextPart>(&start.part)) return text_chunk(text->text, false);
    if (const auto* refusal = std::get_if<RefusalPart>(&start.part)) return text_chunk(refusal->text, false);
    if (const auto* call = std::get_if<ToolCallPart>(&start.part)) {
      open.call = *call;
      return {};
    }
    if (const auto* thinking = std::get_if<ThinkingPart>(&start.part)) {
      open.thought = true;
      open.signed_by = thinking->signed_by;
      return text_chunk(thinking->text, true) + signature_chunk(*thinking);
    }
    if (const auto* media = std::get_if<MediaPart>(&start.part))
      return chunk(core::dump_json(media_part(*media)));
    return {};
  }

  std::string write(const TextDelta& delta) {
    const auto it = open_.find(delta.index);
    return text_chunk(delta.text, it != open_.end() && it->second.thought);
  }

  // Google's sources come with the last chunk and count in the bytes of the whole text.
  std::string write(const CitationEvent& event) {
    const auto it = open_.find(event.index);
    if (it == open_.end() || it->second.thought || it->second.call) return {};
    Citation citation = event.citation;
    const auto before = characters(std::string_view(said_).substr(0, it->second.before));
    const bool whole = citation.end == 0;
    citation.start = before + (whole ? 0 : citation.start);
    citation.end = whole ? characters(said_) : before + citation.end;
    grounding_.add(citation, said_, 0);
    return {};
  }

  std::string write(const SignatureDelta& delta) {
    const auto it = open_.find(delta.index);
    if (it != open_.end() && it->second.call) {
      it->second.call->signature += delta.signature;
      return {};
    }
    ThinkingPart part;
    part.signed_by = it == open_.end() ? DialectId::Gemini : it->second.signed_by;
    part.signature = delta.signature;
    return signature_chunk(part);
  }

  std::string write(const ArgumentsDelta& delta) {
    const auto it = open_.find(delta.index);
    if (it == open_.end() || !it->second.call) return {};
    auto& arguments = it->second.call->arguments;
    if (arguments.size() + delta.json.size() > kArgumentsMax) {
      Fault fault;
      fault.message = "The arguments of a tool call are too large.";
      return write(FaultEvent{std::move(fault)});
    }
    arguments += delta.json;
    return {};
  }

  std::string write(const PartEnd& end) {
    const auto it = open_.find(end.index);
    if (it == open_.end()) return {};
    const auto call = std::move(it->second.call);
    open_.erase(it);
    if (!call) return {};
    Json function = {{"id", call->id}, {"name", call->name}};
    function["args"] = arguments_object(call->arguments, {}, Unsupported::Drop);
    Json part = {{"functionCall", std::move(function)}};
    if (!call->signature.empty()) part["thoughtSignature"] = call->signature;
    return chunk(core::dump_json(part));
  }

  std::string write(const FinishEvent& event) {
    finish_ = event;
    return {};
  }

  // The last chunk waits for the end, because usage may follow the finish.
  std::string write(const StreamEnd&) {
    over_ = true;
    const auto finish = finish_.value_or(FinishEvent{});
    Json last = {{"candidates",
                  Json::array({{{"content", {{"parts", Json::array({{{"text", ""}}})}, {"role", "model"}}},
                                {"finishReason", finish_word(finish.finish, finish.refusal_reason)},
                                {"index", 0}}})},
                 {"usageMetadata", write_usage(usage_)},
                 {"modelVersion", context_.model},
                 {"responseId", context_.id}};
    if (!grounding_.empty()) last["candidates"][0]["groundingMetadata"] = grounding_.take();
    return frame(core::dump_json(last)) + closing();
  }

  std::string write(const FaultEvent& event) {
    over_ = true;
    return frame(core::dump_json(encode_fault(event.fault).body)) + closing();
  }

  std::string text_chunk(std::string_view text, bool thought) {
    if (text.empty() || (thought && !context_.include_reasoning)) return {};
    if (!thought) said_ += text;
    std::string part = "{\"text\":";
    append_json_string(part, text);
    part += thought ? ",\"thought\":true}" : "}";
    return chunk(part);
  }

  std::string signature_chunk(const ThinkingPart& thinking) {
    const auto signature = outer_signature(thinking);
    if (signature.empty()) return {};
    std::string part = thinking.signed_by == DialectId::Gemini
                           ? "{\"text\":\"\",\"thoughtSignature\":"
                           : "{\"text\":\"\",\"thought\":true,\"thoughtSignature\":";
    append_json_string(part, signature);
    return chunk(part + "}");
  }

  std::string chunk(std::string_view part) {
    std::string out;
    out.reserve(part.size() + tail_.size() + 64);
    begin(out);
    out.append("{\"candidates\":[{\"content\":{\"parts\":[").append(part).append(tail_);
    if (!array_) end_sse(out);
    return out;
  }

  std::string frame(std::string_view json) {
    std::string out;
    begin(out);
    out.append(json);
    if (!array_) end_sse(out);
    return out;
  }

  void begin(std::string& out) {
    if (array_) {
      out.append(first_ ? "[" : ",\n");
    } else {
      begin_sse(out, {});
    }
    first_ = false;
  }

  std::string closing() const { return array_ ? "]\n" : ""; }

  const ReplyContext context_;
  const bool array_;
  std::string tail_;
  std::map<int, Open> open_;
  core::Usage usage_;
  std::string said_;
  Grounding grounding_;
  std::optional<FinishEvent> finish_;
  bool first_ = true;
  bool over_ = false;
};

}  // namespace

std::unique_ptr<StreamEncoder> stream_encoder(ReplyContext context, bool array) {
  return std::make_unique<Encoder>(std::move(context), array);
}

}  // namespace gemini

std::unique_ptr<StreamEncoder> gemini_array_encoder(ReplyContext context) {
  return gemini::stream_encoder(std::move(context), true);
}

}  // namespace assistiv::inference
