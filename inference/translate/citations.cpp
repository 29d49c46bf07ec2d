#include "inference/translate/citations.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "inference/translate/fields.h"

namespace assistiv::inference {

namespace {

constexpr std::size_t kLeftOutMax = 20;

bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

bool has_media(const Message& message) {
  return std::any_of(message.parts.begin(), message.parts.end(),
                     [](const Part& part) { return std::holds_alternative<MediaPart>(part); });
}

bool has_citations(const Message& message) {
  return std::any_of(message.parts.begin(), message.parts.end(), [](const Part& part) {
    const auto* text = std::get_if<TextPart>(&part);
    return text != nullptr && !text->citations.empty();
  });
}

}  // namespace

std::int64_t characters(std::string_view utf8) {
  return std::count_if(utf8.begin(), utf8.end(), begins_character);
}

std::size_t byte_of_character(std::string_view utf8, std::int64_t character) {
  std::size_t at = 0;
  for (; at < utf8.size(); ++at) {
    if (begins_character(utf8[at]) && character-- <= 0) break;
  }
  return at;
}

bool read_url_citation(const core::Json& value, Citation& into) {
  into.url = text_of(value, "url");
  into.title = text_of(value, "title");
  into.start = count_of(value, "start_index").value_or(0);
  into.end = count_of(value, "end_index").value_or(0);
  return !into.url.empty();
}

core::Json url_citation(const Citation& citation, std::int64_t before, std::int64_t length) {
  const bool whole = citation.end == 0;
  return {{"url", citation.url},
          {"title", citation.title},
          {"start_index", before + (whole ? 0 : citation.start)},
          {"end_index", before + (whole ? length : citation.end)}};
}

std::vector<std::string> left_out_for(DialectId client, const Reply& reply) {
  std::vector<std::string> out;
  const auto add = [&](const std::string& name) {
    auto full = "reply." + name;
    if (out.size() < kLeftOutMax && std::find(out.begin(), out.end(), full) == out.end())
      out.push_back(std::move(full));
  };
  for (const auto& name : reply.left_out) add(name);
  const bool claude = client == DialectId::Anthropic;
  const bool one_choice = claude || client == DialectId::OpenAiResponses;
  if (one_choice && reply.choices.size() > 1) add("choices");
  for (const auto& choice : reply.choices) {
    if (!claude && !choice.stop_sequence.empty()) add("stop_sequence");
    if (!claude) continue;
    if (!choice.logprobs.is_null()) add("logprobs");
    if (has_media(choice.message)) add("media");
    // Its citations carry a token that only its own search can make and that it wants back.
    if (has_citations(choice.message)) add("citations");
  }
  return out;
}

}  // namespace assistiv::inference
