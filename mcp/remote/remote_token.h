#pragma once
// An end user's access token at a remote server: into the request, or why not.
#include <optional>
#include <string>

#include "mcp/connectors/failure.h"
#include "mcp/connectors/token_source.h"
#include "mcp/remote/remote_client.h"

namespace assistiv::mcp {

// Nothing when the token is there. `title` is the server's.
std::optional<Failure> token_fault(const std::string& title, const AccessToken& token);
// RFC 6750 section 2.1.
void set_bearer(RemoteTarget& target, const AccessToken& token);

}  // namespace assistiv::mcp
