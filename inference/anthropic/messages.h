#pragma once
// Anthropic's Messages API: the pieces of the dialect, one file each. Beyond Anthropic's own members:
// - a thinking block's signature (or redacted data) that another provider made is sealed with that provider's
//   name (inference/translate/content.h), so that it goes back to its maker and never to Anthropic;
// - a tool_use block may hold "extra_content":{"google":{"thought_signature"}}, as on chat completions.
#include <memory>
#include <string>
#include <string_view>

#include "core/json.h"
#include "inference/canonical.h"
#include "inference/dialect.h"
#include "inference/translate/drops.h"

namespace assistiv::inference::anthropic {

// The forced tool that stands for a JSON schema on models without output_config.format; its call is read back
// as text.
inline constexpr std::string_view kAnswerTool = "assistiv_structured_answer";

Request decode_request(const core::Json& body);
EncodedRequest encode_request(const Request& request, const EncodeOptions& options);
Reply decode_reply(const core::Json& body);
core::Json encode_reply(const Reply& reply, const ReplyContext& context);
core::Usage decode_usage(const core::Json& body);
core::Json encode_usage(const core::Usage& usage);
std::unique_ptr<StreamDecoder> stream_decoder();
std::unique_ptr<StreamEncoder> stream_encoder(ReplyContext context);

// input_tokens excludes what was read from and written to the cache.
core::Usage read_usage(const core::Json& usage);

Finish finish_of(std::string_view stop_reason);
std::string_view stop_reason_of(Finish finish);

// One block of a reply or of the history, and back. False when it is no kind of ours (server tools).
bool read_reply_block(const core::Json& block, Part& part);
// A source with an address, of a whole block of text; false for places in the caller's own documents.
bool read_citation(const core::Json& citation, Citation& into);
// Null when the dialect has no form for the part.
core::Json thinking_block(const ThinkingPart& part);
core::Json tool_use_block(const ToolCallPart& call, core::Json input);

// Rule A16: the schema without the bounds that Anthropic refuses; what is taken out is said in the
// description. Objects are closed (additionalProperties: false).
core::Json structured_schema(const core::Json& schema);

// Rule A18: "a,b" and what we need ourselves, each once; "" when there is none.
std::string merge_betas(std::string_view client, const std::vector<std::string>& ours);

// Status and body of an Anthropic route.
Dialect::EncodedFault encode_fault(const Fault& fault);

}  // namespace assistiv::inference::anthropic
