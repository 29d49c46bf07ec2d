#pragma once
// Who is calling. Made by the Authenticator from a credential (and for the consent page from the end user's
// session) and by nothing else; never from an argument.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"

namespace assistiv::oauth {

// Also the kind of an API key: each kind of key makes one kind of principal.
enum class PrincipalKind { Operator, Platform, EndUser };

// "operator", "platform", "end_user": as on the REST API, in the audit trail and in the database.
std::string_view to_string(PrincipalKind kind);

// Immutable and shared between requests.
struct Principal {
  PrincipalKind kind;
  core::KeyId key_id;                          // of an access token: its authorization's id
  core::PlatformId platform_id;                // zero for an operator
  std::optional<core::EndUserId> end_user_id;  // set for an end user
  std::vector<std::string> scopes;
  std::optional<core::Time> expires_at;
  // The rest is set for an access token (oauth/authorize) and empty for an API key.
  std::string audience = {};   // the one URL that it is good for
  std::string client_id = {};  // who uses it for the end user
  std::optional<core::KeyId> via_key =
      {};                       // the key that its end user signed in with: its rules bind this, too
  std::string tools_json = {};  // what the end user allowed: {app: policy}, "*" for every other app
  bool has_scope(std::string_view scope) const;
};

using PrincipalPtr = std::shared_ptr<const Principal>;

}  // namespace assistiv::oauth
