#include "mcp/remote/remote_result.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "core/http.h"
#include "core/json_read.h"
#include "mcp/connectors/clean_text.h"
#include "mcp/connectors/result.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr std::size_t kRemoteUriMax = 2048;
constexpr std::string_view kScriptSchemes[] = {"javascript", "data", "vbscript"};
constexpr std::size_t kNameMax = 200;  // characters
constexpr int kDepthMax = 40;

// At most `bytes`, ending with a whole character.
std::string cut_text(std::string text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  text.resize(bytes);
  return text;
}

std::string member(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it == object.end() || !it->is_string() ? std::string() : it->get<std::string>();
}

bool is_base64(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '=';
  });
}

bool is_media_type(const std::string& text) {
  return text.size() <= 100 && text.find('/') != std::string::npos &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '"'; });
}

// Text that a client may show and open: none of the schemes that run what they hold.
bool is_shown_uri(const std::string& uri) {
  if (uri.empty() || uri.size() > kRemoteUriMax || clean_text(uri) != uri) return false;
  const auto scheme = uri.substr(0, uri.find(':'));
  return std::none_of(std::begin(kScriptSchemes), std::end(kScriptSchemes),
                      [&](std::string_view taken) { return core::equals_ignore_case(scheme, taken); });
}

Json cleaned(const Json& value, int depth_left) {
  if (value.is_string()) return clean_text(value.get_ref<const std::string&>());
  if (depth_left == 0) return value.is_structured() ? Json() : value;
  if (value.is_array()) {
    Json out = Json::array();
    for (const auto& item : value) out.push_back(cleaned(item, depth_left - 1));
    return out;
  }
  if (!value.is_object()) return value;
  Json out = Json::object();
  for (const auto& [name, item] : value.items()) out[clean_text(name)] = cleaned(item, depth_left - 1);
  return out;
}

class ContentReader {
 public:
  explicit ContentReader(const RemoteResultLimits& limits)
      : limits_(limits), text_left_(limits.text_bytes_max), media_left_(limits.media_bytes_max) {}

  Json read(const Json& blocks) {
    Json out = Json::array();
    for (const auto& block : blocks) {
      if (out.size() == limits_.blocks_max) {
        cut_ = true;
        break;
      }
      auto shaped = block.is_object() ? read_block(block) : std::nullopt;
      if (shaped) {
        out.push_back(std::move(*shaped));
      } else {
        cut_ = true;
      }
    }
    if (cut_) {
      out.push_back({{"type", "text"},
                     {"text",
                      "[Part of this result was left out: it was too large, or of a kind that this "
                      "server does not pass on. Ask for less.]"}});
    }
    return out;
  }

 private:
  std::optional<Json> read_block(const Json& block) {
    const std::string type = member(block, "type");
    if (type == "text") return Json{{"type", "text"}, {"text", take_text(member(block, "text"))}};
    if (type == "image" || type == "audio") return read_media(block, type);
    if (type == "resource_link") return read_link(block);
    if (type == "resource") return read_resource(block);
    return {};
  }

  std::string take_text(const std::string& text) {
    std::string out = clean_text(text);
    if (out.size() > text_left_) {
      out = cut_text(std::move(out), text_left_);
      cut_ = true;
    }
    text_left_ -= out.size();
    return out;
  }

  bool take_media(const std::string& data) {
    if (data.size() > media_left_ || !is_base64(data)) return false;
    media_left_ -= data.size();
    return true;
  }

  std::optional<Json> read_media(const Json& block, const std::string& type) {
    std::string data = member(block, "data");
    std::string kind = member(block, "mimeType");
    if (!is_media_type(kind) || !take_media(data)) return {};
    return Json{{"type", type}, {"data", std::move(data)}, {"mimeType", std::move(kind)}};
  }

  std::optional<Json> read_link(const Json& block) {
    const std::string uri = member(block, "uri");
    if (!is_shown_uri(uri)) return {};
    Json out = {{"type", "resource_link"}, {"uri", uri}};
    for (const char* name : {"name", "title", "description"}) {
      const std::string text = clip_text(clean_text(member(block, name)), kNameMax);
      if (!text.empty()) out[name] = take_text(text);
    }
    if (!out.contains("name")) out["name"] = uri;
    if (const std::string kind = member(block, "mimeType"); is_media_type(kind)) out["mimeType"] = kind;
    return out;
  }

  std::optional<Json> read_resource(const Json& block) {
    const auto it = block.find("resource");
    if (it == block.end() || !it->is_object()) return {};
    const std::string uri = member(*it, "uri");
    if (!is_shown_uri(uri)) return {};
    Json resource = {{"uri", uri}};
    if (const std::string kind = member(*it, "mimeType"); is_media_type(kind)) resource["mimeType"] = kind;
    if (it->contains("text")) {
      resource["text"] = take_text(member(*it, "text"));
    } else {
      std::string blob = member(*it, "blob");
      if (!take_media(blob)) return {};
      resource["blob"] = std::move(blob);
    }
    return Json{{"type", "resource"}, {"resource", std::move(resource)}};
  }

  const RemoteResultLimits& limits_;
  std::size_t text_left_, media_left_;
  bool cut_ = false;
};

ToolExecution upstream_fault(std::string message) {
  Failure failure;
  failure.message = std::move(message);
  return failed(failure);
}

}  // namespace

ToolExecution shape_remote_result(const std::string& title, const Json& result, const JsonSchema* output,
                                  const RemoteResultLimits& limits) {
  const auto error = result.find("isError");
  const bool is_error = error != result.end() && *error == true;
  const auto blocks = result.find("content");
  Json out = Json::object();
  out["content"] =
      ContentReader(limits).read(blocks != result.end() && blocks->is_array() ? *blocks : Json::array());
  out["isError"] = is_error;
  const auto structured = result.find("structuredContent");
  if (!is_error && structured != result.end() && structured->is_object()) {
    Json value = cleaned(*structured, kDepthMax);
    const bool fits = core::dump_json(value).size() <= limits.text_bytes_max;
    if (output != nullptr && !fits)
      return upstream_fault("The result of " + title + " is too large. Ask for less.");
    if (output != nullptr && !output->check(value).empty())
      return upstream_fault("The result of " + title + " is not of the form that it declares.");
    if (fits) out["structuredContent"] = std::move(value);
  } else if (!is_error && output != nullptr) {
    return upstream_fault("The result of " + title + " lacks the structured content that it declares.");
  }
  // Clients that read only text would get nothing.
  if (out["content"].empty() && out.contains("structuredContent"))
    out["content"].push_back({{"type", "text"}, {"text", core::dump_json(out["structuredContent"])}});
  ToolExecution execution;
  execution.outcome = is_error ? ExecutionOutcome::ToolError : ExecutionOutcome::Done;
  execution.code = is_error ? "upstream" : "";
  execution.result_json = core::dump_json(out);
  execution.upstream_status = 200;
  return execution;
}

}  // namespace assistiv::mcp
