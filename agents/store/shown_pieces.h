#pragma once
// What the runs of this process have shown of what is not kept yet: pieces of messages that are not whole,
// calls that have begun. Who comes in the middle is given it as it was shown. Pure; not thread-safe.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "agents/store/checkpoint_store.h"
#include "agents/store/event_store.h"

namespace assistiv::agents {

struct ShownPiece {
  std::int64_t after = 0;  // comes between the events `after` and after + 1
  LoggedEvent event;
};

// Pieces of one message that differ in one text and in their places, as one: a word of an answer takes a few
// bytes here and hundreds as an event.
class PieceStretch {
 public:
  explicit PieceStretch(ShownPiece first);
  // False: it is of another kind.
  bool take(const PieceStretch& next);
  const std::string& subject() const { return subject_; }
  RunId run() const { return head_.event.run; }
  std::size_t bytes() const;
  void expand(std::deque<ShownPiece>& into) const;

 private:
  enum class Text { None, Content, Arguments, Reasoning };
  static core::Json* text_of(core::Json& data, Text kind);

  ShownPiece head_;  // without the text
  std::string subject_;
  Text kind_ = Text::None;
  std::size_t head_bytes_ = 0;
  std::size_t content_ = 0, args_ = 0, number_ = 0;  // of the first piece: what came before it
  std::string text_;
  std::vector<std::uint32_t> ends_;  // in the text, of each piece
};
using Backlog = std::vector<PieceStretch>;

struct ShownLimits {
  std::size_t thread_bytes = std::size_t{1} << 20;  // of one thread; then the oldest go
  std::size_t all_bytes = std::size_t{64} << 20;    // of all; then nothing more is taken
};

class ShownPieces {
 public:
  explicit ShownPieces(ShownLimits limits) : limits_(limits) {}

  void add(const ThreadKey& key, PieceStretch one);
  // These are about to be kept: what was shown of them is no longer given. Before they are written, so that
  // nobody is given the pieces of a message that was read whole.
  void settle(const ThreadKey& key, const std::vector<RunEvent>& events);
  // The run ends, or ends here.
  void forget(const ThreadKey& key, RunId run);
  Backlog of(const ThreadKey& key) const;
  std::size_t bytes() const { return bytes_; }

 private:
  struct Thread {
    std::deque<PieceStretch> stretches;
    std::size_t bytes = 0;
  };
  template <typename Gone>
  void drop(const ThreadKey& key, Gone gone);

  const ShownLimits limits_;
  std::map<ThreadKey, Thread> threads_;
  std::size_t bytes_ = 0;
};

}  // namespace assistiv::agents
