// A chat provider's stream: chunks into parts.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json_read.h"
#include "inference/openai_chat/chat.h"
#include "inference/translate/citations.h"
#include "inference/translate/content.h"
#include "inference/translate/faults.h"
#include "inference/translate/fields.h"
#include "inference/translate/part_tracker.h"

namespace assistiv::inference::openai_chat {

namespace {

constexpr std::size_t kCallsMax = 1024;

// A tool call that is being written. Its part begins when the name is known.
struct Call {
  std::int64_t wire_index = 0;
  std::string id;
  std::string name;
  std::string early;  // arguments that came before the name
  std::string signature;
  int part = -1;
  bool closed = false;
  ArgumentsScanner scanner;
};

class ChunkDecoder final : public StreamDecoder {
 public:
  std::vector<StreamEvent> feed(std::string_view event, std::string_view data) override;
  std::vector<StreamEvent> finish() override;

 private:
  enum class Text { None, Answer, Refusal, Thinking };
  using Events = std::vector<StreamEvent>;

  void chunk(const core::Json& body, Events& out);
  void delta(const core::Json& delta, Events& out);
  void text(Text kind, const core::Json* value, Events& out);
  void details(const core::Json& delta, Events& out);
  void annotations(const core::Json& delta, Events& out);
  void images(const core::Json& delta, Events& out);
  void tool_calls(const core::Json& calls, Events& out);
  void tool_call(const core::Json& value, std::size_t position, Events& out);
  Call* find_call(std::int64_t wire_index, const std::string& id);
  void begin_call(Call& call, Events& out);
  void close_text(Events& out);
  void close_complete_calls(Events& out);
  void end_parts(Events& out);
  void fault(Fault fault, Events& out);
  void end(Events& out);

