#include "inference/gemini/grounding.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "inference/translate/citations.h"
#include "inference/translate/fields.h"

namespace assistiv::inference::gemini {

namespace {

using core::Json;

constexpr std::size_t kCitationsMax = 1000;

const Json* list_of(const Json& object, std::string_view name) {
  const Json* list = member_of(object, name);
  return list != nullptr && list->is_array() ? list : nullptr;
}

// Bytes [start, end) of the text as characters.
void set_range(Citation& citation, const Json& segment, std::string_view text) {
  const auto byte = [&](std::string_view name) {
    return std::min(static_cast<std::size_t>(count_of(segment, name).value_or(0)), text.size());
  };
  const auto start = byte("startIndex");
  const auto end = std::max(byte("endIndex"), start);
  citation.start = characters(text.substr(0, start));
  citation.end = citation.start + characters(text.substr(start, end - start));
}

// A chunk is {"web": {...}}, {"retrievedContext": {...}} or {"maps": {...}}.
Citation source_of(const Json& chunk) {
  Citation out;
  for (const std::string_view kind : {"web", "retrievedContext", "maps"}) {
    const Json* source = member_of(chunk, kind);
    if (source == nullptr) continue;
    out.url = text_of(*source, "uri");
    out.title = text_of(*source, "title");
  }
  return out;
}

void read_supports(const Json& supports, const std::vector<Citation>& sources, std::string_view text,
                   std::size_t index, std::vector<Citation>& out) {
  for (const auto& support : supports) {
    const Json* segment = member_of(support, "segment");
    const Json* chunks = list_of(support, "groundingChunkIndices");
    if (segment == nullptr || chunks == nullptr) continue;
    if (count_of(*segment, "partIndex").value_or(0) != static_cast<std::int64_t>(index)) continue;
    for (const auto& number : *chunks) {
      if (!number.is_number_unsigned() || number.get<std::size_t>() >= sources.size()) continue;
      auto citation = sources[number.get<std::size_t>()];
      set_range(citation, *segment, text);
      if (!citation.url.empty() && out.size() < kCitationsMax) out.push_back(std::move(citation));
    }
  }
}

void read_grounding(const Json& metadata, std::string_view text, std::size_t index,
                    std::vector<Citation>& out) {
  const Json* chunks = list_of(metadata, "groundingChunks");
  if (chunks == nullptr) return;
  std::vector<Citation> sources;
  for (const auto& chunk : *chunks) {
    if (sources.size() < kCitationsMax) sources.push_back(source_of(chunk));
  }
  const Json* supports = list_of(metadata, "groundingSupports");
  if (supports != nullptr && !supports->empty()) return read_supports(*supports, sources, text, index, out);
  if (index > 0) return;
  for (auto& source : sources) {
    if (!source.url.empty()) out.push_back(std::move(source));
  }
}

}  // namespace

std::vector<Citation> read_citations(const Json& candidate, std::string_view text, std::size_t index) {
  std::vector<Citation> out;
  if (const Json* metadata = member_of(candidate, "groundingMetadata"))
    read_grounding(*metadata, text, index, out);
  const Json* recited = member_of(candidate, "citationMetadata");
  if (recited == nullptr || index > 0) return out;
  const Json* sources = list_of(*recited, "citationSources");
  if (sources == nullptr) sources = list_of(*recited, "citations");
  if (sources == nullptr) return out;
  for (const auto& source : *sources) {
    Citation citation{text_of(source, "uri"), text_of(source, "title")};
    set_range(citation, source, text);
    if (!citation.url.empty() && out.size() < kCitationsMax) out.push_back(std::move(citation));
  }
  return out;
}

std::vector<std::string> unread_members(const Json& candidate) {
  std::vector<std::string> out;
  if (member_of(candidate, "urlContextMetadata") != nullptr) out.emplace_back("urlContextMetadata");
  const Json* metadata = member_of(candidate, "groundingMetadata");
  if (metadata == nullptr || !metadata->is_object()) return out;
  for (const auto& [name, value] : metadata->items()) {
    if (name != "groundingChunks" && name != "groundingSupports") out.push_back("groundingMetadata." + name);
  }
  return out;
}

void Grounding::add(const Citation& citation, std::string_view text, std::size_t part) {
  if (supports_.size() >= kCitationsMax) return;
  auto known = std::find(urls_.begin(), urls_.end(), citation.url);
  const auto source = static_cast<std::size_t>(known - urls_.begin());
  if (known == urls_.end()) {
    urls_.push_back(citation.url);
    sources_.push_back({{"web", {{"uri", citation.url}, {"title", citation.title}}}});
  }
  const bool whole = citation.end == 0;
  const auto start = whole ? 0 : byte_of_character(text, citation.start);
  const auto end = whole ? text.size() : std::max(byte_of_character(text, citation.end), start);
  Json segment = {{"startIndex", start}, {"endIndex", end}, {"text", text.substr(start, end - start)}};
  if (part > 0) segment["partIndex"] = part;
  supports_.push_back({{"segment", std::move(segment)}, {"groundingChunkIndices", Json::array({source})}});
}

Json Grounding::take() {
  return {{"groundingChunks", std::move(sources_)}, {"groundingSupports", std::move(supports_)}};
}

}  // namespace assistiv::inference::gemini
