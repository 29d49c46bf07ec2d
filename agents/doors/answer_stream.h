#pragma once
// The text of an agent's answer while it is being written: what its models say into the conversation, piece
// by piece, and the answer itself at the end if it was not among it. Plain state, not thread-safe.
#include <set>
#include <string>

#include "agents/definition/graph.h"
#include "agents/runtime/journal.h"

namespace assistiv::agents {

class AnswerStream {
 public:
  // Heard are the root's nodes that write into its messages: what a router or a classifier says into other
  // keys is no part of the answer.
  explicit AnswerStream(const Graph& graph);

  // What is to be shown now; "" for most events.
  std::string feed(const RunEvent& event);
  // The rest, `answer` being the whole of the last message.
  std::string finish(const std::string& answer);

 private:
  std::string show(const std::string& text);
  std::string piece(const RunEvent& event);
  std::string complete(const RunEvent& event);

  std::set<std::string> nodes_;
  std::string speaker_;  // node whose message is open; "": none
  std::string open_;     // of it, what has been shown
  std::string last_;     // the message that was shown last, whole
  bool break_ = false;   // the next text begins a new paragraph
};

}  // namespace assistiv::agents
