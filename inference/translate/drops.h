#pragma once
// What an encoder could not carry, and what becomes of the request then.
#include <cstdint>
#include <optional>
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
  Drops(DialectId client, Unsupported mode) : client_(client), mode_(mode) {}
  // The target has no form for it. `pointer` is into the client's body. Strict: throws Error{InvalidArgument}
  // with the pointer as field.
  void add(std::string_view pointer);
  // The same for a member of Request, by its name on chat completions ("top_p", "stop/4"): told in the
  // client's own words.
  void option(std::string_view name);
  // How the summary of the model's thoughts is to be: only Responses has words for it.
  void summary_style(const Reasoning& reasoning);
  // Of no use to the target by its nature (another provider's thinking): listed, never refused.
  void note(std::string_view pointer);
  Unsupported mode() const { return mode_; }
  std::vector<std::string> take();

 private:
  DialectId client_;
  Unsupported mode_;
  std::vector<std::string> names_;
  std::size_t more_ = 0;
};

// "/messages/3/name" as "messages[3].name".
std::string field_name(std::string_view pointer);

// Where the part stands in the client's body, as far as the canonical form still tells.
std::string part_pointer(DialectId client, const Message& message, std::size_t index);
// Where the client put the provider's signature of a tool call, and how closely it wants an image looked at.
std::string signature_pointer(DialectId client, const Message& message, std::size_t index);
std::string detail_pointer(DialectId client, const std::string& part);

// More than one choice and log probabilities do not come through a stream that is told in another dialect:
// what may be asked of a provider that speaks `target`. What may not is dropped.
struct ChoiceOptions {
  std::optional<std::int64_t> n;
  std::optional<bool> logprobs;
  std::optional<std::int64_t> top_logprobs;
};
ChoiceOptions choice_options(const Request& request, DialectId target, Drops& drops);

// The last step of every encode_request. Extras of `self` go back to where they were in the client's body
// (when what held them is still there); extras of another dialect are dropped by name. A tool that the
// provider of another dialect would run itself, and thus cannot be replaced by a client tool, is an
// Error{InvalidArgument} that names it.
void restore_extras(core::Json& body, const Request& request, DialectId self, Drops& drops);

}  // namespace assistiv::inference
