#include "agents/service/run_standing.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/error.h"
#include "core/log.h"

namespace assistiv::agents {

namespace {

constexpr std::chrono::milliseconds kAskAgainAfter{1000};

// What a notice is about; what it does not name is anybody's.
struct Subject {
  std::optional<core::PlatformId> platform;
  std::optional<core::EndUserId> end_user;
  std::string slug;

  bool concerns(const RunActor& actor) const {
    return (!platform || actor.platform == *platform) && (!end_user || actor.end_user == end_user) &&
           (slug.empty() || actor.slug == slug);
  }
};

std::optional<Subject> subject_of(std::string_view topic, std::string_view payload) {
  // The notice of a key has its hash, by which no run is known.
  if (topic == "key" || topic == "resync") return Subject{};
  if (topic != "platform" && topic != "end_user" && topic != "agent") return {};
  const auto slash = payload.find('/');
  const auto rest = slash == std::string_view::npos ? std::string_view() : payload.substr(slash + 1);
  Subject out;
  out.platform = core::PlatformId::parse(payload.substr(0, slash));
  if (topic == "end_user") out.end_user = core::EndUserId::parse(rest);
  if (topic == "agent") out.slug = rest;
  return out;
}

}  // namespace

core::Task<oauth::PrincipalPtr> RunStanding::caller(RunActor actor) const {
  oauth::PrincipalPtr out;
  if (actor.key) out = co_await world_.standing(actor.platform, actor.end_user, *actor.key);
  if (!out)
    throw core::forbidden("The key that asked for this run is not valid any more.").with_code("caller_gone");
  if (!co_await world_.serves(actor.platform, actor.agent, actor.end_user))
    throw core::forbidden("This agent is switched off, or not for this end user any more.")
        .with_code("agent_gone");
  co_return out;
}

std::shared_ptr<void> RunStanding::watch(RunActor actor, std::shared_ptr<RunControl> control) {
  const std::lock_guard lock(book_->mutex);
  const auto id = book_->next++;
  book_->entries[id] = std::make_shared<Entry>(Entry{std::move(actor), std::move(control)});
  return {nullptr, [book = book_, id](void*) {
            const std::lock_guard inner(book->mutex);
            book->entries.erase(id);
          }};
}

void RunStanding::on_notify(std::string_view topic, std::string_view payload) {
  const auto subject = subject_of(topic, payload);
  if (!subject) return;
  const std::lock_guard lock(book_->mutex);
  bool any = false;
  for (const auto& [id, entry] : book_->entries) {
    if (!subject->concerns(entry->actor)) continue;
    entry->doubted = true;
    any = true;
  }
  if (!any || !book_->running || book_->looking) return;
  book_->looking = true;
  group_.spawn(world_.executor(), "agent standing", [this](std::stop_token stop) { return look(stop); });
}

std::vector<RunStanding::EntryPtr> RunStanding::take_doubted() {
  const std::lock_guard lock(book_->mutex);
  std::vector<EntryPtr> out;
  for (const auto& [id, entry] : book_->entries) {
    if (std::exchange(entry->doubted, false)) out.push_back(entry);
  }
  if (out.empty()) book_->looking = false;
  return out;
}

core::Task<bool> RunStanding::may_go_on(RunActor actor) const {
  try {
    co_await caller(std::move(actor));
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::PermissionDenied) throw;
    co_return false;
  }
  co_return true;
}

// False: some could not be asked about, and are doubted still.
core::Task<bool> RunStanding::ask(std::vector<EntryPtr> doubted) {
  std::map<RunActor, bool> known;
  bool all = true;
  for (const auto& entry : doubted) {
    try {
      auto found = known.find(entry->actor);
      if (found == known.end()) found = known.emplace(entry->actor, co_await may_go_on(entry->actor)).first;
      if (!found->second) entry->control->revoke();
    } catch (const core::Error& error) {
      core::log::warn("agents.standing_not_known", {{"error", error.what()}, {"detail", error.detail()}});
      const std::lock_guard lock(book_->mutex);
      entry->doubted = true;
      all = false;
    } catch (const std::exception& error) {
      core::log::error("agents.standing_not_known", {{"error", error.what()}});
      const std::lock_guard lock(book_->mutex);
      entry->doubted = true;
      all = false;
    }
  }
  co_return all;
}

core::Task<> RunStanding::look(std::stop_token stop) {
  while (!stop.stop_requested()) {
    auto doubted = take_doubted();
    if (doubted.empty()) co_return;
    if (!co_await ask(std::move(doubted))) co_await core::sleep_for(kAskAgainAfter, stop);
  }
}

void RunStanding::start() {
  const std::lock_guard lock(book_->mutex);
  book_->running = true;
}

void RunStanding::stop() {
  {
    const std::lock_guard lock(book_->mutex);
    book_->running = false;
  }
  group_.stop();
}

}  // namespace assistiv::agents
