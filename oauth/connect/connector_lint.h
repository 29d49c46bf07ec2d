#pragma once
#include <string_view>

namespace assistiv::oauth {

struct ConnectorSpec;

// What the members of a connector must be to each other. Throws Error{InvalidArgument} with the JSON pointer
// into the manifest as field.
void lint(const ConnectorSpec& spec);

// Whether a manifest may name this request header: a token (RFC 9110 section 5.6.2) that neither frames the
// message nor says to which site it goes. `Host` would lead past "hosts" wherever many sites share an
// address.
bool is_manifest_header(std::string_view name);

}  // namespace assistiv::oauth
