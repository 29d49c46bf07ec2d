#include <map>
#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "inference/openai_responses/items.h"
#include "inference/translate/citations.h"
#include "inference/translate/content.h"
#include "inference/translate/faults.h"
#include "inference/translate/fields.h"

namespace assistiv::inference::responses {

namespace {

using core::Json;
using Events = std::vector<StreamEvent>;

// A response may have this many parts; more is no answer of a model.
constexpr std::size_t kPartsMax = 10'000;

class Decoder final : public StreamDecoder {
 public:
  Events feed(std::string_view name, std::string_view data) override {
    Events out;
    if (over_ || data == "[DONE]") return out;
    auto event = core::try_parse_json(data);
    if (!event || !event->is_object()) {
      fail(out, unreadable_fault());
      return out;
    }
    auto type = text_of(*event, "type");
    if (type.empty()) type = name;
    if (type == "error" || (type.empty() && event->contains("error"))) {
      const Json* error = member_of(*event, "error");
      fail(out, read_error(error == nullptr ? *event : *error));
    } else if (type == "response.output_text.delta" || type == "response.refusal.delta") {
      on_text(out, *event, type == "response.refusal.delta");
    } else if (type == "response.function_call_arguments.delta") {
      on_arguments(out, *event, "delta");
    } else {
      on_other(out, type, *event);
    }
    return out;
  }

  Events finish() override {
    Events out;
    if (!over_) fail(out, truncated_fault());
    return out;
  }

 private:
  struct Open {
    int index = 0;
    bool said = false;  // a delta came, so the done event repeats
    bool thought = false;
    std::int64_t summary = 0;
    bool ended = false;
  };
  using Key = std::pair<std::int64_t, std::int64_t>;  // output index, content index
  static constexpr std::int64_t kWholeItem = -1;

  static std::int64_t index_in(const Json& event, std::string_view name) {
    return count_of(event, name).value_or(0);
  }
  static Key text_key(const Json& event) {
    return {index_in(event, "output_index"), index_in(event, "content_index")};
  }
  static Key item_key(const Json& event) { return {index_in(event, "output_index"), kWholeItem}; }

  static std::string take_text(Json& event, const char* name) {
    const auto it = event.find(name);
    return it != event.end() && it->is_string() ? std::move(it->get_ref<std::string&>()) : std::string();
  }

  void on_other(Events& out, const std::string& type, Json& event) {
    if (type == "response.created" || type == "response.in_progress" || type == "response.queued") {
      start(out, member_of(event, "response"));
    } else if (type == "response.output_item.added") {
      if (const Json* item = member_of(event, "item")) begin_item(out, *item, item_key(event));
    } else if (type == "response.output_text.done" || type == "response.refusal.done") {
      end_text(out, event, type == "response.refusal.done");
    } else if (type == "response.output_text.annotation.added") {
      on_annotation(out, event);
    } else if (type == "response.function_call_arguments.done") {
      const auto it = open_.find(item_key(event));
      if (it != open_.end() && !it->second.said) on_arguments(out, event, "arguments");
    } else if (type == "response.reasoning_summary_text.delta" || type == "response.reasoning_text.delta") {
      on_thought(out, event);
    } else if (type == "response.output_item.done") {
      if (const Json* item = member_of(event, "item")) end_item(out, *item, item_key(event));
    } else if (type == "response.completed" || type == "response.incomplete" || type == "response.failed") {
      if (const Json* response = member_of(event, "response")) end(out, *response, type);
    }
  }

  void start(Events& out, const Json* response) {
    if (started_) return;
    started_ = true;
    StreamStart event;
    if (response != nullptr) {
      event.id = text_of(*response, "id");
      event.model = text_of(*response, "model");
      event.created = count_of(*response, "created_at").value_or(0);
    }
    out.push_back(std::move(event));
  }

  Open* open(Events& out, Key key, Part part) {
    start(out, nullptr);
    const auto known = open_.find(key);
    if (known != open_.end()) return known->second.ended ? nullptr : &known->second;
    if (open_.size() >= kPartsMax) return nullptr;
    auto& made = open_[key];
    made.index = next_++;
    made.thought = std::holds_alternative<ThinkingPart>(part);
    out.push_back(PartStart{made.index, std::move(part)});
    return &made;
  }

  static Part text_part(bool refusal) { return refusal ? Part(RefusalPart{}) : Part(TextPart{}); }

  void on_text(Events& out, Json& event, bool refusal) {
    auto text = take_text(event, "delta");
    Open* part = open(out, text_key(event), text_part(refusal));
    if (part == nullptr || text.empty()) return;
    part->said = true;
    out.push_back(TextDelta{part->index, std::move(text)});
  }

