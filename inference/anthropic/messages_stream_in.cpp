// Anthropic's stream: content blocks into parts.
#include <map>
#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "inference/anthropic/messages.h"
#include "inference/translate/faults.h"
#include "inference/translate/fields.h"
#include "inference/translate/part_tracker.h"

namespace assistiv::inference::anthropic {

namespace {

constexpr std::size_t kBlocksMax = 4096;

struct Block {
  int part = -1;          // -1: not shown (the provider's own tools)
  bool answer = false;    // the hidden tool whose arguments are the answer's text
  std::string arguments;  // what the start held, until a delta proves that more comes
};

class MessageDecoder final : public StreamDecoder {
 public:
  std::vector<StreamEvent> feed(std::string_view event, std::string_view data) override;
  std::vector<StreamEvent> finish() override;

 private:
  using Events = std::vector<StreamEvent>;
  void dispatch(std::string_view type, const core::Json& body, Events& out);
  void message_start(const core::Json& body, Events& out);
  void block_start(const core::Json& body, Events& out);
  void block_delta(const core::Json& body, Events& out);
  void block_stop(std::int64_t index, Events& out);
  void message_delta(const core::Json& body, Events& out);
  core::Usage merged_usage(const core::Json& usage);
  void fault(Fault fault, Events& out);

