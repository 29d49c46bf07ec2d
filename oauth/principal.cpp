#include "oauth/principal.h"

#include <algorithm>

namespace assistiv::oauth {

std::string_view to_string(PrincipalKind kind) {
  switch (kind) {
    case PrincipalKind::Operator:
      return "operator";
    case PrincipalKind::Platform:
      return "platform";
    case PrincipalKind::EndUser:
      break;
  }
  return "end_user";
}

bool Principal::has_scope(std::string_view scope) const {
  return std::find(scopes.begin(), scopes.end(), scope) != scopes.end();
}

}  // namespace assistiv::oauth
