#pragma once
// Reference resolution of RFC 3986 section 5.2, for the identifiers inside a JSON Schema document. Nothing is
// fetched.
#include <string>
#include <string_view>

namespace assistiv::mcp {

struct UriReference {
  std::string absolute;  // without the fragment
  std::string fragment;  // without "#", still percent-encoded
};

// `base` is an absolute URI without a fragment.
UriReference resolve_uri(std::string_view base, std::string_view reference);

}  // namespace assistiv::mcp
