#include "mcp/remote/remote_token.h"

namespace assistiv::mcp {

std::optional<Failure> token_fault(const std::string& title, const AccessToken& token) {
  if (token.outcome == TokenOutcome::Ready) return {};
  Failure out;
  if (token.outcome == TokenOutcome::RetryLater) {
    out.code = FailureCode::Upstream;
    out.message = "The sign-in of " + title + " cannot be renewed right now. Try again later.";
    out.retry_after = token.retry_after;
    return out;
  }
  out.code = FailureCode::ReauthRequired;
  out.message = "The connection to " + title + " has ended: the user must connect again.";
  return out;
}

void set_bearer(RemoteTarget& target, const AccessToken& token) {
  target.header_name = "Authorization";
  target.header_value = core::Secret("Bearer " + token.value.reveal());
}

}  // namespace assistiv::mcp
