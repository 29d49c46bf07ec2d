#pragma once
// Small conversions that several dialects need.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "inference/canonical.h"
#include "inference/dialect.h"
#include "inference/translate/drops.h"

namespace assistiv::inference {

// ---- media ----

// "data:image/png;base64,AAAA" into media type and data; false when it is no base64 data URL.
bool read_data_url(std::string_view url, MediaPart& into);
std::string data_url(const MediaPart& media);
// "image/jpeg" -> Image, "application/pdf" and the rest -> Document.
MediaPart::Kind kind_of_media_type(std::string_view media_type);
// By the path's extension, ".pdf" -> "application/pdf"; "" when unknown.
std::string_view media_type_of_url(std::string_view url);

// ---- tool calls ----

// Rule A7: arguments text as an object. "" is {}. Text that is no JSON object is an Error{InvalidArgument} at
// `pointer` under Strict and {"_raw": text} else.
core::Json arguments_object(const std::string& arguments, const std::string& pointer, Unsupported mode);
// An id that every provider takes: [A-Za-z0-9_-], at most 40. The same id always gives the same, so a call
// and its result stay a pair.
std::string portable_call_id(std::string_view id);
// Rule A8: a schema that says it is an object.
core::Json object_schema(const core::Json& parameters);
// A tool's name that every provider takes: [A-Za-z0-9_-], 1 to 64.
std::string portable_tool_name(std::string_view name);
// Rule A10: the tools that `tool_choice.allowed` leaves; all when it names none of them.
std::vector<const ToolDefinition*> allowed_tools(const Request& request);

// Tells when a tool call's arguments, fed piece by piece, are a complete JSON object.
class ArgumentsScanner {
 public:
  void feed(std::string_view piece);
  bool complete() const { return seen_ && depth_ == 0; }

 private:
  int depth_ = 0;
  bool seen_ = false;
  bool in_string_ = false;
  bool escaped_ = false;
};

// Gemini's signature of a call on chat completions and Messages, as Google's own compatible endpoint has it:
// "extra_content": {"google": {"thought_signature"}}. Of a call's object; "" when there is none.
std::string signature_of_call(const core::Json& call);
core::Json call_signature(const std::string& signature);  // the value of "extra_content"

// ---- reasoning (rule A14) ----

// Tokens for an effort word; 0 for "none".
std::int64_t budget_of_effort(std::string_view effort);
// The word for a budget; "" for 0 or less.
std::string_view effort_of_budget(std::int64_t budget);
// The caller's wish as one of the words that the target takes (the nearest below, else above); "" when the
// caller did not ask for reasoning or asked for none.
std::string effort_for(const Reasoning& reasoning, const TargetModel& target);
// Does the caller ask the model to think?
bool wants_reasoning(const Reasoning& reasoning);

// ---- thinking of another provider ----

// A signature or encrypted content in a form that a client of any dialect hands back untouched, and that says
// whose it is: "aig1.<dialect>.<kind>.<id>.<payload>". Empty when there is nothing to carry.
std::string seal_thinking(const ThinkingPart& part);
// True when `text` is such a form: sets signature or redacted, id and signed_by.
bool open_thinking(std::string_view text, ThinkingPart& into);

// ---- usage ----

// OpenAI's usage of chat (prompt_/completion_) and Responses (input_/output_), with the details. Tolerates
// xAI's completion without reasoning: output = total - prompt when that is more.
core::Usage read_openai_usage(const core::Json& usage);

}  // namespace assistiv::inference
