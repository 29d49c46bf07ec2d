#pragma once
// What every dialect does, on both sides of the gateway: as the client's (decode_request, encode_reply,
// StreamEncoder, encode_fault) and as the provider's (encode_request, decode_reply, StreamDecoder,
// decode_fault). Pure functions and small state machines: no I/O, no clock, no randomness of their own.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/http.h"
#include "core/json.h"
#include "inference/canonical.h"

namespace assistiv::inference {

// What is known of the model that a request goes to (inference/providers); the encoders act on it.
struct TargetModel {
  std::string name;                               // as the provider names it
  std::string flavor;                             // "openai", "xai", "anthropic", "google", "compatible"
  std::optional<std::int64_t> max_output_tokens;  // the catalogue's limit
  bool reasoning = false;
  bool effort = false;               // takes an effort word (output_config.effort, reasoning_effort)
  std::vector<std::string> efforts;  // the words it takes; empty: low, medium and high
  bool structured_output = true;     // takes a JSON schema; else a forced hidden tool
  bool json_schema_fields = true;    // Gemini: parametersJsonSchema and responseJsonSchema
  std::string thinking;  // Gemini: "level" (3.x) or "budget" (2.5); Anthropic: "adaptive" or "budget"
};

// What becomes of what the target has no form for.
enum class Unsupported { Drop, Strict };

struct EncodeOptions {
  TargetModel target;
  Unsupported unsupported = Unsupported::Drop;
  bool keep_system_in_place =
      false;  // rule A2 (inference/rules.md): as <system-reminder> text instead of hoisting
  std::int64_t default_max_tokens = 4096;
  std::string anthropic_beta;  // the client's anthropic-beta header, merged with ours (rule A18)
};

// A provider's request. `dropped` names what was left out ("seed", "messages[3].name"), for the
// x-aig-dropped header; with Unsupported::Strict the encoder throws Error{InvalidArgument} with the field
// instead.
struct EncodedRequest {
  std::string
      path;  // "/chat/completions", "/messages", "/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
  core::HttpHeaders headers;  // dialect headers (anthropic-version, anthropic-beta), without credentials
  core::Json body;
  std::vector<std::string> dropped;
};

// What an encoder of replies must know of the request that it answers.
struct ReplyContext {
  std::string id;            // ours, in the dialect's form ("chatcmpl-...", "msg_...", "resp_...")
  std::string model;         // as the client asked
  std::int64_t created = 0;  // seconds since the epoch
  bool include_usage = false;
  bool include_reasoning = true;
  std::int64_t input_estimate = 0;  // for Anthropic's message_start when the provider has not said yet
  // The client's, of which Responses says parts again; null: defaults are said.
  std::shared_ptr<const core::Json> request_body;
};

// Feeds on the provider's SSE events. One per stream, not thread-safe.
class StreamDecoder {
 public:
  virtual ~StreamDecoder() = default;
  // One SSE event; `event` is empty when the provider sends none. Never throws on bad input: a FaultEvent.
  virtual std::vector<StreamEvent> feed(std::string_view event, std::string_view data) = 0;
  // The body ended. Gives what was open its end; FaultEvent{Truncated} when completion was not proven.
  virtual std::vector<StreamEvent> finish() = 0;
};

// Writes the client's SSE bytes. One per stream, not thread-safe. Emits what a dialect needs around the
// events (role chunk, usage chunk, [DONE], content_block_start); a fault becomes the dialect's error frame.
class StreamEncoder {
 public:
  virtual ~StreamEncoder() = default;
  virtual std::string encode(const StreamEvent& event) = 0;
  virtual std::string keep_alive() const = 0;  // ": ping" or "event: ping"
};

class Dialect {
 public:
  virtual ~Dialect() = default;
  virtual DialectId id() const = 0;

  // Throws Error{InvalidArgument} with the field's JSON pointer.
  virtual Request decode_request(const core::Json& body) const = 0;
  virtual EncodedRequest encode_request(const Request& request, const EncodeOptions& options) const = 0;

  // Throws Error{UpstreamFailed} on a body that is none of the dialect's.
  virtual Reply decode_reply(const core::Json& body) const = 0;
  virtual core::Json encode_reply(const Reply& reply, const ReplyContext& context) const = 0;

  // Usage of a whole reply or one stream event's data, for same-dialect hops that are not decoded.
  virtual core::Usage decode_usage(const core::Json& body) const = 0;

  virtual std::unique_ptr<StreamDecoder> stream_decoder() const = 0;
  virtual std::unique_ptr<StreamEncoder> stream_encoder(ReplyContext context) const = 0;

  // A reply with a status of 400 or more; never throws (HTML, arrays, half a JSON: the first 500 bytes).
  virtual Fault decode_fault(int status, std::string_view body) const = 0;
  // Body and status for the client; docs/inference.md, "Errors".
  struct EncodedFault {
    int status;
    core::Json body;
  };
  virtual EncodedFault encode_fault(const Fault& fault) const = 0;
};

// One instance each for the program's life.
const Dialect& dialect(DialectId id);
const Dialect& openai_chat_dialect();
const Dialect& openai_responses_dialect();
const Dialect& anthropic_dialect();
const Dialect& gemini_dialect();

}  // namespace assistiv::inference
