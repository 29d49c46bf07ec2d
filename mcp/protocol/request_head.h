#pragma once
// The headers of a request that the protocol looks at, found in one pass, and the checks that come before the
// body.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/http.h"
#include "mcp/protocol/fault.h"

namespace assistiv::mcp {

// Views into the request, which must stay where it is.
struct RequestHead {
  std::optional<std::string_view> host, origin, accept, content_type;
  std::optional<std::string_view> session_id, protocol_version,
      last_event_id;                             // legacy; the second in both eras
  std::optional<std::string_view> method, name;  // Mcp-Method, Mcp-Name
  std::optional<std::string_view> tools, toolsets, readonly, max_result_tokens;  // selection.h
  // A header of the protocol that came more than once with different values: proxies and we could read
  // different ones.
  std::string_view ambiguous;
};

RequestHead read_head(const core::HttpHeaders& headers);

// Which answers the client takes. Lenient: a missing Accept and */* take both, parameters and q values are
// ignored but for q=0 (many clients send less than the specification asks).
struct Accepts {
  bool json = false;
  bool events = false;
};
Accepts read_accept(std::optional<std::string_view> accept);

bool is_json_content(std::optional<std::string_view> content_type);

// DNS rebinding guard (specification, "Security & Endpoint"): whom the endpoint answers at all.
class HostGuard {
 public:
  // As in EndpointOptions. "*" among the hosts allows every Host.
  HostGuard(std::vector<std::string> hosts, std::vector<std::string> origins);
  // 403 with a message that names the setting, or nothing.
  std::optional<Fault> check(const RequestHead& head) const;

 private:
  bool host_allowed(std::string_view host) const;
  bool origin_allowed(std::string_view origin) const;
  std::vector<std::string> hosts_, origins_;
  bool any_host_;
};

}  // namespace assistiv::mcp
