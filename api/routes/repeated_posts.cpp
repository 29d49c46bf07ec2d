#include "api/routes/repeated_posts.h"

#include <chrono>
#include <utility>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::api {

namespace {

using core::Json;

// Clients try five times, with pauses that grow to some seconds.
constexpr std::chrono::seconds kRemembered{30};
constexpr std::size_t kLostMax = 1000;
// Our clock and the database's may differ by this.
constexpr std::chrono::seconds kSkew{2};
constexpr int kLookBack = 20;

std::string hash_of(const RepeatedPosts::Post& post) {
  return core::sha256_hex(post.reach.platform.str() + "\n" +
                          (post.reach.end_user ? post.reach.end_user->str() : "") + "\n" +
                          (post.thread ? post.thread->str() : "") + "\n" + core::dump_json(post.body));
}

// As far as the request stands in the run unchanged.
bool is_of(const agents::Run& run, const Json& body) {
  for (const char* name : {"input", "command"})
    if (run.kwargs.value(name, Json()) != body.value(name, Json())) return false;
  return true;
}

}  // namespace

void RepeatedPosts::lose(const Post& post, std::optional<agents::RunId> run) {
  auto hash = hash_of(post);
  const std::lock_guard lock(mutex_);
  std::erase_if(lost_, [&](const auto& one) { return one.second.at + kRemembered < post.at; });
  if (lost_.size() < kLostMax) lost_.insert_or_assign(std::move(hash), Lost{post.at, run});
}

std::optional<RepeatedPosts::Lost> RepeatedPosts::take(const Post& post) {
  {
    const std::lock_guard lock(mutex_);
    if (lost_.empty()) return {};
  }
  const auto hash = hash_of(post);
  const std::lock_guard lock(mutex_);
  const auto found = lost_.extract(hash);
  if (found.empty() || found.mapped().at + kRemembered < post.at) return {};
  return found.mapped();
}

core::Task<std::optional<agents::Run>> RepeatedPosts::find(agents::RunStore& runs, Post post) {
  const auto lost = take(post);
  if (!lost) co_return std::nullopt;
  try {
    if (lost->run) co_return co_await runs.get(post.reach, *lost->run);
    agents::RunSearch query;
    query.thread = post.thread;
    query.limit = kLookBack;
    for (auto& run : co_await runs.list(post.reach, query))
      if (run.created_at + kSkew >= lost->at && is_of(run, post.body)) co_return std::move(run);
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::NotFound) throw;
  }
  co_return std::nullopt;
}

}  // namespace assistiv::api
