#pragma once
// The open streams of this process: who listens for what, and how a change reaches them. What is announced is
// level triggered ("the list changed: fetch it again"), so a stream's backlog is a few bits and a slow reader
// costs nothing.
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/async.h"
#include "core/ids.h"

namespace assistiv::mcp {

enum ListKinds : unsigned { kToolsChanged = 1, kPromptsChanged = 2, kResourcesChanged = 4 };

// What a stream has to tell its client next.
struct Signals {
  unsigned kinds = 0;                // ListKinds
  std::vector<std::string> updated;  // URIs of subscribed resources
  std::vector<std::string> tasks;    // ids of watched tasks
  bool recheck = false;              // the key behind the stream may not be good any more
  bool close = false;                // the server ends the stream
};

// One open stream. Thread-safe.
class StreamMailbox {
 public:
  void post(unsigned kinds);
  void post_update(const std::string& uri);
  void post_task(const std::string& id);
  void recheck();
  void close();
  // Empties the mailbox.
  Signals take();
  core::AsyncEvent& event() { return event_; }

 private:
  std::mutex mutex_;
  Signals pending_;
  core::AsyncEvent event_;
};

struct StreamInterest {
  core::PlatformId platform;
  core::EndUserId end_user;
  std::string session;  // "" for a modern listen stream
  unsigned kinds = 0;
  std::vector<std::string> uris;
  std::string key_hash;                 // SHA-256 hex of the key that opened the stream
  std::vector<std::string> tasks = {};  // ids that the stream's caller may see
};

class StreamHub;

// Keeps a stream listed; dropping it takes the stream out.
class StreamPlace {
 public:
  StreamPlace(StreamHub& hub, core::EndUserId end_user, std::shared_ptr<StreamMailbox> mailbox);
  ~StreamPlace();
  StreamPlace(const StreamPlace&) = delete;
  StreamPlace& operator=(const StreamPlace&) = delete;
  StreamMailbox& mailbox() { return *mailbox_; }
  // The mailbox's, kept alive by what is given.
  std::shared_ptr<core::AsyncEvent> event() { return {mailbox_, &mailbox_->event()}; }

 private:
  StreamHub& hub_;
  core::EndUserId end_user_;
  std::shared_ptr<StreamMailbox> mailbox_;
};

// Thread-safe.
class StreamHub {
 public:
  StreamHub(std::size_t streams_max, std::size_t per_user_max);

  // Null when there are too many streams, or the hub is closed.
  std::shared_ptr<StreamPlace> open(StreamInterest interest);
  // To every listen stream of the user that asked for the kind, and to one GET stream per session, the
  // newest: a message must not go out on two streams of one session. All users of the platform without
  // `end_user`.
  void list_changed(core::PlatformId platform, std::optional<core::EndUserId> end_user, unsigned kinds);
  void resource_updated(core::PlatformId platform, core::EndUserId end_user, const std::string& uri);
  // The same for every subscribed resource whose URI begins with `prefix`; of all users without `end_user`.
  void resources_under_updated(core::PlatformId platform, std::optional<core::EndUserId> end_user,
                               std::string_view prefix);
  void task_changed(core::EndUserId end_user, const std::string& id);
  void add_uri(std::string_view session, core::EndUserId end_user, const std::string& uri);
  void remove_uri(std::string_view session, core::EndUserId end_user, const std::string& uri);

  void close_session(core::EndUserId end_user, std::string_view session);
  // The streams of a key, an end user or a whole platform look again whether they may stay open.
  void recheck_key(std::string_view key_hash);
  void recheck_user(core::EndUserId end_user);
  void recheck_platform(core::PlatformId platform);
  // Ends every stream, wakes every reader, and refuses new streams.
  void close_all();
  bool closed() const;
  std::size_t size() const;

  // Wakes readers of stored streams: wake(key) sets the event of everybody who watches the key.
  std::shared_ptr<core::AsyncEvent> watch(const std::string& key);
  // The same with the caller's own event.
  void watch(const std::string& key, const std::shared_ptr<core::AsyncEvent>& event);
  void wake(std::string_view key);
  // Notices may have been lost: everybody looks again at everything.
  void resync();

 private:
  friend class StreamPlace;
  struct Entry {
    StreamInterest interest;
    std::shared_ptr<StreamMailbox> mailbox;
  };
  using Entries = std::vector<Entry>;

  void leave(core::EndUserId end_user, const StreamMailbox* mailbox);
  static void deliver(Entries& entries, unsigned kinds);
  template <class Visit>
  void for_user(core::EndUserId end_user, Visit visit);

  const std::size_t streams_max_, per_user_max_;
  mutable std::mutex mutex_;
  bool closed_ = false;
  std::size_t count_ = 0;
  std::unordered_map<core::EndUserId, Entries, core::IdHash> users_;
  std::unordered_map<std::string, std::vector<std::weak_ptr<core::AsyncEvent>>> watchers_;
};

}  // namespace assistiv::mcp
