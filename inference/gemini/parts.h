#pragma once
// What the files of this dialect share: names of enum values, ids, usage, parts in both directions.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/usage.h"
#include "inference/canonical.h"
#include "inference/dialect.h"

namespace assistiv::inference::gemini {

// Google's escape for a replayed call whose signature is lost (rule G5).
inline constexpr std::string_view kSkipSignature = "skip_thought_signature_validator";

Request decode_request(const core::Json& body);
EncodedRequest encode_request(const Request& request, const EncodeOptions& options);
Reply decode_reply(const core::Json& body);
core::Json encode_reply(const Reply& reply, const ReplyContext& context);
std::unique_ptr<StreamDecoder> stream_decoder();
std::unique_ptr<StreamEncoder> stream_encoder(ReplyContext context, bool array);
// {"error":{"code","message","status"}}
Dialect::EncodedFault encode_fault(const Fault& fault);

core::Usage read_usage(const core::Json& metadata);
core::Json write_usage(const core::Usage& usage);

// STOP, MAX_TOKENS, SAFETY, ... A refusal keeps the provider's own word when it is one of Google's.
std::string_view finish_word(Finish finish, std::string_view refusal_reason);
// `called`: a function call was seen, which Google ends with STOP too.
Finish finish_of(std::string_view word, bool called);

// Ids of function calls, which Google gives seldom (rule G4): "call_<response>_<n>", at most 40 characters.
class CallIds {
 public:
  explicit CallIds(std::string_view response_id);
  // The part's own id when every provider takes it, else a new one.
  std::string next(const core::Json& call);

 private:
  std::string prefix_;
  int count_ = 0;
};
// Made by decode_request for a call without an id, so not to be told to Google.
std::string minted_id(std::size_t turn, std::size_t index);
bool is_minted(std::string_view id);

// The part as text, thinking, media or a call; nullopt when it is none of them. `ids` names calls.
std::optional<Part> read_part(const core::Json& part, CallIds& ids);
// What a reply's part of the code execution tool says, as Markdown; "" for other parts.
std::string code_text(const core::Json& part);
// The part's signature when `part` is text (not a thought): it follows as a ThinkingPart without text.
std::optional<ThinkingPart> signature_after(const core::Json& part);

// A provider's signature as the client's `thoughtSignature`: Google's as it stands, another's sealed in
// base64, for clients that read the member as bytes.
std::string outer_signature(const ThinkingPart& part);
void read_signature(std::string_view text, ThinkingPart& into);

core::Json media_part(const MediaPart& media);

// The member by its camelCase name or, as the proto mapping allows, its snake_case name.
std::string snake_name(std::string_view camel);

}  // namespace assistiv::inference::gemini
