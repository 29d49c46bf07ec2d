#pragma once
// The HTTP/1.1 edge (RFC 9110, RFC 9112): everything that faces callers. It is strict, because proxies in
// front of it and handlers behind it must see the same request: what is malformed or ambiguous is refused
// here with
// {"error":{"code","message","request_id"}}, and the connection closes.
//
// A request that reaches the handler has its whole body, one length, one Host and a request id. The handler
// runs on the connection's I/O thread and must not block. While it runs, or its stream is open, the edge
// watches the socket: a client that leaves (FIN or RST) requests stop on HttpRequest::gone at once.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/http.h"
#include "core/random.h"
#include "net/io_threads.h"

namespace assistiv::net {

// PEM files.
struct TlsFiles {
  std::string certificate_chain;
  std::string private_key;
};

struct ServerOptions {
  std::string address = "127.0.0.1";  // an IP address; "::" takes IPv4 too
  std::uint16_t port = 0;             // 0: any free one
  std::optional<TlsFiles> tls;        // TLS 1.2 and newer

  std::size_t target_bytes_max = 8 << 10;    // 414
  std::size_t header_bytes_max = 16 << 10;   // request line and fields; 431
  std::size_t header_fields_max = 128;       // 431
  std::size_t body_bytes_max = 4 << 20;      // 413, before reading when Content-Length says so
  std::size_t bodies_bytes_max = 512 << 20;  // of all requests that are being read at one time; 503
  std::size_t connections_max = 16384;       // 503 and close
  // The same for each client address (IPv6: each /64), but for these and the trusted proxies; 0 is no limit.
  // A program on the same machine is not counted: most often it is a proxy that nobody declared.
  std::size_t connections_per_address_max = 1024;
  std::vector<std::string> uncounted_addresses = {"127.0.0.0/8", "::1"};

  std::chrono::milliseconds header_timeout{10'000};  // first byte to the end of the head, TLS handshake; 408
  std::chrono::milliseconds body_timeout{30'000};    // for the whole body; 408
  std::chrono::milliseconds keep_alive_timeout{75'000};  // idle between requests; closed silently
  std::chrono::milliseconds write_timeout{30'000};       // for each 64 KiB that the client takes; closed

  // CIDRs ("10.0.0.0/8", "::1") whose X-Forwarded-For, X-Forwarded-Proto and X-Request-Id are believed.
  // Their X-Request-Id becomes the beginning of ours.
  std::vector<std::string> trusted_proxies;
  std::string request_id_prefix = "req_";
  // Another body (JSON) for an error that the edge answers itself; nullopt: the envelope above. `path` is ""
  // when the head was not read so far.
  std::function<std::optional<std::string>(std::string_view path, int status, const std::string& message)>
      refusal_body;
};

// start() once; drain() and stop() from a thread that is not an I/O thread. The handler is called on many
// threads.
class Server {
 public:
  // Throws core::Error{InvalidArgument} when an option cannot be used (it names the option).
  Server(ServerOptions options, IoThreads& io, core::Clock& clock, core::Random& random,
         core::HttpHandler handler);
  ~Server();  // calls stop()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds and listens. Throws core::Error{Unavailable} when the address cannot be had.
  void start();
  // The port that is listened on, after start().
  std::uint16_t port() const;
  // Reads the TLS files again; new connections use them. Throws and keeps the old ones when they cannot be
  // read.
  void reload_tls();
  // Stops accepting, closes idle connections, requests `gone` on streams, and lets requests in flight finish
  // (their replies say "connection: close"). True when every connection ended in time.
  bool drain(std::chrono::milliseconds timeout);
  // Requests `gone` everywhere, closes every connection and waits until the handlers have ended.
  void stop();
  std::size_t connections() const;

 private:
  struct State;
  static core::Task<> accept_connections(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace assistiv::net
