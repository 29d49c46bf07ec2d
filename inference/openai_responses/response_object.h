#pragma once
// The object that /v1/responses answers with, put together over one or several turns of the model: the door
// that runs MCP tools inside of a response appends its items between the turns. Without I/O, not thread-safe.
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/usage.h"
#include "inference/canonical.h"
#include "inference/dialect.h"

namespace assistiv::inference {

// A tool of an MCP server, as a model sees it: a function.
struct McpTool {
  std::string server_label;
  std::string name;             // as the server names it
  bool needs_approval = false;  // its call becomes an mcp_approval_request and is not run
};
// The MCP tool behind a function's name; nullopt for the caller's own functions, which stay function_call.
using McpLookup = std::function<std::optional<McpTool>(std::string_view function_name)>;

// What the response repeats of the request: instructions, tools (credentials of MCP servers left out),
// temperature, metadata, previous_response_id, store, ... with OpenAI's defaults. `body` is the client's.
core::Json response_echo(const core::Json& body);

// OpenAI's usage object of Responses.
core::Json responses_usage(const core::Usage& usage);

// Removes a member that the door handled itself from the extras and gives its value; null when it was not
// sent. `path` is a JSON pointer: "/store", "/previous_response_id", "/tools/0".
core::Json take_extra(Request& request, std::string_view path);

class ResponseObject {
 public:
  explicit ResponseObject(ReplyContext context, core::Json echo = {});

  const ReplyContext& context() const { return context_; }
  // "msg_<response>_<n>": `prefix` is msg, rs, fc, mcp, mcpl, mcpr, ig. Unique within the response.
  std::string next_id(std::string_view prefix);
  // Gives the output index.
  std::size_t append(core::Json item);
  core::Json& item(std::size_t index);
  std::size_t size() const;

  // A whole turn. Its calls of MCP tools become mcp_call items in progress, found again by call id; text,
  // thinking and other calls become items as OpenAI defines them. Adds the usage.
  void append_turn(const Reply& reply, const McpLookup& lookup = {});
  // Ends an mcp_call: with the tool's text, or with an error message. False when there is no such call.
  bool end_mcp_call(std::string_view call_id, std::optional<std::string> output, std::string error = {});
  std::optional<std::size_t> mcp_call(std::string_view call_id) const;
  void remember_mcp_call(std::string call_id, std::size_t index);

  void add_usage(const core::Usage& turn);
  const core::Usage& usage() const { return usage_; }

  // The object with status in_progress; completed or incomplete by how the last turn ended; failed.
  core::Json in_progress() const;
  core::Json finished(Finish finish) const;
  core::Json finished() const { return finished(finish_); }
  core::Json failed(const Fault& fault) const;

 private:
  core::Json base(std::string_view status) const;
  ReplyContext context_;
  core::Json members_;
  core::Json output_;
  core::Usage usage_;
  Finish finish_ = Finish::Stop;
  std::map<std::string, std::size_t, std::less<>> mcp_calls_;
  std::size_t ids_ = 0;
};

}  // namespace assistiv::inference
