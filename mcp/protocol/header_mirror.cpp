#include "mcp/protocol/header_mirror.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/encoding.h"

namespace assistiv::mcp {

namespace {

constexpr std::string_view kEncodedPrefix = "=?base64?";
constexpr std::string_view kEncodedSuffix = "?=";
constexpr std::string_view kParamPrefix = "mcp-param-";

Fault header_fault(std::string message) {
  return {kHeaderMismatch, "Header mismatch: " + std::move(message), 400, {}};
}

// The member of the params that Mcp-Name repeats, for the methods that have one.
std::string_view mirrored_name(std::string_view method) {
  if (method == "tools/call" || method == "prompts/get") return "name";
  if (method == "resources/read") return "uri";
  if (method == "tasks/get" || method == "tasks/update" || method == "tasks/cancel") return "taskId";
  return {};
}

std::optional<Fault> check_name(const RequestHead& head, std::string_view member, const core::Json* params) {
  if (params == nullptr) return {};
  const auto value = params->find(member);
  if (value == params->end() || !value->is_string()) return {};  // the method itself will say so
  if (!head.name) return header_fault("Mcp-Name is missing.");
  const auto decoded = decode_header_value(*head.name);
  if (!decoded) return header_fault("Mcp-Name is not well encoded.");
  if (*decoded != value->get_ref<const std::string&>()) {
    return header_fault("Mcp-Name differs from params." + std::string(member) + ".");
  }
  return {};
}

const core::Json* at_path(const core::Json& arguments, const std::vector<std::string>& path) {
  const core::Json* at = &arguments;
  for (const auto& name : path) {
    if (!at->is_object()) return nullptr;
    const auto it = at->find(name);
    if (it == at->end()) return nullptr;
    at = &*it;
  }
  return at->is_null() ? nullptr : at;
}

bool same_number(std::string_view text, const core::Json& value) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(number) &&
         number == value.get<double>();
}

bool mirrors(const std::string& text, const core::Json& value) {
  if (value.is_string()) return text == value.get_ref<const std::string&>();
  if (value.is_boolean()) return text == (value.get<bool>() ? "true" : "false");
  if (value.is_number()) return same_number(text, value);
  return true;  // not a primitive: the schema check of the tool refuses it
}

std::optional<std::string_view> param_header(const core::HttpHeaders& headers, const std::string& name) {
  for (const auto& [key, value] : headers.fields()) {
    if (key.size() != kParamPrefix.size() + name.size()) continue;
    const std::string_view text = key;
    if (core::equals_ignore_case(text.substr(0, kParamPrefix.size()), kParamPrefix) &&
        core::equals_ignore_case(text.substr(kParamPrefix.size()), name)) {
      return value;
    }
  }
  return {};
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::optional<std::string> decode_header_value(std::string_view value) {
  const bool plain = std::all_of(value.begin(), value.end(),
                                 [](unsigned char c) { return (c >= 0x20 && c <= 0x7e) || c == '\t'; });
  if (!plain) return {};
  const bool encoded = value.size() >= kEncodedPrefix.size() + kEncodedSuffix.size() &&
                       value.starts_with(kEncodedPrefix) && value.ends_with(kEncodedSuffix);
  if (!encoded) return std::string(value);
  value.remove_prefix(kEncodedPrefix.size());
  value.remove_suffix(kEncodedSuffix.size());
  auto decoded = core::base64_decode(value);
  if (!decoded || !core::is_valid_utf8(*decoded)) return {};
  return decoded;
}

std::optional<Fault> check_standard_headers(const RequestHead& head, std::string_view version,
                                            std::string_view method, const core::Json* params) {
  if (!head.ambiguous.empty()) return header_fault(std::string(head.ambiguous) + " occurs twice.");
  if (!head.protocol_version) return header_fault("MCP-Protocol-Version is missing.");
  if (*head.protocol_version != version) {
    return header_fault("MCP-Protocol-Version differs from the version in params._meta.");
  }
  if (!head.method) return header_fault("Mcp-Method is missing.");
  if (*head.method != method) return header_fault("Mcp-Method differs from the method of the body.");
  const auto member = mirrored_name(method);
  return member.empty() ? std::nullopt : check_name(head, member, params);
}

std::optional<Fault> check_mirrored_arguments(const core::HttpHeaders& headers,
                                              const std::vector<MirroredArgument>& mirrored,
                                              const core::Json& arguments) {
  for (const auto& argument : mirrored) {
    const std::string name = "Mcp-Param-" + argument.header;
    const core::Json* value = at_path(arguments, argument.path);
    const auto header = param_header(headers, argument.header);
    if (value == nullptr) {
      if (header) return header_fault(name + " has no argument in the body.");
      continue;
    }
    if (!header) return header_fault(name + " is missing.");
    const auto decoded = decode_header_value(trimmed(*header));
    if (!decoded) return header_fault(name + " is not well encoded.");
    if (!mirrors(*decoded, *value)) return header_fault(name + " differs from the argument in the body.");
  }
  return {};
}

}  // namespace assistiv::mcp
