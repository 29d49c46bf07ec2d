#pragma once
// A model provider on 127.0.0.1: what a test scripts for a path is sent byte by byte as written, with its
// cuts, pauses and resets; other paths are answered happily in the dialect they belong to
// (/chat/completions, /messages, /responses, /models/{m}:generateContent, :streamGenerateContent,
// /embeddings), whole or as a stream. One thread; two kilobytes per connection.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/http.h"

namespace assistiv::test {

struct UpstreamSeen {
  std::string method;
  std::string target;
  core::HttpHeaders headers;
  std::string body;
  std::size_t connection = 0;  // 1 for the first that was accepted
};

// The bytes of one reply, status line and all.
struct WireReply {
  std::string bytes;
  std::size_t piece_bytes = 0;  // sent in pieces of this size; 0: at once
  std::chrono::milliseconds first_delay{0};
  std::chrono::milliseconds pause{0};  // between two pieces
  bool endless = false;                // the last piece again and again, until the other side closes
  bool hang = false;                   // after the bytes, until the other side closes
  bool reset = false;                  // after the bytes: RST
  bool close = false;                  // after the bytes: FIN
};

struct UpstreamPace {
  std::size_t tokens = 20;
  std::chrono::milliseconds per_token{0};
};

// Starts in the constructor, ends in the destructor. Thread-safe.
class ScriptedUpstream {
 public:
  explicit ScriptedUpstream(std::uint16_t port = 0, UpstreamPace pace = {}, bool remember = true);
  ~ScriptedUpstream();
  ScriptedUpstream(const ScriptedUpstream&) = delete;
  ScriptedUpstream& operator=(const ScriptedUpstream&) = delete;

  std::uint16_t port() const;
  std::string url(std::string_view path) const;
  // Answers one request to `path` (without the query); several are used in order.
  void next(const std::string& path, WireReply reply);
  std::vector<UpstreamSeen> requests() const;
  std::size_t connections() const;
  // Waits until no connection is open; false after ten seconds.
  bool wait_until_closed() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// A whole reply with its length.
WireReply wire_json(int status, const std::string& body, const std::string& headers = "");
// A stream's head with chunked framing, one chunk per entry, and the last chunk.
WireReply wire_stream(const std::vector<std::string>& chunks);

}  // namespace assistiv::test
