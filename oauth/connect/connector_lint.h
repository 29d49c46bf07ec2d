#pragma once

namespace assistiv::oauth {

struct ConnectorSpec;

// What the members of a connector must be to each other. Throws Error{InvalidArgument} with the JSON pointer
// into the manifest as field.
void lint(const ConnectorSpec& spec);

}  // namespace assistiv::oauth
