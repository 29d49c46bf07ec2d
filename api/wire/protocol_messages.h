#pragma once
// The messages channel of the thread protocol: message-start, then for each block content-block-start,
// deltas and content-block-finish, then message-finish. Blocks of a message never interleave, and neither do
// messages of one node: clients know an open message by its namespace and node only. Pure.
#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/json.h"

namespace assistiv::api {

struct MessageEvent {
  std::string id;
  core::Json data;  // {"event": ...}
};

// The blocks of a whole message in LangChain's form: its content, then its calls of tools.
std::vector<core::Json> message_blocks(const core::Json& message);

// What one stream was told of messages that are not whole yet.
class LiveMessages {
 public:
  // A piece (an AIMessageChunk with "langgraph": {content, args}, the bytes before it). Pieces of another
  // message of the node, while one is open, are left out: that message is told when it is whole.
  std::vector<MessageEvent> piece(const std::string& place, const core::Json& chunk,
                                  const std::string& run_id);
  // What is missing of a message that is whole now.
  std::vector<MessageEvent> whole(const std::string& place, const core::Json& message,
                                  const std::string& run_id);

  struct Abandoned {
    std::string place;
    MessageEvent event;
  };
  // Those that will never be whole.
  std::vector<Abandoned> give_up();

 private:
  struct Open {
    std::string id;
    std::vector<core::Json> blocks;  // as told so far; the last one is open
    std::vector<int> tool_index;     // of each block: which call of a tool, or -1
    std::size_t content = 0, args = 0;
    bool finished_any = false;
    bool gap = false;      // a piece was missed
    bool cut_off = false;  // another message of the node came between: told anew when it is whole
    bool waiting = false;  // it cannot be told where its pieces belong
  };
  void text(Open& open, const char* type, const std::string& delta, std::vector<MessageEvent>& out);
  void tool_chunk(Open& open, const core::Json& chunk, std::vector<MessageEvent>& out);
  void begin_block(Open& open, core::Json block, int tool, std::vector<MessageEvent>& out);

  std::map<std::string, std::map<std::string, Open>> told_;  // place -> message -> what was told
  std::map<std::string, std::string> open_;                  // place -> the one that is open
};

}  // namespace assistiv::api
