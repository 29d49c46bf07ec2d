#include "agents/wire/message_chunks.h"

#include <utility>

#include "core/encoding.h"
#include "core/json_read.h"

namespace assistiv::agents {

namespace {

using core::Json;

std::string content_text(const Json& message) {
  const auto content = message.value("content", Json());
  if (content.is_string()) return content.get<std::string>();
  std::string out;
  if (!content.is_array()) return out;
  for (const auto& block : content) {
    if (block.is_object() && block.value("type", Json()) == "text" && block.value("text", Json()).is_string())
      out += block["text"].get_ref<const std::string&>();
  }
  return out;
}

std::size_t args_bytes(const Json& piece) {
  std::size_t out = 0;
  for (const auto& chunk : piece.value("tool_call_chunks", Json::array())) {
    if (chunk.is_object() && chunk.value("args", Json()).is_string())
      out += chunk["args"].get_ref<const std::string&>().size();
  }
  return out;
}

Json chunks_of(const Json& tool_calls) {
  auto out = Json::array();
  for (const auto& call : tool_calls) {
    out.push_back({{"index", out.size()},
                   {"id", call.value("id", Json())},
                   {"name", call.value("name", Json())},
                   {"args", core::dump_json(call.value("args", Json::object()))},
                   {"type", "tool_call_chunk"}});
  }
  return out;
}

// Chunks of one call have one index; their arguments are one text.
void append_chunks(Json& so_far, const Json& chunks) {
  for (const auto& chunk : chunks) {
    if (!chunk.is_object()) continue;
    Json* same = nullptr;
    for (auto& known : so_far)
      if (known.value("index", Json()) == chunk.value("index", Json())) same = &known;
    if (same == nullptr) {
      so_far.push_back(chunk);
      continue;
    }
    if (chunk.value("args", Json()).is_string())
      (*same)["args"] = same->value("args", std::string()) + chunk["args"].get<std::string>();
  }
}

}  // namespace

bool is_message(const Json& value) {
  if (!value.is_object() || message_id(value).empty()) return false;
  const auto type = value.value("type", Json());
  if (!type.is_string()) return false;
  for (const char* known : {"ai", "human", "system", "tool", "remove", "AIMessageChunk"})
    if (type == known) return true;
  return false;
}

bool written_by_hand(const Json& value) {
  if (!is_message(value) || value["type"] == "tool") return false;
  return value.value("usage_metadata", Json()).empty() && value.value("response_metadata", Json()).empty() &&
         value.value("tool_calls", Json()).empty();
}

std::string message_id(const Json& message) {
  if (!message.is_object()) return {};
  const auto found = message.find("id");
  return found != message.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string message_hash(const std::string& id) {
  return core::sha256_hex(id).substr(0, 8);
}

void count_piece(ToldMessage& told, const Json& piece) {
  told.content += content_text(piece).size();
  told.args += args_bytes(piece);
  told.tools = told.tools || !piece.value("tool_call_chunks", Json::array()).empty();
  told.usage = told.usage || piece.contains("usage_metadata");
  told.pieces += 1;
}

Json rest_of(const Json& whole, const ToldMessage& told) {
  const auto text = content_text(whole);
  Json out = {{"type", "AIMessageChunk"}, {"id", message_id(whole)}, {"content", ""}};
  bool any = false;
  if (told.content < text.size()) {
    out["content"] = text.substr(told.content);
    any = true;
  }
  const auto calls = whole.value("tool_calls", Json::array());
  if (!told.tools && calls.is_array() && !calls.empty()) {
    out["tool_call_chunks"] = chunks_of(calls);
    any = true;
  }
  if (!told.usage && whole.value("usage_metadata", Json()).is_object()) {
    out["usage_metadata"] = whole["usage_metadata"];
    any = true;
  }
  return any ? out : Json();
}

bool append_piece(Json& so_far, const Json& piece, const Json& place) {
  if (so_far.is_null()) {
    so_far = {{"type", "ai"},
              {"id", message_id(piece)},
              {"content", ""},
              {"tool_calls", Json::array()},
              {"tool_call_chunks", Json::array()}};
  }
  auto text = so_far["content"].get<std::string>();
  if (place.value("content", 0U) != text.size() || place.value("args", 0U) != args_bytes(so_far))
    return false;
  so_far["content"] = text + content_text(piece);
  append_chunks(so_far["tool_call_chunks"], piece.value("tool_call_chunks", Json::array()));
  return true;
}

}  // namespace assistiv::agents
