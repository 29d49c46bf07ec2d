#pragma once
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/ids.h"
#include "core/task.h"
#include "oauth/principal.h"

namespace assistiv::mcp {

struct ConnectLink {
  std::string url;  // one use, opened by the end user in a browser
  core::Time expires_at;
};

// Where an end user goes to connect an app. The connect flow of oauth/connect is behind it.
class ConnectLinks {
 public:
  virtual ~ConnectLinks() = default;
  // The link of the end user that `who` is. Calls that follow each other give the same one while it is good
  // and unused. With `repair` it renews that connection, and another account is refused.
  virtual core::Task<ConnectLink> create(oauth::PrincipalPtr who, std::string app, std::string request_id,
                                         std::optional<core::ConnectionId> repair = {}) = 0;
};

}  // namespace assistiv::mcp
