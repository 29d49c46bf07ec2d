#pragma once
// What an encoder could not carry, and what becomes of the request then.
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "inference/canonical.h"
#include "inference/dialect.h"

namespace assistiv::inference {

// Collects the names for EncodedRequest::dropped.
class Drops {
 public:
  explicit Drops(Unsupported mode) : mode_(mode) {}
  // The target has no form for it. Strict: throws Error{InvalidArgument} with the pointer as field.
  void add(std::string_view pointer);
  // Of no use to the target by its nature (another provider's thinking): listed, never refused.
  void note(std::string_view pointer);
  Unsupported mode() const { return mode_; }
  std::vector<std::string> take();

 private:
  Unsupported mode_;
  std::vector<std::string> names_;
  std::size_t more_ = 0;
};

// "/messages/3/name" as "messages[3].name".
std::string field_name(std::string_view pointer);

// The last step of every encode_request. Extras of `self` go back to where they were in the client's body
// (when what held them is still there); extras of another dialect are dropped by name. A tool that the
// provider of another dialect would run itself, and thus cannot be replaced by a client tool, is an
// Error{InvalidArgument} that names it.
void restore_extras(core::Json& body, const Request& request, DialectId self, Drops& drops);

}  // namespace assistiv::inference
