#pragma once
// What an end user allowed the client behind an access token: a policy per app. Pure.
#include <map>
#include <string>
#include <string_view>

#include "core/json.h"
#include "mcp/grants/policy.h"

namespace assistiv::mcp {

using PoliciesByApp = std::map<std::string, Policy, std::less<>>;

// Apps that are not named have the policy of "*", or else nothing is allowed for them.
class Consents {
 public:
  explicit Consents(PoliciesByApp by_app);
  // A reference into this object.
  const Policy& of(std::string_view app) const;

 private:
  PoliciesByApp by_app_;
  Policy others_;
};

// Reads {app: policy}, which our own consent page made; a fault is Internal.
Consents stored_consents(std::string_view json);

}  // namespace assistiv::mcp
