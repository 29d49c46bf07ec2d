#pragma once
// What the files of this dialect share.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/usage.h"
#include "inference/canonical.h"
#include "inference/dialect.h"

namespace assistiv::inference::responses {

Request decode_request(const core::Json& body);
EncodedRequest encode_request(const Request& request, const EncodeOptions& options);
Reply decode_reply(const core::Json& body);
std::unique_ptr<StreamDecoder> stream_decoder();

// A reasoning item's encrypted_content: OpenAI's own as it stands, another provider's sealed
// (translate/content.h). Empty when there is nothing to carry.
std::string outer_content(const ThinkingPart& part);
void read_content(std::string_view encrypted, ThinkingPart& into);
// A reasoning item with the signature of the function call that follows it: function_call items have no
// member for it (rule G5).
std::string sealed_call_signature(const std::string& signature);
bool is_call_signature(const ThinkingPart& part);

// The parts of summary[] and content[] as one text.
std::string reasoning_text(const core::Json& item);
ThinkingPart read_reasoning(const core::Json& item);
core::Json output_text(std::string_view text, const std::vector<Citation>& citations = {});
core::Json annotation(const Citation& citation, std::string_view text);
core::Json refusal_part(std::string_view text);

// How a response ended, from its status, incomplete_details and whether it calls a function.
Finish read_finish(const core::Json& response, bool called);
// The error of a failed response or of an error event.
Fault read_error(const core::Json& error);

}  // namespace assistiv::inference::responses
