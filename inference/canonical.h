#pragma once
// The one form between all dialects: a decoder per dialect makes it, an encoder per dialect reads it. Plain
// values without I/O. What only one dialect knows travels in `Extra` under the dialect's name, so that a hop
// within the dialect loses nothing and a hop to another can name what it drops.
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/json.h"
#include "core/usage.h"

namespace assistiv::inference {

// The wire formats. xAI and the compatible local servers speak OpenAiChat, with filters
// (openai_chat/flavor.h).
enum class DialectId { OpenAiChat, OpenAiResponses, Anthropic, Gemini };
std::string_view to_string(DialectId id);  // "openai.chat", "openai.responses", "anthropic", "gemini"

// ---- messages ----

// What a piece of a reply's text rests on.
struct Citation {
  std::string url;
  std::string title;
  // The characters (code points) of the text part that it is about, [start, end); both 0: all of the part.
  std::int64_t start = 0;
  std::int64_t end = 0;
};

struct TextPart {
  std::string text;
  core::Json cache_control;              // Anthropic's, null when absent
  std::vector<Citation> citations = {};  // of replies
};

// An image, a PDF or other file, or audio.
struct MediaPart {
  enum class Kind { Image, Document, Audio, Video };
  Kind kind = Kind::Image;
  std::string media_type;  // "image/png"; may be empty with a url
  std::string data;        // base64; empty with a url or a file id
  std::string url;
  std::string file_id;
  std::string filename;
  std::string detail;  // OpenAI's low, high, auto
  core::Json cache_control;
};

// What the model thought. `signature` proves it to the provider that wrote it and is worth nothing to
// another.
struct ThinkingPart {
  std::string text;
  std::string signature;
  std::string redacted;  // Anthropic's redacted_thinking data, OpenAI's encrypted_content
  std::string id;        // of a Responses reasoning item
  DialectId signed_by = DialectId::Anthropic;
};

struct RefusalPart {
  std::string text;
};

struct ToolCallPart {
  std::string id;
  std::string name;
  std::string arguments;  // JSON text as the model wrote it; "" means no arguments
  std::string signature;  // Gemini's thoughtSignature
  core::Json cache_control;
};

struct ToolResultPart {
  std::string call_id;
  std::string name;                                      // of the tool, when the dialect says it
  std::vector<std::variant<TextPart, MediaPart>> parts;  // in order
  bool is_error = false;
  core::Json cache_control;
};

using Part = std::variant<TextPart, MediaPart, ThinkingPart, RefusalPart, ToolCallPart, ToolResultPart>;

enum class Role { System, User, Assistant };

// Tool results are parts of a User message, whatever the dialect calls their role.
struct Message {
  Role role = Role::User;
  std::vector<Part> parts;
  std::string name;        // OpenAI's participant name
  bool developer = false;  // a System message that OpenAI's client called "developer"
  std::string origin;      // JSON pointer in the client's body ("/messages/3"), to name what is dropped
};

// ---- request ----

struct ToolDefinition {
  std::string name;
  std::string description;
  core::Json parameters;  // JSON Schema; null when absent
  std::optional<bool> strict;
  core::Json cache_control;
};

struct ToolChoice {
  enum class Mode { Auto, None, Required, Named };
  Mode mode = Mode::Auto;
  std::string name;                  // Named
  std::vector<std::string> allowed;  // OpenAI's allowed_tools; empty: all
};

struct ResponseFormat {
  enum class Kind { Text, JsonObject, JsonSchema };
  Kind kind = Kind::Text;
  std::string name;
  std::string description;
  core::Json schema;
  std::optional<bool> strict;
};

struct Reasoning {
  std::string effort;  // none, minimal, low, medium, high, xhigh, max; "" when not said
  std::optional<std::int64_t> budget_tokens;  // Anthropic, Gemini 2.5; -1 is dynamic
  std::optional<bool> enabled;
  bool adaptive = false;
  std::string summary;                // Responses: auto, concise, detailed
  bool include = true;                // does the caller want to see it
  std::string origin = "/reasoning";  // JSON pointer in the client's body, to name it when it is dropped
};

// A member of the client's body that the canonical form has no place for.
struct Extra {
  DialectId dialect;
  std::string path;  // JSON pointer in the client's body
  core::Json value;
};

struct Request {
  DialectId dialect = DialectId::OpenAiChat;  // of the client
  std::string model;
  std::vector<Message> messages;  // system messages where the client put them
  std::vector<ToolDefinition> tools;
  std::optional<ToolChoice> tool_choice;
  std::optional<bool> parallel_tool_calls;
  std::optional<std::int64_t> max_output_tokens;
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<std::int64_t> top_k;
  std::optional<double> frequency_penalty;
  std::optional<double> presence_penalty;
  std::optional<std::int64_t> seed;
  std::optional<std::int64_t> n;
  std::optional<bool> logprobs;
  std::optional<std::int64_t> top_logprobs;
  std::vector<std::string> stop;
  std::optional<ResponseFormat> response_format;
  std::optional<Reasoning> reasoning;
  std::string user;  // the caller's own name for its user: OpenAI user / safety_identifier, metadata.user_id
  std::string user_origin = "/user";  // JSON pointer in the client's body
  bool stream = false;
  bool include_usage = false;  // OpenAI chat's stream_options.include_usage
  std::vector<Extra> extras;
};

// ---- reply ----

// One reason for all dialects; whose words they are stands in docs/dialect-matrix.md.
enum class Finish { Stop, StopSequence, Length, ToolCalls, ContentFilter, PauseTurn, Error };

struct Choice {
  Message message;
  Finish finish = Finish::Stop;
  std::string stop_sequence;
  std::string refusal_reason;  // the provider's own word, e.g. Gemini's SAFETY
  core::Json logprobs;
};

struct Reply {
  std::string id;
  std::string model;         // as the provider names what it served
  std::int64_t created = 0;  // seconds since the epoch; 0 when the provider does not say
  std::vector<Choice> choices;
  core::Usage usage;
  // What the provider said beyond this form, by its member's name ("groundingMetadata.searchEntryPoint").
  std::vector<std::string> left_out = {};
};

// An upstream's fault, or ours, in mid-stream or instead of a reply. What follows of each: docs/inference.md.
struct Fault {
  enum class Kind {
    InvalidRequest,
    ProviderAuth,
    ProviderQuota,
    ModelNotFound,
    TooLarge,
    RateLimited,
    Overloaded,
    Upstream,
    Transient,
    Truncated,
    Timeout,
    Internal
  };
  Kind kind = Kind::Upstream;
  std::string message;  // safe for the client
  std::string code;     // the provider's own
  int status = 0;       // the provider's
  // The prompt does not fit the model (an InvalidRequest): a model with a longer context may take it.
  bool context_length = false;
  // How long the body asks to wait (Google's RetryInfo); a Retry-After header says it elsewhere.
  std::optional<std::chrono::milliseconds> retry_after = {};
};

// ---- stream ----
// One choice per stream (n > 1 with stream is sent to same-dialect upstreams only). Parts come one after the
// other: PartStart, deltas, PartEnd; `index` counts parts from 0. OpenAI interleaves arguments of parallel
// calls, so deltas carry the index and several parts may be open at a time.

struct StreamStart {
  std::string id;
  std::string model;
  std::int64_t created = 0;
  core::Usage usage;  // Anthropic's message_start
};
struct PartStart {
  int index = 0;
  Part part;  // its kind, and what is known: tool call id and name
};
struct TextDelta {  // of a TextPart, RefusalPart or ThinkingPart
  int index = 0;
  std::string text;
};
struct SignatureDelta {
  int index = 0;
  std::string signature;
};
struct ArgumentsDelta {
  int index = 0;
  std::string json;  // a piece of the text, never cut within a UTF-8 character
};
struct CitationEvent {  // of a TextPart that is open; its text came before
  int index = 0;
  Citation citation;
};
struct PartEnd {
  int index = 0;
};
struct FinishEvent {
  Finish finish = Finish::Stop;
  std::string stop_sequence;
  std::string refusal_reason;
};
struct UsageEvent {
  core::Usage usage;  // merged by core::merge_usage
};
struct FaultEvent {
  Fault fault;
};
// The provider's proof that nothing is missing ([DONE], message_stop, finishReason at the end).
struct StreamEnd {};

using StreamEvent = std::variant<StreamStart, PartStart, TextDelta, SignatureDelta, ArgumentsDelta,
                                 CitationEvent, PartEnd, FinishEvent, UsageEvent, FaultEvent, StreamEnd>;

}  // namespace assistiv::inference
