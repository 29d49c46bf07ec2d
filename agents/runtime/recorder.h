#pragma once
// A run's pen: gathers what happened and writes it as the run's durability asks. Internal to runtime/; used
// by the coroutines of one run on one thread.
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>

#include "agents/runtime/run.h"

namespace assistiv::agents {

class Recorder {
 public:
  Recorder(const RunSpec& spec, RunWorld world);

  // What the next write will hold.
  JournalWrite& buffer() { return buffer_; }
  // Recorded when the run's modes ask for it, or when it is always recorded (`always`).
  void event(std::string method, std::string ns, std::string node, core::Json data, bool always = false);
  void checkpoint(CheckpointRow row);
  bool wants(const std::string& mode) const { return modes_.contains(mode); }
  void show(std::string method, std::string ns, std::string node, core::Json data);

  // The end of a super-step, or a fact that should be kept. `must`: it has to be durable before anything else
  // is done, whatever the durability (but Exit). Throws what the journal threw, now or earlier, and
  // "STATE_TOO_LARGE" when the next write has become larger than one may be.
  core::Task<void> flush(bool must);
  // All that was recorded until now is durable when it returns, but under Exit. What an act is known by (its
  // task's id, the answers before it) is then the same after a crash. Throws as flush() does.
  core::Task<void> settle();
  // No write is under way when it returns; does not throw what the journal threw.
  core::Task<void> idle();
  // The last write of this attempt; durable when it returns.
  core::Task<void> finish();
  bool failed() const { return shared_->error != nullptr; }

 private:
  struct Shared {
    JournalWrite pending;
    std::size_t bytes = 0;      // of it
    std::uint64_t queued = 0;   // tickets given
    std::uint64_t durable = 0;  // tickets done
    bool writing = false;
    std::exception_ptr error;
    core::AsyncEvent moved;
  };
  static core::Task<void> drain(std::shared_ptr<Shared> shared, Journal* journal);
  core::Task<void> write_out(bool wait);

  RunWorld world_;
  Durability durability_;
  std::set<std::string> modes_;
  std::int64_t next_seq_;
  JournalWrite buffer_;
  std::size_t bytes_ = 0;  // of its checkpoints and events
  std::shared_ptr<Shared> shared_;
};

}  // namespace assistiv::agents
