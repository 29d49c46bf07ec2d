#include <nlohmann/json.hpp>

#include "core/error.h"
#include "inference/openai_responses/items.h"
#include "inference/translate/citations.h"
#include "inference/translate/content.h"
#include "inference/translate/fields.h"

namespace assistiv::inference::responses {

namespace {

using core::Json;

void read_annotations(TextPart& text, const Json& part, Reply& reply) {
  const Json* list = member_of(part, "annotations");
  if (list == nullptr || !list->is_array()) return;
  for (const auto& entry : *list) {
    Citation citation;
    if (text_of(entry, "type") == "url_citation" && read_url_citation(entry, citation)) {
      text.citations.push_back(std::move(citation));
    } else {
      reply.left_out.emplace_back("annotations");
    }
  }
}

void read_message(Reply& reply, Choice& choice, const Json& item) {
  const Json* content = member_of(item, "content");
  if (content == nullptr || !content->is_array()) return;
  for (const auto& part : *content) {
    const auto type = text_of(part, "type");
    if (type == "output_text") {
      TextPart text{text_of(part, "text"), {}};
      read_annotations(text, part, reply);
      choice.message.parts.push_back(std::move(text));
      const Json* logprobs = member_of(part, "logprobs");
      if (logprobs != nullptr && logprobs->is_array() && !logprobs->empty())
        choice.logprobs = {{"content", *logprobs}, {"refusal", nullptr}};
    } else if (type == "refusal") {
      choice.message.parts.push_back(RefusalPart{text_of(part, "refusal")});
    }
  }
}

// Of tools that the provider ran itself the text says what came of them; their items are left out.
void read_item(Reply& reply, Choice& choice, const Json& item, bool& called) {
  const auto type = text_of(item, "type");
  if (type == "message") {
    read_message(reply, choice, item);
  } else if (type == "function_call") {
    called = true;
    ToolCallPart call;
    call.id = text_of(item, "call_id");
    call.name = text_of(item, "name");
    call.arguments = text_of(item, "arguments");
    choice.message.parts.push_back(std::move(call));
  } else if (type == "reasoning") {
    choice.message.parts.push_back(read_reasoning(item));
  } else if (type == "image_generation_call") {
    MediaPart image;
    image.media_type = "image/png";
    image.data = text_of(item, "result");
    if (!image.data.empty()) choice.message.parts.push_back(std::move(image));
  } else {
    reply.left_out.push_back("output." + type.substr(0, 64));
  }
}

}  // namespace

Reply decode_reply(const Json& body) {
  const Json* output = member_of(body, "output");
  const Json* error = member_of(body, "error");
  if (error != nullptr) throw core::Error(core::ErrorKind::UpstreamFailed, read_error(*error).message);
  if (output == nullptr || !output->is_array())
    throw core::Error(core::ErrorKind::UpstreamFailed,
                      "The provider's reply is none of the Responses API's.");
  if (text_of(body, "status") == "failed")
    throw core::Error(core::ErrorKind::UpstreamFailed, "The provider's reply has failed.");
  Reply out;
  out.id = text_of(body, "id");
  out.model = text_of(body, "model");
  out.created = count_of(body, "created_at").value_or(0);
  if (const Json* usage = member_of(body, "usage")) out.usage = read_openai_usage(*usage);
  Choice choice;
  choice.message.role = Role::Assistant;
  bool called = false;
  for (const auto& item : *output) read_item(out, choice, item, called);
  choice.finish = read_finish(body, called);
  out.choices.push_back(std::move(choice));
  return out;
}

}  // namespace assistiv::inference::responses
