#pragma once
// The SSE stream of /v1/responses: response.created, items with their deltas, one terminal event that carries
// the usage; sequence numbers from 0 without a gap. Several turns of the model may follow one another in one
// response, with items of MCP tools between them.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "inference/dialect.h"
#include "inference/openai_responses/response_object.h"

namespace assistiv::inference {

// Every function gives bytes for the client. Not thread-safe.
class ResponsesStreamEncoder final : public StreamEncoder {
 public:
  explicit ResponsesStreamEncoder(ReplyContext context, core::Json echo = {}, McpLookup lookup = {});

  // StreamEnd ends the response, or only the turn after keep_open(true). A FaultEvent ends the response.
  std::string encode(const StreamEvent& event) override;
  std::string keep_alive() const override { return ": ping\n\n"; }

  // response.created and response.in_progress, once; encode() and the others do it by themselves.
  std::string start();
  // Whether the response goes on after the turns to come.
  void keep_open(bool open) { keep_open_ = open; }
  // response.completed or response.incomplete, by how the last turn ended. Once.
  std::string close();
  // response.failed.
  std::string fail(const Fault& fault);

  // An item that is complete: output_item.added and output_item.done. Sets `id` when the item has none.
  std::string add_item(core::Json item);
  // mcp_list_tools: added and in_progress, then completed or (with an error) failed, and done. `tools` as
  // OpenAI lists them: [{name, description, input_schema, annotations}].
  std::string begin_list_tools(std::string server_label);
  std::string end_list_tools(core::Json tools, std::string error = {});
  // An mcp_call that no turn of this response made, e.g. one approved now. `call_id` names it for
  // end_mcp_call.
  std::string begin_mcp_call(const McpTool& tool, std::string call_id, std::string arguments,
                             std::string approval_request_id = {});
  // Ends an mcp_call, also one that a turn's stream opened: completed with the tool's text, or failed.
  std::string end_mcp_call(std::string_view call_id, std::optional<std::string> output,
                           std::string error = {});

  const ResponseObject& response() const { return object_; }
  bool ended() const { return ended_; }

 private:
  enum class Kind { Text, Refusal, Thinking, Function, Mcp, Approval };
  struct Open {
    Kind kind = Kind::Text;
    bool begun = false;
    std::size_t output = 0;   // index of the item
    std::size_t content = 0;  // index within a message
    std::string item_id;
    std::string text;  // or arguments
    std::vector<Citation> citations;
    ThinkingPart thinking;
    McpTool tool;
  };

  std::string write(const StreamStart& event);
  std::string write(const PartStart& event);
  std::string write(const TextDelta& event);
  std::string write(const SignatureDelta& event);
  std::string write(const ArgumentsDelta& event);
  std::string write(const CitationEvent& event);
  std::string write(const PartEnd& event);
  std::string write(const FinishEvent& event);
  std::string write(const UsageEvent& event);
  std::string write(const FaultEvent& event);
  std::string write(const StreamEnd& event);

  void event(std::string& out, std::string_view type, core::Json members);
  void delta(std::string& out, std::string_view type, const Open& open, std::string_view index_name,
             std::string_view text);
  void added(std::string& out, std::size_t output);
  void done(std::string& out, std::size_t output);
  void begin_text(std::string& out, Open& open);
  void end_text(std::string& out, Open& open);
  void begin_thinking(std::string& out, Open& open, bool summary);
  void end_thinking(std::string& out, Open& open);
  void begin_call(std::string& out, Open& open, const ToolCallPart& call);
  void begin_mcp_item(std::string& out, const McpTool& tool, const std::string& call_id, Open& open);
  void end_call(std::string& out, Open& open);
  void end_part(std::string& out, Open& open);
  void close_message(std::string& out);
  void end_turn(std::string& out);

  ResponseObject object_;
  McpLookup lookup_;
  std::map<int, Open> open_;
  std::optional<std::size_t> message_;     // output index of the message that takes text
  std::optional<std::size_t> list_tools_;  // of the listing under way
  core::Usage turn_usage_;
  Finish finish_ = Finish::Stop;
  std::int64_t sequence_ = 0;
  bool keep_open_ = false;
  bool started_ = false;
  bool ended_ = false;
};

}  // namespace assistiv::inference
