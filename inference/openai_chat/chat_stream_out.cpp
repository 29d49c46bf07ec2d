// The chat client's stream: parts into chunks.
#include <map>
#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "inference/openai_chat/chat.h"
#include "inference/translate/citations.h"
#include "inference/translate/content.h"
#include "inference/translate/faults.h"
#include "inference/translate/wire.h"

namespace assistiv::inference::openai_chat {

namespace {

enum class Kind { Text, Refusal, Thinking, Call };

struct OpenPart {
  Kind kind = Kind::Text;
  int call = 0;             // OpenAI's index: our own count of calls
  bool arguments = false;   // some were sent
  std::int64_t before = 0;  // characters of the answer before this part
  ThinkingPart thinking;    // gathered, for the signed block at its end
};

class ChunkEncoder final : public StreamEncoder {
 public:
  explicit ChunkEncoder(ReplyContext context);
  std::string encode(const StreamEvent& event) override;
  std::string keep_alive() const override { return ": ping\n\n"; }

 private:
  void start(std::string& out);
  void begin_chunk(std::string& out) { out += head_; }
  void end_chunk(std::string& out, std::string_view finish = "null");
  void delta_text(std::string& out, std::string_view member, std::string_view text);
  void part_start(const PartStart& event, std::string& out);
  void text(const TextDelta& event, std::string& out);
  void arguments(OpenPart& part, std::string_view piece, std::string& out);
  void signature(const SignatureDelta& event, std::string& out);
  void citation(const CitationEvent& event, std::string& out);
  void part_end(int index, std::string& out);
  void finish(const FinishEvent& event, std::string& out);
  void end(std::string& out);
  void fault(const Fault& fault, std::string& out);

