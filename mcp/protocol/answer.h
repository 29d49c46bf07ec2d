#pragma once
// The answer to one POST while its call runs: a plain JSON reply when the result comes first and soon, an
// event stream when something is to be said before it (progress, logs, questions), when it takes long
// (proxies cut silent connections), or when the client takes nothing else. The call and the reply are two
// coroutines on one executor.
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "core/async.h"
#include "core/http.h"
#include "mcp/sessions/session_store.h"

namespace assistiv::mcp {

// Whether a stream begins with an event that has an id and no data, so that the client can come back before
// the first message (2025-11-25 transports, "Sending Messages to the Server").
enum class Priming { No, Yes };

// Where a resumable stream keeps its events, so that a client can come back for them at any node.
struct AnswerLog {
  SessionStore& store;
  SessionOwner owner;
  std::string session;
  std::string stream;
  Priming priming;
};

// `<stream>.<seq>`: an event id says which stream to go on with.
std::string event_id(std::string_view stream, std::int64_t seq);
inline constexpr int kRetryMs = 1000;

class Answer {
 public:
  Answer(std::optional<AnswerLog> log, std::chrono::milliseconds heartbeat);
  // Nothing is answered here: every message goes to `elsewhere`, one after the other.
  explicit Answer(std::function<core::Task<>(std::string)> elsewhere);

  // The call's side. send() waits while the client reads slowly; what nobody can get any more is dropped.
  core::Task<> send(std::string message);
  // The response, or nothing ("") after a cancellation. `status` is for a plain reply.
  core::Task<> finish(std::string message, int status);
  // Ends the stream now; the client comes back for the rest. Nothing where it could not.
  core::Task<> release();

  // The reply's side.
  enum class Form { Plain, Events };
  // Waits until the answer has a form. Without `json_accepted` it is always a stream.
  core::Task<Form> choose(std::chrono::milliseconds patience, bool json_accepted);
  const std::string& plain() const { return plain_; }
  int status() const { return status_; }
  // Writes events until the response is out or the client has gone.
  static core::Task<> pump(std::shared_ptr<Answer> answer, std::stop_token gone,
                           std::shared_ptr<core::EventSink> sink);

 private:
  enum class Begun { No, Doing, Done };
  core::Task<> begin();
  core::Task<> deliver(std::string message, bool last);
  core::Task<bool> keep(std::string message, bool last);
  core::Task<bool> write_queue(std::shared_ptr<core::EventSink> sink);
  void queue(std::string event);
  void reader_left();

  std::function<core::Task<>(std::string)> elsewhere_;
  std::optional<AnswerLog> log_;
  const std::chrono::milliseconds heartbeat_;
  Begun begun_ = Begun::No;
  std::int64_t seq_ = 0;
  bool finished_ = false, released_ = false, reader_gone_ = false;
  std::deque<std::string> queue_;
  std::size_t queued_bytes_ = 0;
  std::string plain_;
  int status_ = 200;
  core::AsyncEvent ready_;  // for the reply: something happened
  core::AsyncEvent space_;  // for the call: the queue is shorter
  core::AsyncEvent begun_event_;
};

}  // namespace assistiv::mcp
