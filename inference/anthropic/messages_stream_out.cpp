// The Messages client's stream: one open block at a time, message_delta when finish and usage are known.
#include <deque>
#include <map>
#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "inference/anthropic/messages.h"
#include "inference/translate/content.h"
#include "inference/translate/wire.h"

namespace assistiv::inference::anthropic {

namespace {

// A part that waits for its turn, or is being written.
struct Pending {
  Part part;
  std::string text;  // text or arguments that came while it waited
  std::string signature;
  bool ended = false;
};

class MessageEncoder final : public StreamEncoder {
 public:
  explicit MessageEncoder(ReplyContext context) : context_(std::move(context)) {}
  std::string encode(const StreamEvent& event) override;
  std::string keep_alive() const override { return "event: ping\ndata: {\"type\":\"ping\"}\n\n"; }

 private:
  void start(std::string& out);
  void part_start(const PartStart& event, std::string& out);
  void open_block(int index, std::string& out);
  void close_block(std::string& out);
  void next_block(std::string& out);
  void text(int index, const std::string& piece, std::string& out);
  void signature(const SignatureDelta& event);
  void delta(std::string& out, std::string_view type, std::string_view member, std::string_view value);
  void part_end(int index, std::string& out);
  void end(std::string& out);
  void fault(const Fault& fault, std::string& out);

