#pragma once
// Where the executor gets an end user's access token from. api/ plugs the token service of oauth/connect in;
// tests fake it.
#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "core/ids.h"
#include "core/secret.h"
#include "core/task.h"

namespace assistiv::mcp {

// Which credential. The tenant is always part of it.
struct CredentialRef {
  core::PlatformId platform_id;
  core::EndUserId end_user_id;
  core::ConnectionId connection_id;
  std::string slot;  // "main", or "user", "bot" where an app has several
};

enum class TokenOutcome {
  Ready,
  NeedsReauth,  // the grant is gone: the end user must connect again
  Absent,       // there is no such connection, or it has no such slot
  RetryLater,   // it cannot be refreshed right now
};

struct AccessToken {
  TokenOutcome outcome = TokenOutcome::NeedsReauth;
  core::Secret value;
  std::int64_t version = 0;                 // of the stored credential, for after_401
  std::map<std::string, std::string> vars;  // of the connection: subdomain, data centre, organization
  std::chrono::seconds retry_after{0};
};

class TokenSource {
 public:
  virtual ~TokenSource() = default;
  // A token that is valid now.
  virtual core::Task<AccessToken> token(CredentialRef credential) = 0;
  // The upstream refused `version` with 401: refreshes once, or gives the newer token that somebody else got.
  virtual core::Task<AccessToken> after_401(CredentialRef credential, std::int64_t version) = 0;
  // It refused `version`, which after_401() gave, too: the grant is gone, and the next call should say so
  // without asking the upstream.
  virtual core::Task<> rejected(CredentialRef credential, std::int64_t version) = 0;
};

}  // namespace assistiv::mcp
