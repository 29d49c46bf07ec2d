#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "inference/gemini/grounding.h"
#include "inference/gemini/parts.h"
#include "inference/translate/faults.h"
#include "inference/translate/fields.h"

namespace assistiv::inference::gemini {

namespace {

using core::Json;
using Events = std::vector<StreamEvent>;

// Each event is a whole GenerateContentResponse with the next pieces; usage is cumulative, and no event says
// that it is the last: the proof of completion is a finishReason before the end of the body (rule 5.9).
class Decoder final : public StreamDecoder {
 public:
  Events feed(std::string_view, std::string_view data) override {
    Events out;
    if (failed_ || data == "[DONE]") return out;
    auto chunk = core::try_parse_json(data);
    if (!chunk || !chunk->is_object()) {
      fail(out, chunk && chunk->is_array() ? read_fault(0, *chunk) : unreadable_fault());
      return out;
    }
    if (member_of(*chunk, "error") != nullptr) {
      fail(out, read_fault(0, *chunk));
      return out;
    }
    start(out, *chunk);
    if (const Json* usage = member_of(*chunk, "usageMetadata")) out.push_back(UsageEvent{read_usage(*usage)});
    const auto candidate = chunk->find("candidates");
    if (candidate != chunk->end() && candidate->is_array() && !candidate->empty()) {
      read_candidate(out, candidate->front());
    } else if (const Json* feedback = member_of(*chunk, "promptFeedback")) {
      const auto reason = text_of(*feedback, "blockReason");
      if (!reason.empty()) end_turn(out, Finish::ContentFilter, reason);
    }
    return out;
  }

  Events finish() override {
    Events out;
    if (failed_ || ended_) return out;
    ended_ = true;
    close(out);
    if (finished_) {
      out.push_back(StreamEnd{});
    } else {
      fail(out, truncated_fault());
    }
    return out;
  }

 private:
  enum class Open { None, Text, Thought };

  void start(Events& out, const Json& chunk) {
    if (started_) return;
    started_ = true;
    StreamStart event;
    event.id = text_of(chunk, "responseId");
    event.model = text_of(chunk, "modelVersion");
    ids_ = CallIds(event.id.empty() ? core::dump_json(chunk).substr(0, 24) : event.id);
    out.push_back(std::move(event));
  }

  void read_candidate(Events& out, Json& candidate) {
    citing_ = &candidate;
    if (candidate.is_object() && candidate.contains("content")) {
      const Json* parts = member_of(candidate["content"], "parts");
      if (parts != nullptr && parts->is_array())
        for (const auto& part : *parts) read(out, part);
    }
    cite(out);
    citing_ = nullptr;
    const auto word = text_of(candidate, "finishReason");
    if (!word.empty()) read_finish(out, word);
  }

  void read(Events& out, const Json& part) {
    auto read = read_part(part, ids_);
    if (!read) {
      auto code = code_text(part);
      if (!code.empty()) say(out, Open::Text, std::move(code));
      return;
    }
    if (auto* text = std::get_if<TextPart>(&*read)) {
      say(out, Open::Text, std::move(text->text));
      if (auto signature = signature_after(part)) whole(out, std::move(*signature));
    } else if (auto* thinking = std::get_if<ThinkingPart>(&*read)) {
      say(out, Open::Thought, std::move(thinking->text));
      if (thinking->signature.empty()) return;
      if (open_ != Open::Thought) {
        whole(out, std::move(*thinking));
      } else {
        out.push_back(SignatureDelta{index_, std::move(thinking->signature)});
      }
    } else if (auto* call = std::get_if<ToolCallPart>(&*read)) {
      called_ = true;
      std::string arguments = std::move(call->arguments);
      call->arguments.clear();
      close(out);
      out.push_back(PartStart{index_, std::move(*read)});
      out.push_back(ArgumentsDelta{index_, std::move(arguments)});
      out.push_back(PartEnd{index_++});
    } else {
      whole(out, std::move(*read));
    }
  }

  // Sources come with the last chunk of the text that they are about.
  void cite(Events& out) {
    if (citing_ == nullptr || open_ != Open::Text) return;
    for (auto& citation : read_citations(*citing_, said_, 0))
      out.push_back(CitationEvent{index_, std::move(citation)});
    citing_ = nullptr;
  }

  void say(Events& out, Open kind, std::string text) {
    if (text.empty()) return;
    if (open_ != kind) {
      close(out);
      open_ = kind;
      ThinkingPart thought;
      thought.signed_by = DialectId::Gemini;
      out.push_back(PartStart{index_, kind == Open::Text ? Part(TextPart{}) : Part(std::move(thought))});
    }
    if (kind == Open::Text) said_ += text;
    out.push_back(TextDelta{index_, std::move(text)});
  }

  void whole(Events& out, Part part) {
    close(out);
    out.push_back(PartStart{index_, std::move(part)});
    out.push_back(PartEnd{index_++});
  }

  void close(Events& out) {
    if (open_ == Open::None) return;
    cite(out);
    open_ = Open::None;
    said_.clear();
    out.push_back(PartEnd{index_++});
  }

  void read_finish(Events& out, const std::string& word) {
    const auto finish = finish_of(word, called_);
    if (finish != Finish::Error) {
      end_turn(out, finish, finish == Finish::ContentFilter ? word : std::string());
    } else if (index_ > 0 || open_ != Open::None) {
      end_turn(out, called_ ? Finish::ToolCalls : Finish::Stop, word);
    } else {
      // Nothing was said yet, so that another attempt is possible.
      Fault fault;
      fault.kind = Fault::Kind::Upstream;
      fault.code = word;
      fault.message = "The model ended without an answer (" + word.substr(0, 64) + ").";
      fail(out, std::move(fault));
    }
  }

  void end_turn(Events& out, Finish finish, std::string reason) {
    close(out);
    if (finished_) return;
    finished_ = true;
    FinishEvent event;
    event.finish = finish;
    event.refusal_reason = std::move(reason);
    out.push_back(std::move(event));
  }

  void fail(Events& out, Fault fault) {
    close(out);
    failed_ = true;
    out.push_back(FaultEvent{std::move(fault)});
  }

  CallIds ids_{""};
  const Json* citing_ = nullptr;  // the candidate that is being read, until it was asked for its sources
  std::string said_;              // the text that is open: Google counts in its bytes
  Open open_ = Open::None;
  int index_ = 0;
  bool started_ = false;
  bool called_ = false;
  bool finished_ = false;
  bool ended_ = false;
  bool failed_ = false;
};

}  // namespace

std::unique_ptr<StreamDecoder> stream_decoder() {
  return std::make_unique<Decoder>();
}

}  // namespace assistiv::inference::gemini
