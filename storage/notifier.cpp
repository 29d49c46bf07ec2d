#include "storage/notifier.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <pqxx/pqxx>
#include <stop_token>
#include <thread>
#include <vector>

#include "core/async.h"
#include "core/error.h"
#include "core/log.h"
#include "core/metrics.h"
#include "storage/connection_url.h"
#include "storage/descriptor.h"
#include "storage/sql_error.h"

namespace assistiv::storage {

namespace {

constexpr std::chrono::milliseconds kProbe{5000};  // a quiet connection may be a dead one
constexpr std::chrono::milliseconds kReconnectMin{100}, kReconnectMax{5000};

using Subscribers = std::vector<std::function<void(std::string_view, std::string_view)>>;

class Receiver final : public pqxx::notification_receiver {
 public:
  Receiver(pqxx::connection_base& connection, const Subscribers& subscribers)
      : notification_receiver(connection, "assistiv"), subscribers_(subscribers) {}

  void operator()(const std::string& message, int) override {
    const std::string_view text = message;
    const auto space = std::min(text.find(' '), text.size());
    const auto payload = space == text.size() ? std::string_view() : text.substr(space + 1);
    for (const auto& subscriber : subscribers_) subscriber(text.substr(0, space), payload);
  }

 private:
  const Subscribers& subscribers_;
};

// A connection that listens. libpqxx's own reconnecting is off: it would lose messages without a word.
class Listener {
 public:
  Listener(const std::string& url, const Subscribers& subscribers)
      : connection_(with_defaults(url, {{"connect_timeout", "5"},
                                        {"application_name", "assistiv-notifier"},
                                        {"client_encoding", "UTF8"},
                                        {"keepalives_idle", "5"},
                                        {"keepalives_interval", "2"},
                                        {"keepalives_count", "3"},
                                        {"tcp_user_timeout", "10000"}})),
        quiet_(connection_),
        receiver_(connection_, subscribers) {
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
    connection_.inhibit_reactivation(true);
#pragma clang diagnostic pop
  }

  // Delivers what comes until `wake` is readable. Throws when the connection is lost.
  void serve(int wake) {
    while (true) {
      pollfd fds[] = {{wake, POLLIN, 0}, {connection_.sock(), POLLIN, 0}};
      const int ready = poll(fds, 2, static_cast<int>(kProbe.count()));
      if (fds[0].revents != 0) return;
      if (ready == 0) pqxx::nontransaction(connection_).exec("select 1");
      connection_.get_notifs();
    }
  }

 private:
  pqxx::connection connection_;
  pqxx::quiet_errorhandler quiet_;
  Receiver receiver_;
};

bool wait_for_wake(int wake, std::chrono::milliseconds time) {
  pollfd fd{wake, POLLIN, 0};
  return poll(&fd, 1, static_cast<int>(time.count())) > 0;
}

}  // namespace

struct Notifier::Impl {
  explicit Impl(std::string database_url)
      : url(std::move(database_url)), wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!wake) throw core::internal("eventfd failed");
  }

  void run(std::unique_ptr<Listener> listener);
  std::unique_ptr<Listener> reconnect();

  std::string url;
  Subscribers subscribers;
  Descriptor wake;  // readable from stop() on
  core::metrics::Counter& losses =
      core::metrics::counter("assistiv_notifier_losses_total", "Times that the LISTEN connection was lost.");
  std::jthread thread;
};

void Notifier::Impl::run(std::unique_ptr<Listener> listener) {
  while (listener) {
    try {
      return listener->serve(wake.get());
    } catch (const std::exception& e) {
      core::log::warn("notifier.lost", {{"error", e.what()}});
    }
    losses.add();
    listener.reset();
    listener = reconnect();
    if (!listener) return;
    core::log::info("notifier.back");
    for (const auto& subscriber : subscribers) subscriber("resync", "");
  }
}

// Nothing when it is time to stop.
std::unique_ptr<Listener> Notifier::Impl::reconnect() {
  for (auto pause = kReconnectMin; !wait_for_wake(wake.get(), pause);
       pause = std::min(pause * 2, kReconnectMax)) {
    try {
      return std::make_unique<Listener>(url, subscribers);
    } catch (const std::exception&) {
      core::log::debug("notifier.still_lost");
    }
  }
  return nullptr;
}

Notifier::Notifier(std::string database_url) : impl_(std::make_unique<Impl>(std::move(database_url))) {}
Notifier::~Notifier() {
  stop();
}

void Notifier::subscribe(std::function<void(std::string_view, std::string_view)> callback) {
  impl_->subscribers.push_back(std::move(callback));
}

void Notifier::start() {
  if (core::on_io_thread()) throw core::internal("a database call on an I/O thread");
  std::unique_ptr<Listener> listener;
  try {
    listener = std::make_unique<Listener>(impl_->url, impl_->subscribers);
  } catch (const std::exception& e) {
    throw cannot_connect(e.what());
  }
  impl_->thread =
      std::jthread([impl = impl_.get()](std::unique_ptr<Listener> first) { impl->run(std::move(first)); },
                   std::move(listener));
}

void Notifier::stop() {
  const std::uint64_t one = 1;
  if (write(impl_->wake.get(), &one, sizeof(one)) < 0) core::log::error("notifier.stop_failed");
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace assistiv::storage
