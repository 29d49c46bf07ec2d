#include "mcp/protocol/jsonrpc.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kIdMax = 1024;
constexpr std::size_t kMethodMax = 256;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Past the string that begins at `at`. The text is known to be valid JSON.
std::size_t skip_string(std::string_view json, std::size_t at) {
  for (++at; json[at] != '"'; ++at) {
    if (json[at] == '\\') ++at;
  }
  return at + 1;
}

// The source text of the member "id" of the outermost object, in valid JSON. Numbers are echoed as they came:
// 1.0 and 1e3 would not survive a parse.
std::string_view raw_id(std::string_view json) {
  int depth = 0;
  for (std::size_t at = 0; at < json.size();) {
    const char c = json[at];
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (c != '"') {
      ++at;
      continue;
    }
    const std::size_t end = skip_string(json, at);
    const bool is_id = depth == 1 && json.substr(at, end - at) == "\"id\"";
    at = end;
    if (!is_id) continue;
    while (at < json.size() && is_space(json[at])) ++at;
    if (at == json.size() || json[at] != ':') continue;
    ++at;
    while (is_space(json[at])) ++at;
    const std::size_t stop = json.find_first_of(",} \t\r\n", at);
    return json.substr(at, stop - at);
  }
  return {};
}

std::optional<Fault> read_id(const core::Json& object, std::string_view source, std::string& id) {
  const auto it = object.find("id");
  if (it == object.end()) return {};
  if (it->is_string()) {
    if (it->get_ref<const std::string&>().size() > kIdMax) {
      return Fault{kInvalidRequest, "The id is longer than 1024 bytes.", 400, {}};
    }
    id = core::dump_json(*it);
    return {};
  }
  if (!it->is_number()) return Fault{kInvalidRequest, "The id must be a string or a number.", 400, {}};
  if (it->is_number_float()) {
    const std::string_view raw = raw_id(source);
    id = raw.empty() || raw.size() > kIdMax ? core::dump_json(*it) : std::string(raw);
  } else {
    id = core::dump_json(*it);
  }
  return {};
}

std::optional<Fault> read_call(core::Json& object, Message& message) {
  const auto& method = object.at("method");
  if (!method.is_string() || method.get_ref<const std::string&>().empty() ||
      method.get_ref<const std::string&>().size() > kMethodMax) {
    return Fault{kInvalidRequest, "The method must be a string of 1 to 256 bytes.", 400, {}};
  }
  message.method = method.get<std::string>();
  message.kind = object.contains("id") ? MessageKind::Request : MessageKind::Notification;
  const auto params = object.find("params");
  if (params == object.end() || params->is_null()) return {};
  if (!params->is_object()) return Fault{kInvalidParams, "The params must be an object.", 400, {}};
  message.params = std::make_shared<core::Json>(std::move(*params));
  return {};
}

ParsedMessage parse_message(core::Json&& object, std::string_view source) {
  ParsedMessage out;
  if (!object.is_object()) {
    out.fault = Fault{kInvalidRequest, "A JSON-RPC message must be an object.", 400, {}};
    return out;
  }
  const bool is_call = object.contains("method");
  const bool is_response = !is_call && (object.contains("result") || object.contains("error"));
  // An error response may have a null id: the sender could not read ours.
  if (!(is_response && object.contains("id") && object.at("id").is_null())) {
    out.fault = read_id(object, source, out.message.id);
  }
  if (out.fault) return out;
  const auto version = object.find("jsonrpc");
  if (version == object.end() || *version != "2.0") {
    out.fault = Fault{kInvalidRequest, "The member \"jsonrpc\" must be \"2.0\".", 400, {}};
  } else if (is_call) {
    out.fault = read_call(object, out.message);
  } else if (is_response) {
    out.message.kind = MessageKind::Response;
    out.message.params = std::make_shared<core::Json>(std::move(object));
  } else {
    out.fault = Fault{kInvalidRequest, "A JSON-RPC message needs a method, a result or an error.", 400, {}};
  }
  return out;
}

ParsedBody single_fault(Fault fault) {
  ParsedBody out;
  out.messages.emplace_back().fault = std::move(fault);
  return out;
}

ParsedBody parse_batch(core::Json&& array) {
  if (array.empty()) return single_fault({kInvalidRequest, "A batch must not be empty.", 400, {}});
  if (array.size() > kBatchMax) {
    return single_fault({kInvalidRequest, "A batch has at most 64 messages.", 400, {}});
  }
  ParsedBody out;
  out.batch = true;
  out.messages.reserve(array.size());
  for (auto& item : array) out.messages.push_back(parse_message(std::move(item), {}));
  return out;
}

}  // namespace

ParsedBody parse_body(std::string_view body) {
  core::Json json;
  try {
    json = core::parse_json(body, kJsonDepthMax);
  } catch (const core::Error& e) {
    return single_fault({kParseError, e.message(), 400, {}});
  }
  if (json.is_array()) return parse_batch(std::move(json));
  ParsedBody out;
  out.messages.push_back(parse_message(std::move(json), body));
  return out;
}

std::string json_string(std::string_view text) {
  return core::dump_json(core::Json(text));
}

std::string write_result(std::string_view id, std::string_view members) {
  std::string out;
  out.reserve(id.size() + members.size() + 40);
  out.append(R"({"jsonrpc":"2.0","id":)").append(id).append(R"(,"result":{)").append(members).append("}}");
  return out;
}

std::string write_error(std::string_view id, const Fault& fault) {
  std::string out = R"({"jsonrpc":"2.0",)";
  if (!id.empty()) out.append(R"("id":)").append(id).append(",");
  out.append(R"("error":{"code":)").append(std::to_string(fault.code));
  out.append(R"(,"message":)").append(json_string(fault.message));
  if (!fault.data_json.empty()) out.append(R"(,"data":)").append(fault.data_json);
  out.append("}}");
  return out;
}

std::string write_notification(std::string_view method, std::string_view params_json) {
  std::string out = R"({"jsonrpc":"2.0","method":")";
  out.append(method).append("\"");
  if (!params_json.empty()) out.append(R"(,"params":)").append(params_json);
  out.push_back('}');
  return out;
}

std::string write_request(std::string_view id, std::string_view method, std::string_view params_json) {
  std::string out = R"({"jsonrpc":"2.0","id":)";
  out.append(id).append(R"(,"method":")").append(method).append("\"");
  if (!params_json.empty()) out.append(R"(,"params":)").append(params_json);
  out.push_back('}');
  return out;
}

std::string_view object_members(std::string_view object_json) {
  while (!object_json.empty() && is_space(object_json.front())) object_json.remove_prefix(1);
  while (!object_json.empty() && is_space(object_json.back())) object_json.remove_suffix(1);
  if (object_json.size() < 2 || object_json.front() != '{' || object_json.back() != '}') return {};
  object_json = object_json.substr(1, object_json.size() - 2);
  while (!object_json.empty() && is_space(object_json.front())) object_json.remove_prefix(1);
  while (!object_json.empty() && is_space(object_json.back())) object_json.remove_suffix(1);
  return object_json;
}

}  // namespace assistiv::mcp
