#pragma once
// One POST /v1/responses under way: what was asked, which tools there are, what the model is to see next.
// Plain state without I/O; the service drives it. Not thread-safe.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "inference/openai_responses/response_object.h"
#include "inference/responses/response_items.h"
#include "inference/responses/response_store.h"

namespace assistiv::inference {

class ResponseRun {
 public:
  // `id` is the response's; `body` the request's. Throws Error{InvalidArgument} with the pointer.
  ResponseRun(std::string id, std::shared_ptr<const core::Json> body);

  const std::string& id() const { return id_; }
  const core::Json& body() const { return *body_; }
  const std::string& previous_id() const { return previous_id_; }
  bool store() const { return store_; }
  bool stream() const { return stream_; }
  // Neither remembered nor answered with tools of ours: the call may go on as it stands.
  bool stateless() const { return !store_ && previous_id_.empty() && entries_.empty(); }
  int tool_calls_max(int standard) const;

  void set_context(const std::vector<StoredResponse>& turns);
  const core::Json& input() const { return input_; }  // items of this turn, each with an id

  const std::vector<McpEntry>& entries() const { return entries_; }
  // The tools of a server, filtered by the request; gives those that the model sees.
  std::vector<McpServerTool> set_tools(std::size_t entry, std::vector<McpServerTool> tools);
  // The conversation has listed them before: no second mcp_list_tools item.
  bool listed(const std::string& label) const;
  std::size_t tool_count() const { return functions_.size(); }

  // The tool behind a function's name; for the encoders.
  std::optional<McpTool> tool_of(std::string_view function_name) const;
  struct Found {
    std::size_t entry;
    std::string tool;
  };
  std::optional<Found> find(std::string_view function_name) const;
  std::optional<Found> find(const std::string& label, const std::string& tool) const;

  // Answers to approval requests of this conversation, in order.
  struct Approval {
    core::Json request;
    bool approve = false;
  };
  // Throws Error{InvalidArgument} for an answer to what was not asked.
  std::vector<Approval> approvals() const;
  void deny(const core::Json& approval_request);

  // The body of the next model turn, after the items that this response has put out so far.
  core::Json next_body(const core::Json& output) const;
  void turn_ended() { ++turns_; }
  int turns() const { return turns_; }

 private:
  struct Function {
    std::size_t entry;
    McpServerTool tool;
  };
  std::string function_name(const McpEntry& entry, const McpServerTool& tool) const;
  std::string known_name(const std::string& label, const std::string& tool) const;
  core::Json function_tools() const;
  core::Json model_tool_choice() const;

  std::string id_;
  std::shared_ptr<const core::Json> body_;
  std::string previous_id_;
  bool store_ = true;
  bool stream_ = false;
  std::vector<McpEntry> entries_;
  std::map<std::string, Function, std::less<>> functions_;  // by the name that the model sees
  core::Json context_ = core::Json::array();                // items of earlier turns
  core::Json input_;
  core::Json denied_ = core::Json::array();
  int turns_ = 0;
};

}  // namespace assistiv::inference