  bool done_ = false;
  bool answered_ = false;
  bool called_ = false;
  PartTracker parts_;
  std::map<std::int64_t, Block> blocks_;
  core::Json usage_ = core::Json::object();  // every member as last said
};

// Later events correct single members; the sums must hold over all of them.
core::Usage MessageDecoder::merged_usage(const core::Json& usage) {
  if (usage.is_object()) {
    for (const auto& [name, value] : usage.items()) {
      if (!value.is_null()) usage_[name] = value;
    }
  }
  return read_usage(usage_);
}

void MessageDecoder::message_start(const core::Json& body, Events& out) {
  const auto* message = member_of(body, "message");
  StreamStart start;
  if (message != nullptr) {
    start.id = text_of(*message, "id");
    start.model = text_of(*message, "model");
    if (const auto* usage = member_of(*message, "usage")) start.usage = merged_usage(*usage);
  }
  out.emplace_back(std::move(start));
}

void MessageDecoder::block_start(const core::Json& body, Events& out) {
  const auto index = count_of(body, "index").value_or(0);
  const auto* content = member_of(body, "content_block");
  if (content == nullptr) return;
  if (blocks_.size() >= kBlocksMax) return fault(unreadable_fault(), out);
  block_stop(index, out);
  auto& block = blocks_[index];
  Part part;
  if (!read_reply_block(*content, part)) return;
  if (auto* call = std::get_if<ToolCallPart>(&part)) {
    block.arguments = std::move(call->arguments);
    call->arguments.clear();
    called_ = true;
  } else if (auto* text = std::get_if<TextPart>(&part);
             text != nullptr && text_of(*content, "type") == "tool_use") {
    block.answer = true;
    block.arguments = std::move(text->text);
    text->text.clear();
    answered_ = true;
  }
  std::string early;
  if (auto* text = std::get_if<TextPart>(&part)) early.swap(text->text);
  if (auto* thinking = std::get_if<ThinkingPart>(&part); thinking != nullptr && thinking->redacted.empty()) {
    early.swap(thinking->text);
  }
  block.part = parts_.open(std::move(part), out);
  if (!early.empty()) out.emplace_back(TextDelta{block.part, std::move(early)});
}

void MessageDecoder::block_delta(const core::Json& body, Events& out) {
  const auto it = blocks_.find(count_of(body, "index").value_or(0));
  const auto* delta = member_of(body, "delta");
  if (it == blocks_.end() || delta == nullptr || it->second.part < 0) return;
  auto& block = it->second;
  const auto type = text_of(*delta, "type");
  if (type == "text_delta" || type == "thinking_delta") {
    auto text = text_of(*delta, type == "text_delta" ? "text" : "thinking");
    if (!text.empty()) out.emplace_back(TextDelta{block.part, std::move(text)});
  } else if (type == "signature_delta") {
    auto signature = text_of(*delta, "signature");
    if (!signature.empty()) out.emplace_back(SignatureDelta{block.part, std::move(signature)});
  } else if (type == "citations_delta") {
    const auto* cited = member_of(*delta, "citation");
    Citation citation;
    if (cited != nullptr && read_citation(*cited, citation))
      out.emplace_back(CitationEvent{block.part, std::move(citation)});
  } else if (type == "input_json_delta") {
    auto piece = text_of(*delta, "partial_json");
    if (piece.empty()) return;
    block.arguments.clear();
    if (block.answer) {
      out.emplace_back(TextDelta{block.part, std::move(piece)});
    } else {
      out.emplace_back(ArgumentsDelta{block.part, std::move(piece)});
    }
  }
}

void MessageDecoder::block_stop(std::int64_t index, Events& out) {
  const auto it = blocks_.find(index);
  if (it == blocks_.end() || it->second.part < 0) return;
  auto& block = it->second;
  if (!block.arguments.empty() && block.answer)
    out.emplace_back(TextDelta{block.part, std::move(block.arguments)});
  if (!block.arguments.empty() && !block.answer) {
    out.emplace_back(ArgumentsDelta{block.part, std::move(block.arguments)});
  }
  parts_.close(block.part, out);
  block = {};
}

void MessageDecoder::message_delta(const core::Json& body, Events& out) {
  if (const auto* usage = member_of(body, "usage")) out.emplace_back(UsageEvent{merged_usage(*usage)});
  const auto* delta = member_of(body, "delta");
  const auto reason = delta == nullptr ? std::string() : text_of(*delta, "stop_reason");
  if (reason.empty()) return;
  for (auto& [index, block] : blocks_) block_stop(index, out);
  parts_.close_all(out);
  FinishEvent finish;
  finish.finish = finish_of(reason);
  if (finish.finish == Finish::ToolCalls && answered_ && !called_) finish.finish = Finish::Stop;
  finish.stop_sequence = text_of(*delta, "stop_sequence");
  out.emplace_back(std::move(finish));
}

void MessageDecoder::fault(Fault fault, Events& out) {
  parts_.close_all(out);
  out.emplace_back(FaultEvent{std::move(fault)});
  done_ = true;
}

void MessageDecoder::dispatch(std::string_view type, const core::Json& body, Events& out) {
  if (type == "content_block_delta") {
    block_delta(body, out);
  } else if (type == "content_block_start") {
    block_start(body, out);
  } else if (type == "content_block_stop") {
    block_stop(count_of(body, "index").value_or(0), out);
  } else if (type == "message_start") {
    message_start(body, out);
  } else if (type == "message_delta") {
    message_delta(body, out);
  } else if (type == "message_stop") {
    parts_.close_all(out);
    out.emplace_back(StreamEnd{});
    done_ = true;
  } else if (type == "error" || member_of(body, "error") != nullptr) {
    fault(read_fault(0, body), out);
  }
}

std::vector<StreamEvent> MessageDecoder::feed(std::string_view event, std::string_view data) {
  Events out;
  if (done_ || data.empty() || data == "[DONE]") return out;
  const auto body = core::try_parse_json(data);
  if (!body || !body->is_object()) {
    fault(unreadable_fault(), out);
    return out;
  }
  // Some compatible endpoints send no event line; the type is in the data too.
  const auto type = text_of(*body, "type");
  dispatch(type.empty() ? event : std::string_view(type), *body, out);
  return out;
}

std::vector<StreamEvent> MessageDecoder::finish() {
  Events out;
  if (!done_) fault(truncated_fault(), out);
  return out;
}

}  // namespace

std::unique_ptr<StreamDecoder> stream_decoder() {
  return std::make_unique<MessageDecoder>();
}

}  // namespace assistiv::inference::anthropic
