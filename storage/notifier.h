#pragma once
// Cross-node invalidation: one LISTEN connection per process. What Transaction::notify sends reaches every
// process, this one too, within a second. After a lost connection every subscriber gets the topic "resync"
// with an empty payload, because messages may have been missed: drop the whole cache then.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace assistiv::storage {

class Notifier {
 public:
  explicit Notifier(std::string database_url);
  ~Notifier();
  // Callbacks run on the notifier's own thread: quick, no blocking, no throwing. Subscribe before start().
  void subscribe(std::function<void(std::string_view topic, std::string_view payload)> callback);
  // Listens when it returns; throws Unavailable when the database does not answer. Not on an I/O thread.
  void start();
  void stop();  // within a moment, or a connect timeout when it is just reconnecting

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assistiv::storage
