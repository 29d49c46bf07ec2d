#include "mcp/protocol/request_head.h"

#include <algorithm>
#include <array>
#include <utility>

namespace assistiv::mcp {

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

struct HeaderSlot {
  std::string_view name;
  std::optional<std::string_view> RequestHead::*slot;
};

constexpr std::array<HeaderSlot, 13> kHeaderSlots = {{
    {"host", &RequestHead::host},
    {"origin", &RequestHead::origin},
    {"accept", &RequestHead::accept},
    {"content-type", &RequestHead::content_type},
    {"mcp-session-id", &RequestHead::session_id},
    {"mcp-protocol-version", &RequestHead::protocol_version},
    {"last-event-id", &RequestHead::last_event_id},
    {"mcp-method", &RequestHead::method},
    {"mcp-name", &RequestHead::name},
    {"x-mcp-tools", &RequestHead::tools},
    {"x-mcp-toolsets", &RequestHead::toolsets},
    {"x-mcp-readonly", &RequestHead::readonly},
    {"x-mcp-max-result-tokens", &RequestHead::max_result_tokens},
}};

// The host without its port, brackets of IPv6 kept.
std::string_view host_name(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

bool is_loopback(std::string_view host) {
  const auto name = host_name(host);
  const auto rest = host.substr(name.size());
  if (!rest.empty() &&
      (rest.size() < 2 || rest.find_first_not_of("0123456789", 1) != std::string_view::npos)) {
    return false;
  }
  return name == "localhost" || name == "127.0.0.1" || name == "[::1]";
}

}  // namespace

RequestHead read_head(const core::HttpHeaders& headers) {
  RequestHead head;
  for (const auto& [name, value] : headers.fields()) {
    for (const auto& slot : kHeaderSlots) {
      if (slot.name.size() != name.size() || !core::equals_ignore_case(slot.name, name)) continue;
      auto& target = head.*slot.slot;
      const auto text = trim(value);
      if (!target) {
        target = text;
      } else if (slot.slot != &RequestHead::accept && *target != text) {
        head.ambiguous = slot.name;
      }
      break;
    }
  }
  return head;
}

Accepts read_accept(std::optional<std::string_view> accept) {
  if (!accept || accept->empty()) return {true, true};
  Accepts out;
  std::string_view rest = *accept;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    const std::string item = lower(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    const auto type = trim(std::string_view(item).substr(0, item.find(';')));
    if (item.find("q=0") != std::string::npos && item.find("q=0.") == std::string::npos) continue;
    out.json |= type == "*/*" || type == "application/*" || type == "application/json";
    out.events |= type == "*/*" || type == "text/*" || type == "text/event-stream";
  }
  return out;
}

bool is_json_content(std::optional<std::string_view> content_type) {
  if (!content_type) return false;
  return core::equals_ignore_case(trim(content_type->substr(0, content_type->find(';'))), "application/json");
}

HostGuard::HostGuard(std::vector<std::string> hosts, std::vector<std::string> origins)
    : hosts_(std::move(hosts)), origins_(std::move(origins)) {
  any_host_ = std::find(hosts_.begin(), hosts_.end(), "*") != hosts_.end();
}

bool HostGuard::host_allowed(std::string_view host) const {
  if (any_host_) return true;
  const std::string text = lower(host);
  if (is_loopback(text)) return true;
  const auto name = host_name(text);
  return std::any_of(hosts_.begin(), hosts_.end(),
                     [&](const std::string& allowed) { return allowed == text || allowed == name; });
}

bool HostGuard::origin_allowed(std::string_view origin) const {
  const std::string text = lower(origin);
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (text.starts_with(scheme) && is_loopback(std::string_view(text).substr(scheme.size()))) return true;
  }
  return std::find(origins_.begin(), origins_.end(), text) != origins_.end();
}

std::optional<Fault> HostGuard::check(const RequestHead& head) const {
  if (head.origin && !origin_allowed(*head.origin)) {
    return Fault{
        kTransportRefused, "This Origin is not allowed. Add it to the server's allowed origins.", 403, {}};
  }
  if (!head.host || !host_allowed(*head.host)) {
    return Fault{kTransportRefused,
                 "This Host is not allowed. Set the server's public URL to the address in use.",
                 403,
                 {}};
  }
  return {};
}

}  // namespace assistiv::mcp
