#pragma once
// Requests whose run was made, or may have been, without their client having heard of it. Clients of the
// LangGraph API send such a request again, without a key to know it by: the same request is then given the
// run that is there, once and for a short time.
#include <cstddef>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "agents/store/run_store.h"
#include "core/clock.h"
#include "core/task.h"

namespace assistiv::api {

// Thread-safe. Of this process: it does not outlive it, and other nodes do not know it.
class RepeatedPosts {
 public:
  struct Post {
    agents::Reach reach;
    std::optional<agents::ThreadId> thread;
    core::Json body;
    core::Time at;
  };
  // The answer was lost; `run` when it is known which one it was about.
  void lose(const Post& post, std::optional<agents::RunId> run);
  // What is known of an equal request that was lost lately. It is given once.
  struct Lost {
    core::Time at;
    std::optional<agents::RunId> run;
  };
  std::optional<Lost> take(const Post& post);
  // Its run.
  core::Task<std::optional<agents::Run>> find(agents::RunStore& runs, Post post);

 private:
  std::mutex mutex_;
  std::map<std::string, Lost> lost_;
};

}  // namespace assistiv::api