  bool started_ = false;
  bool finished_ = false;  // a finish reason came
  bool done_ = false;
  PartTracker parts_;
  Text text_ = Text::None;
  int text_part_ = -1;
  std::int64_t said_ = 0;    // characters of the answer so far
  std::int64_t before_ = 0;  // those before the part that is open
  std::vector<Call> calls_;
};

void ChunkDecoder::close_text(Events& out) {
  if (text_ != Text::None) parts_.close(text_part_, out);
  text_ = Text::None;
}

// A call whose arguments are whole will get no more; one that has none yet may.
void ChunkDecoder::close_complete_calls(Events& out) {
  for (auto& call : calls_) {
    if (call.closed || call.part < 0 || !call.scanner.complete()) continue;
    parts_.close(call.part, out);
    call.closed = true;
  }
}

void ChunkDecoder::text(Text kind, const core::Json* value, Events& out) {
  if (value == nullptr || !value->is_string()) return;
  const auto& piece = value->get_ref<const std::string&>();
  if (piece.empty()) return;
  if (text_ != kind) {
    close_text(out);
    close_complete_calls(out);
    Part part = TextPart();
    if (kind == Text::Refusal) part = RefusalPart();
    if (kind == Text::Thinking) {
      ThinkingPart thinking;
      thinking.signed_by = DialectId::OpenAiChat;
      part = std::move(thinking);
    }
    text_part_ = parts_.open(std::move(part), out);
    text_ = kind;
    before_ = said_;
  }
  if (kind == Text::Answer) said_ += characters(piece);
  out.emplace_back(TextDelta{text_part_, piece});
}

// Signed blocks of a server that is a gateway itself. The text of a block is in reasoning_content too.
void ChunkDecoder::details(const core::Json& delta, Events& out) {
  if (!delta.contains("reasoning_details")) return;
  for (auto& part : read_reasoning_details(delta)) {
    if (part.signature.empty() && part.redacted.empty()) continue;
    if (text_ == Text::Thinking) close_text(out);
    part.text.clear();
    const int index = parts_.open(std::move(part), out);
    parts_.close(index, out);
  }
}

// OpenAI counts in the whole answer.
void ChunkDecoder::annotations(const core::Json& delta, Events& out) {
  const auto* list = member_of(delta, "annotations");
  if (list == nullptr || !list->is_array() || text_ != Text::Answer) return;
  for (const auto& entry : *list) {
    Citation citation;
    const auto* cited = member_of(entry, "url_citation");
    if (cited == nullptr || !read_url_citation(*cited, citation)) continue;
    citation.start = std::max<std::int64_t>(0, citation.start - before_);
    citation.end = std::max<std::int64_t>(0, citation.end - before_);
    out.emplace_back(CitationEvent{text_part_, std::move(citation)});
  }
}

void ChunkDecoder::images(const core::Json& delta, Events& out) {
  for (auto& part : read_reply_images(delta)) {
    close_text(out);
    parts_.close(parts_.open(std::move(part), out), out);
  }
}

Call* ChunkDecoder::find_call(std::int64_t wire_index, const std::string& id) {
  // Some servers number every call 0: then a new id is a new call.
  for (auto it = calls_.rbegin(); it != calls_.rend(); ++it) {
    if (it->wire_index != wire_index) continue;
    return id.empty() || it->id.empty() || it->id == id ? &*it : nullptr;
  }
  return nullptr;
}

void ChunkDecoder::begin_call(Call& call, Events& out) {
  close_text(out);
  close_complete_calls(out);
  ToolCallPart part;
  if (call.id.empty()) call.id = "call_" + std::to_string(parts_.count());
  part.id = call.id;
  part.name = call.name;
  part.signature = call.signature;
  call.part = parts_.open(std::move(part), out);
  if (!call.early.empty()) out.emplace_back(ArgumentsDelta{call.part, std::exchange(call.early, {})});
}

void ChunkDecoder::tool_call(const core::Json& value, std::size_t position, Events& out) {
  const auto id = text_of(value, "id");
  const auto given = count_of(value, "index");
  const std::int64_t wire_index = given ? *given : static_cast<std::int64_t>(position);
  Call* call = find_call(wire_index, id);
  if (call == nullptr) {
    if (calls_.size() >= kCallsMax) return fault(unreadable_fault(), out);
    call = &calls_.emplace_back();
    call->wire_index = wire_index;
  }
  if (call->id.empty()) call->id = id;
  if (auto signature = signature_of_call(value); !signature.empty()) {
    if (call->part >= 0) out.emplace_back(SignatureDelta{call->part, signature});
    call->signature = std::move(signature);
  }
  const auto* function = member_of(value, "function");
  if (function == nullptr) return;
  if (call->name.empty()) call->name = text_of(*function, "name");
  if (call->part < 0 && !call->name.empty()) begin_call(*call, out);
  const auto* arguments = member_of(*function, "arguments");
  if (arguments == nullptr || call->closed) return;
  std::string piece = arguments->is_string() ? arguments->get<std::string>() : arguments->dump();
  if (piece.empty()) return;
  call->scanner.feed(piece);
  if (call->part < 0) {
    call->early += piece;
  } else {
    out.emplace_back(ArgumentsDelta{call->part, std::move(piece)});
  }
}

void ChunkDecoder::tool_calls(const core::Json& calls, Events& out) {
  if (!calls.is_array()) return;
  for (std::size_t i = 0; i < calls.size() && !done_; ++i) tool_call(calls[i], i, out);
}

void ChunkDecoder::delta(const core::Json& delta, Events& out) {
  const auto* thought = member_of(delta, "reasoning_content");
  text(Text::Thinking, thought != nullptr ? thought : member_of(delta, "reasoning"), out);
  details(delta, out);
  text(Text::Answer, member_of(delta, "content"), out);
  annotations(delta, out);
  images(delta, out);
  text(Text::Refusal, member_of(delta, "refusal"), out);
  if (const auto* calls = member_of(delta, "tool_calls")) tool_calls(*calls, out);
  if (const auto* call = member_of(delta, "function_call")) {
    tool_call({{"index", 0}, {"function", *call}}, 0, out);
  }
}

void ChunkDecoder::end_parts(Events& out) {
  for (auto& call : calls_) call.closed = true;
  text_ = Text::None;
  parts_.close_all(out);
}

void ChunkDecoder::fault(Fault fault, Events& out) {
  end_parts(out);
  out.emplace_back(FaultEvent{std::move(fault)});
  done_ = true;
}

void ChunkDecoder::end(Events& out) {
  end_parts(out);
  if (!finished_) out.emplace_back(FinishEvent{finish_of("", !calls_.empty()), {}, {}});
  out.emplace_back(StreamEnd{});
  done_ = true;
}

void ChunkDecoder::chunk(const core::Json& body, Events& out) {
  if (member_of(body, "error") != nullptr) return fault(read_fault(0, body), out);
  if (!started_) {
    started_ = true;
    out.emplace_back(
        StreamStart{text_of(body, "id"), text_of(body, "model"), count_of(body, "created").value_or(0), {}});
  }
  const auto* choices = member_of(body, "choices");
  if (choices != nullptr && choices->is_array()) {
    for (const auto& choice : *choices) {
      if (count_of(choice, "index").value_or(0) != 0) continue;
      if (const auto* value = member_of(choice, "delta")) delta(*value, out);
      if (done_) return;
      const auto word = text_of(choice, "finish_reason");
      if (word.empty() || finished_) continue;
      finished_ = true;
      end_parts(out);
      out.emplace_back(FinishEvent{finish_of(word, !calls_.empty()), {}, {}});
    }
  }
  const auto usage = decode_usage(body);
  if (usage != core::Usage()) out.emplace_back(UsageEvent{usage});
}

std::vector<StreamEvent> ChunkDecoder::feed(std::string_view event, std::string_view data) {
  Events out;
  if (done_) return out;
  while (!data.empty() && data.back() == ' ') data.remove_suffix(1);
  if (data == "[DONE]") {
    end(out);
    return out;
  }
  if (data.empty()) return out;
  const auto body = core::try_parse_json(data);
  if (!body || !body->is_object()) {
    fault(unreadable_fault(), out);
  } else if (event == "error" && member_of(*body, "error") == nullptr) {
    fault(read_fault(0, *body), out);
  } else {
    chunk(*body, out);
  }
  return out;
}

std::vector<StreamEvent> ChunkDecoder::finish() {
  Events out;
  if (done_) return out;
  if (finished_) {
    end(out);
  } else {
    fault(truncated_fault(), out);
  }
  return out;
}

}  // namespace

std::unique_ptr<StreamDecoder> stream_decoder() {
  return std::make_unique<ChunkDecoder>();
}

}  // namespace assistiv::inference::openai_chat