  ReplyContext context_;
  std::string head_;  // of every chunk, up to "delta":
  std::string stem_;  // the same up to "choices":
  bool started_ = false;
  bool done_ = false;
  int calls_ = 0;
  int details_ = 0;
  std::int64_t said_ = 0;  // characters of the answer
  std::map<int, OpenPart> open_;
  core::Usage usage_;
};

ChunkEncoder::ChunkEncoder(ReplyContext context) : context_(std::move(context)) {
  begin_sse(stem_, {});
  stem_ += "{\"id\":";
  append_json_string(stem_, context_.id);
  stem_ += ",\"object\":\"chat.completion.chunk\",\"created\":" + std::to_string(context_.created);
  stem_ += ",\"model\":";
  append_json_string(stem_, context_.model);
  stem_ += ",\"choices\":";
  head_ = stem_ + "[{\"index\":0,\"delta\":";
}

void ChunkEncoder::end_chunk(std::string& out, std::string_view finish) {
  out.append(",\"logprobs\":null,\"finish_reason\":").append(finish).append("}]");
  if (context_.include_usage) out += ",\"usage\":null";
  out += "}";
  end_sse(out);
}

void ChunkEncoder::start(std::string& out) {
  if (started_) return;
  started_ = true;
  begin_chunk(out);
  out += R"({"role":"assistant","content":"","refusal":null})";
  end_chunk(out);
}

void ChunkEncoder::delta_text(std::string& out, std::string_view member, std::string_view text) {
  begin_chunk(out);
  out.append("{\"").append(member).append("\":");
  append_json_string(out, text);
  out += "}";
  end_chunk(out);
}

void ChunkEncoder::part_start(const PartStart& event, std::string& out) {
  OpenPart part;
  std::string early;
  if (const auto* call = std::get_if<ToolCallPart>(&event.part)) {
    part.kind = Kind::Call;
    part.call = calls_++;
    begin_chunk(out);
    out += "{\"tool_calls\":[{\"index\":" + std::to_string(part.call) + ",\"id\":";
    append_json_string(out, call->id);
    out += ",\"type\":\"function\",\"function\":{\"name\":";
    append_json_string(out, call->name);
    out += ",\"arguments\":\"\"}";
    if (!call->signature.empty())
      out += ",\"extra_content\":" + core::dump_json(call_signature(call->signature));
    out += "}]}";
    end_chunk(out);
    if (!call->arguments.empty()) arguments(part, call->arguments, out);
  } else if (const auto* thinking = std::get_if<ThinkingPart>(&event.part)) {
    part.kind = Kind::Thinking;
    part.thinking = *thinking;
    early = std::move(part.thinking.text);
    part.thinking.text.clear();
  } else if (const auto* refusal = std::get_if<RefusalPart>(&event.part)) {
    part.kind = Kind::Refusal;
    early = refusal->text;
  } else if (const auto* said = std::get_if<TextPart>(&event.part)) {
    early = said->text;
    part.before = said_;
  } else if (const auto* media = std::get_if<MediaPart>(&event.part)) {
    begin_chunk(out);
    out += "{\"images\":[" + core::dump_json(reply_image(*media)) + "]}";
    end_chunk(out);
  }
  open_[event.index] = std::move(part);
  if (!early.empty()) text({event.index, std::move(early)}, out);
}

void ChunkEncoder::text(const TextDelta& event, std::string& out) {
  const auto it = open_.find(event.index);
  if (it == open_.end() || event.text.empty()) return;
  auto& part = it->second;
  if (part.kind == Kind::Thinking) {
    if (!context_.include_reasoning) return;
    part.thinking.text += event.text;
    delta_text(out, "reasoning_content", event.text);
  } else if (part.kind != Kind::Call) {
    if (part.kind == Kind::Text) said_ += characters(event.text);
    delta_text(out, part.kind == Kind::Refusal ? "refusal" : "content", event.text);
  }
}

void ChunkEncoder::arguments(OpenPart& part, std::string_view piece, std::string& out) {
  if (piece.empty() || part.kind != Kind::Call) return;
  part.arguments = true;
  begin_chunk(out);
  out += "{\"tool_calls\":[{\"index\":" + std::to_string(part.call) + ",\"function\":{\"arguments\":";
  append_json_string(out, piece);
  out += "}}]}";
  end_chunk(out);
}

void ChunkEncoder::signature(const SignatureDelta& event, std::string& out) {
  const auto it = open_.find(event.index);
  if (it == open_.end()) return;
  if (it->second.kind == Kind::Thinking) {
    it->second.thinking.signature += event.signature;
  } else if (it->second.kind == Kind::Call) {
    begin_chunk(out);
    out += "{\"tool_calls\":[{\"index\":" + std::to_string(it->second.call) +
           ",\"extra_content\":" + core::dump_json(call_signature(event.signature)) + "}]}";
    end_chunk(out);
  }
}

void ChunkEncoder::citation(const CitationEvent& event, std::string& out) {
  const auto it = open_.find(event.index);
  if (it == open_.end()) return;
  const auto before = it->second.before;
  const core::Json entry = {{"type", "url_citation"},
                            {"url_citation", url_citation(event.citation, before, said_ - before)}};
  begin_chunk(out);
  out += "{\"annotations\":[" + core::dump_json(entry) + "]}";
  end_chunk(out);
}

void ChunkEncoder::part_end(int index, std::string& out) {
  const auto it = open_.find(index);
  if (it == open_.end()) return;
  auto& part = it->second;
  if (part.kind == Kind::Call && !part.arguments) arguments(part, "{}", out);
  if (part.kind == Kind::Thinking && context_.include_reasoning) {
    const auto detail = reasoning_detail(part.thinking, details_);
    if (!detail.is_null()) {
      ++details_;
      begin_chunk(out);
      out += "{\"reasoning_details\":[" + core::dump_json(detail) + "]}";
      end_chunk(out);
    }
  }
  open_.erase(it);
}

void ChunkEncoder::finish(const FinishEvent& event, std::string& out) {
  std::string word = "\"";
  word.append(finish_word(event.finish)).append("\"");
  begin_chunk(out);
  out += "{}";
  end_chunk(out, word);
}

void ChunkEncoder::end(std::string& out) {
  if (context_.include_usage) {
    out += stem_ + "[],\"usage\":" + core::dump_json(encode_usage(usage_)) + "}";
    end_sse(out);
  }
  begin_sse(out, {});
  out += "[DONE]";
  end_sse(out);
  done_ = true;
}

// No [DONE] after it: a client must not take the cut reply for a whole one.
void ChunkEncoder::fault(const Fault& fault, std::string& out) {
  begin_sse(out, {});
  out += core::dump_json(openai_fault_body(fault));
  end_sse(out);
  done_ = true;
}

std::string ChunkEncoder::encode(const StreamEvent& event) {
  std::string out;
  if (done_) return out;
  if (const auto* fault_event = std::get_if<FaultEvent>(&event)) {
    fault(fault_event->fault, out);
    return out;
  }
  if (const auto* usage = std::get_if<UsageEvent>(&event)) {
    core::merge_usage(usage_, usage->usage);
    return out;
  }
  start(out);
  if (const auto* begun = std::get_if<StreamStart>(&event)) {
    core::merge_usage(usage_, begun->usage);
  } else if (const auto* opened = std::get_if<PartStart>(&event)) {
    part_start(*opened, out);
  } else if (const auto* piece = std::get_if<TextDelta>(&event)) {
    text(*piece, out);
  } else if (const auto* pieces = std::get_if<ArgumentsDelta>(&event)) {
    const auto it = open_.find(pieces->index);
    if (it != open_.end()) arguments(it->second, pieces->json, out);
  } else if (const auto* proof = std::get_if<SignatureDelta>(&event)) {
    signature(*proof, out);
  } else if (const auto* cited = std::get_if<CitationEvent>(&event)) {
    citation(*cited, out);
  } else if (const auto* closed = std::get_if<PartEnd>(&event)) {
    part_end(closed->index, out);
  } else if (const auto* reason = std::get_if<FinishEvent>(&event)) {
    finish(*reason, out);
  } else if (std::holds_alternative<StreamEnd>(event)) {
    end(out);
  }
  return out;
}

}  // namespace

std::unique_ptr<StreamEncoder> stream_encoder(ReplyContext context) {
  return std::make_unique<ChunkEncoder>(std::move(context));
}

}  // namespace assistiv::inference::openai_chat
