#pragma once
#include <string>

#include "core/clock.h"
#include "core/ids.h"
#include "core/task.h"

namespace assistiv::mcp {

struct ConnectLink {
  std::string url;  // one use, opened by the end user in a browser
  core::Time expires_at;
};

// Where an end user goes to connect an app. The connect flow of oauth/connect is behind it.
class ConnectLinks {
 public:
  virtual ~ConnectLinks() = default;
  virtual core::Task<ConnectLink> create(core::PlatformId platform, core::EndUserId end_user,
                                         std::string app) = 0;
};

}  // namespace assistiv::mcp
