#pragma once
// A model's answer as LangChain's AI message, whole and in pieces. Pure. Internal to effects/.
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/usage.h"
#include "inference/canonical.h"
#include "inference/engine/turn.h"

namespace assistiv::agents {

// {id, type: "ai", content, tool_calls, invalid_tool_calls, usage_metadata, response_metadata,
// additional_kwargs}. Content is a text; with thoughts or citations in it a list of blocks. Calls without an
// id get one that is made of `id`.
core::Json ai_message(const std::string& id, const inference::Reply& reply,
                      const inference::TurnFacts& facts);

core::Json usage_metadata(const core::Usage& usage);

// What a stream has told so far, and the pieces of it to show: {type: "AIMessageChunk", id, content,
// tool_call_chunks, ...}, which clients put together by the id. Thoughts are in additional_kwargs of a piece,
// as reasoning_content.
class ReplyCollector {
 public:
  explicit ReplyCollector(std::string id) : id_(std::move(id)) {}

  // Null when the event shows nothing.
  core::Json take(const inference::StreamEvent& event);
  // The reply so far.
  inference::Reply reply() const;
  // How it was used and why it ended; to show last.
  core::Json last_piece(const inference::TurnFacts& facts) const;
  bool showed_something() const { return showed_; }

 private:
  core::Json piece() const;
  core::Json text_piece(const inference::Part& part, const std::string& text) const;
  core::Json start(const inference::PartStart& event);
  core::Json add_text(const inference::TextDelta& delta);
  core::Json add_arguments(const inference::ArgumentsDelta& delta);
  core::Json call_piece(int index, core::Json name, core::Json id, std::string args) const;

  const std::string id_;
  inference::Reply reply_;
  inference::Choice choice_;
  std::map<int, inference::Part> parts_;
  bool showed_ = false;
};

}  // namespace assistiv::agents