  void on_annotation(Events& out, const Json& event) {
    const auto it = open_.find(text_key(event));
    const Json* annotation = member_of(event, "annotation");
    Citation citation;
    if (it == open_.end() || it->second.ended || annotation == nullptr) return;
    if (text_of(*annotation, "type") == "url_citation" && read_url_citation(*annotation, citation))
      out.push_back(CitationEvent{it->second.index, std::move(citation)});
  }

  void end_text(Events& out, Json& event, bool refusal) {
    auto text = take_text(event, refusal ? "refusal" : "text");
    Open* part = open(out, text_key(event), text_part(refusal));
    if (part == nullptr) return;
    if (!part->said && !text.empty()) out.push_back(TextDelta{part->index, std::move(text)});
    end_part(out, *part);
  }

  void begin_item(Events& out, const Json& item, Key key) {
    const auto type = text_of(item, "type");
    if (type == "function_call") {
      called_ = true;
      ToolCallPart call;
      call.id = text_of(item, "call_id");
      call.name = text_of(item, "name");
      open(out, key, std::move(call));
    } else if (type == "reasoning") {
      ThinkingPart thinking;
      thinking.signed_by = DialectId::OpenAiResponses;
      thinking.id = text_of(item, "id");
      open(out, key, std::move(thinking));
    }
  }

  void on_arguments(Events& out, Json& event, const char* name) {
    const auto it = open_.find(item_key(event));
    if (it == open_.end() || it->second.ended || it->second.thought) return;
    auto json = take_text(event, name);
    if (json.empty()) return;
    it->second.said = true;
    out.push_back(ArgumentsDelta{it->second.index, std::move(json)});
  }

  void on_thought(Events& out, Json& event) {
    ThinkingPart fresh;
    fresh.signed_by = DialectId::OpenAiResponses;
    fresh.id = text_of(event, "item_id");
    Open* part = open(out, item_key(event), std::move(fresh));
    if (part == nullptr) return;
    auto text = take_text(event, "delta");
    const auto summary = index_in(event, "summary_index");
    if (part->said && summary != part->summary) text = "\n\n" + text;
    part->summary = summary;
    part->said = part->said || !text.empty();
    if (!text.empty()) out.push_back(TextDelta{part->index, std::move(text)});
  }

  void end_image(Events& out, const Json& item, Key key) {
    MediaPart image;
    image.media_type = "image/png";
    image.data = text_of(item, "result");
    Open* part = image.data.empty() ? nullptr : open(out, key, std::move(image));
    if (part != nullptr) end_part(out, *part);
  }

  void end_item(Events& out, const Json& item, Key key) {
    if (text_of(item, "type") == "image_generation_call") return end_image(out, item, key);
    begin_item(out, item, key);
    const auto it = open_.find(key);
    if (it == open_.end() || it->second.ended) return;
    auto& part = it->second;
    if (part.thought) {
      auto thinking = read_reasoning(item);
      if (!part.said && !thinking.text.empty())
        out.push_back(TextDelta{part.index, std::move(thinking.text)});
      auto& proof = thinking.redacted.empty() ? thinking.signature : thinking.redacted;
      if (!proof.empty()) out.push_back(SignatureDelta{part.index, std::move(proof)});
    } else if (!part.said) {
      auto arguments = text_of(item, "arguments");
      if (!arguments.empty()) out.push_back(ArgumentsDelta{part.index, std::move(arguments)});
    }
    end_part(out, part);
  }

  static void end_part(Events& out, Open& part) {
    part.ended = true;
    out.push_back(PartEnd{part.index});
  }

  void end_parts(Events& out) {
    for (auto& [key, part] : open_)
      if (!part.ended) end_part(out, part);
  }

  void end(Events& out, const Json& response, const std::string& type) {
    start(out, &response);
    if (const Json* usage = member_of(response, "usage"))
      out.push_back(UsageEvent{read_openai_usage(*usage)});
    if (type == "response.failed") {
      const Json* error = member_of(response, "error");
      fail(out, read_error(error == nullptr ? Json::object() : *error));
      return;
    }
    end_parts(out);
    over_ = true;
    FinishEvent event;
    event.finish = read_finish(response, called_);
    if (type == "response.incomplete" && event.finish != Finish::ContentFilter) event.finish = Finish::Length;
    out.push_back(std::move(event));
    out.push_back(StreamEnd{});
  }

  void fail(Events& out, Fault fault) {
    end_parts(out);
    over_ = true;
    out.push_back(FaultEvent{std::move(fault)});
  }

  std::map<Key, Open> open_;
  int next_ = 0;
  bool started_ = false;
  bool called_ = false;
  bool over_ = false;
};

}  // namespace

std::unique_ptr<StreamDecoder> stream_decoder() {
  return std::make_unique<Decoder>();
}

}  // namespace assistiv::inference::responses