  ReplyContext context_;
  bool started_ = false;
  bool done_ = false;
  int blocks_ = 0;                // of the wire, numbered by us
  int current_ = -1;              // the canonical index of the open part
  std::map<int, Pending> parts_;  // open and waiting, by canonical index
  std::deque<int> waiting_;
  FinishEvent finish_;
  bool refused_ = false;
  core::Usage usage_;
};

void MessageEncoder::start(std::string& out) {
  if (started_) return;
  started_ = true;
  core::Usage usage = usage_;
  if (!usage.input) usage.input = context_.input_estimate;
  begin_sse(out, "message_start");
  out += R"({"type":"message_start","message":{"id":)";
  append_json_string(out, context_.id);
  out += R"(,"type":"message","role":"assistant","model":)";
  append_json_string(out, context_.model);
  out += R"(,"content":[],"stop_reason":null,"stop_sequence":null,"usage":)";
  out += core::dump_json(encode_usage(usage)) + "}}";
  end_sse(out);
}

void MessageEncoder::delta(std::string& out, std::string_view type, std::string_view member,
                           std::string_view value) {
  begin_sse(out, "content_block_delta");
  out += R"({"type":"content_block_delta","index":)" + std::to_string(blocks_ - 1) + R"(,"delta":{"type":")";
  out.append(type).append("\",\"").append(member).append("\":");
  append_json_string(out, value);
  out += "}}";
  end_sse(out);
}

void MessageEncoder::part_start(const PartStart& event, std::string& out) {
  if (std::holds_alternative<ThinkingPart>(event.part) && !context_.include_reasoning) return;
  if (std::holds_alternative<MediaPart>(event.part)) return;  // no block of a reply holds it
  Pending pending;
  pending.part = event.part;
  if (auto* said = std::get_if<TextPart>(&pending.part)) pending.text.swap(said->text);
  if (auto* refusal = std::get_if<RefusalPart>(&pending.part)) {
    pending.text.swap(refusal->text);
    refused_ = true;
  }
  if (auto* thinking = std::get_if<ThinkingPart>(&pending.part)) {
    pending.text.swap(thinking->text);
    pending.signature.swap(thinking->signature);
  }
  if (auto* call = std::get_if<ToolCallPart>(&pending.part)) pending.text.swap(call->arguments);
  parts_[event.index] = std::move(pending);
  waiting_.push_back(event.index);
  next_block(out);
}

// Opens the block of the next part, when none is open.
void MessageEncoder::next_block(std::string& out) {
  while (current_ < 0 && !waiting_.empty()) {
    const int index = waiting_.front();
    waiting_.pop_front();
    open_block(index, out);
    if (parts_[index].ended) close_block(out);
  }
}

void MessageEncoder::open_block(int index, std::string& out) {
  auto& pending = parts_[index];
  current_ = index;
  core::Json block;
  if (const auto* call = std::get_if<ToolCallPart>(&pending.part)) {
    block = tool_use_block(*call, core::Json::object());
  } else if (const auto* thinking = std::get_if<ThinkingPart>(&pending.part)) {
    const bool redacted = !thinking->redacted.empty() && pending.text.empty();
    block = redacted ? thinking_block(*thinking)
                     : core::Json{{"type", "thinking"}, {"thinking", ""}, {"signature", ""}};
  } else {
    block = {{"type", "text"}, {"text", ""}};
  }
  begin_sse(out, "content_block_start");
  out += R"({"type":"content_block_start","index":)" + std::to_string(blocks_++) + R"(,"content_block":)";
  out += core::dump_json(block) + "}";
  end_sse(out);
  std::string early;
  early.swap(pending.text);
  if (!early.empty()) text(index, early, out);
}

void MessageEncoder::close_block(std::string& out) {
  auto& pending = parts_[current_];
  if (auto* thinking = std::get_if<ThinkingPart>(&pending.part)) {
    const bool own = thinking->signed_by == DialectId::Anthropic;
    thinking->signature = std::move(pending.signature);
    const bool bare = thinking->signature.empty();
    const auto proof = own && !bare ? thinking->signature : seal_thinking(*thinking);
    const bool shown_whole = bare && own && !thinking->redacted.empty();
    if (!proof.empty() && !shown_whole && !(bare && thinking->text.empty())) {
      delta(out, "signature_delta", "signature", proof);
    }
  }
  begin_sse(out, "content_block_stop");
  out += R"({"type":"content_block_stop","index":)" + std::to_string(blocks_ - 1) + "}";
  end_sse(out);
  parts_.erase(current_);
  current_ = -1;
}

void MessageEncoder::text(int index, const std::string& piece, std::string& out) {
  const auto it = parts_.find(index);
  if (it == parts_.end() || piece.empty()) return;
  if (index != current_) {
    it->second.text += piece;
  } else if (std::holds_alternative<ToolCallPart>(it->second.part)) {
    delta(out, "input_json_delta", "partial_json", piece);
  } else if (auto* thinking = std::get_if<ThinkingPart>(&it->second.part)) {
    thinking->text = "said";  // that there was some; the text itself is out
    delta(out, "thinking_delta", "thinking", piece);
  } else {
    delta(out, "text_delta", "text", piece);
  }
}

void MessageEncoder::signature(const SignatureDelta& event) {
  const auto it = parts_.find(event.index);
  if (it == parts_.end()) return;
  if (auto* call = std::get_if<ToolCallPart>(&it->second.part)) {
    call->signature += event.signature;
  } else {
    it->second.signature += event.signature;
  }
}

void MessageEncoder::part_end(int index, std::string& out) {
  const auto it = parts_.find(index);
  if (it == parts_.end()) return;
  it->second.ended = true;
  if (index == current_) {
    close_block(out);
    next_block(out);
  }
}

void MessageEncoder::end(std::string& out) {
  for (auto& [index, pending] : parts_) pending.ended = true;
  if (current_ >= 0) close_block(out);
  next_block(out);
  if (refused_ && finish_.finish == Finish::Stop) finish_.finish = Finish::ContentFilter;
  if (!usage_.input) usage_.input = context_.input_estimate;
  begin_sse(out, "message_delta");
  out += R"({"type":"message_delta","delta":{"stop_reason":)";
  append_json_string(out, stop_reason_of(finish_.finish));
  out += ",\"stop_sequence\":";
  if (finish_.stop_sequence.empty()) {
    out += "null";
  } else {
    append_json_string(out, finish_.stop_sequence);
  }
  out += "},\"usage\":" + core::dump_json(encode_usage(usage_)) + "}";
  end_sse(out);
  begin_sse(out, "message_stop");
  out += R"({"type":"message_stop"})";
  end_sse(out);
  done_ = true;
}

void MessageEncoder::fault(const Fault& fault, std::string& out) {
  begin_sse(out, "error");
  out += core::dump_json(encode_fault(fault).body);
  end_sse(out);
  done_ = true;
}

std::string MessageEncoder::encode(const StreamEvent& event) {
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
  if (const auto* begun = std::get_if<StreamStart>(&event)) core::merge_usage(usage_, begun->usage);
  start(out);
  if (const auto* opened = std::get_if<PartStart>(&event)) {
    part_start(*opened, out);
  } else if (const auto* piece = std::get_if<TextDelta>(&event)) {
    text(piece->index, piece->text, out);
  } else if (const auto* pieces = std::get_if<ArgumentsDelta>(&event)) {
    text(pieces->index, pieces->json, out);
  } else if (const auto* proof = std::get_if<SignatureDelta>(&event)) {
    signature(*proof);
  } else if (const auto* closed = std::get_if<PartEnd>(&event)) {
    part_end(closed->index, out);
  } else if (const auto* reason = std::get_if<FinishEvent>(&event)) {
    finish_ = *reason;
  } else if (std::holds_alternative<StreamEnd>(event)) {
    end(out);
  }
  return out;
}

}  // namespace

std::unique_ptr<StreamEncoder> stream_encoder(ReplyContext context) {
  return std::make_unique<MessageEncoder>(std::move(context));
}

}  // namespace assistiv::inference::anthropic
