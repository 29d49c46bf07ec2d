#pragma once
// OpenAI chat completions: the pieces of the dialect, one file each. Beyond OpenAI's own members, assistant
// messages (requests and replies, and stream deltas) may hold:
//   "reasoning_content": text        what the model thought, as DeepSeek, xAI and vLLM name it
//   "reasoning_details": [           signed thinking, to be sent back untouched; one entry per block, whole
//     {"type":"reasoning.text", "text", "signature", "format", "id"},
//     {"type":"reasoning.encrypted", "data", "format", "id"}]
//   "thinking_blocks": [{"type":"thinking","thinking","signature"}, {"type":"redacted_thinking","data"}]
//                                    accepted as Anthropic's, never written
//   "images": [{"type":"image_url","image_url":{"url"}}]
//                                    pictures that the model made (replies only), as OpenRouter has them
//   "tool_calls"[i]."extra_content"."google"."thought_signature"
//                                    Gemini's signature of a call, as Google's own compatible endpoint has it
// "format" says whose signature it is: "anthropic-claude-v1", "openai-responses-v1", "google-gemini-v1".
#include <memory>
#include <string>
#include <string_view>

#include "core/json.h"
#include "inference/canonical.h"
#include "inference/dialect.h"

namespace assistiv::inference::openai_chat {

Request decode_request(const core::Json& body);
EncodedRequest encode_request(const Request& request, const EncodeOptions& options);
Reply decode_reply(const core::Json& body);
core::Json encode_reply(const Reply& reply, const ReplyContext& context);
core::Usage decode_usage(const core::Json& body);
core::Json encode_usage(const core::Usage& usage);
std::unique_ptr<StreamDecoder> stream_decoder();
std::unique_ptr<StreamEncoder> stream_encoder(ReplyContext context);

// "stop", "length", ...; an absent word is told by whether tools were called.
Finish finish_of(std::string_view word, bool tools_called);
std::string_view finish_word(Finish finish);

// "images" of a message or delta, and one entry of it.
std::vector<MediaPart> read_reply_images(const core::Json& message);
core::Json reply_image(const MediaPart& media);

// reasoning_details and thinking_blocks of a message or delta, as parts in order.
std::vector<ThinkingPart> read_reasoning_details(const core::Json& message);
// One entry; null when the part carries nothing that proves it.
core::Json reasoning_detail(const ThinkingPart& part, int index);

}  // namespace assistiv::inference::openai_chat
