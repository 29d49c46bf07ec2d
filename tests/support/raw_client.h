#pragma once
// A TCP client that sends exactly the bytes it is given. Blocking; every read gives up after ten seconds.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/http.h"

struct ssl_st;

namespace assistiv::test {

struct RawReply {
  int status = 0;
  core::HttpHeaders headers;
  std::string body;  // chunks joined
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port, int receive_buffer_bytes = 0);
  // Over TLS, verifying the server's certificate for `name`; throws when that fails.
  RawClient(std::uint16_t port, const std::string& ca_file, const std::string& name);
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&&) = delete;

  // Whether all of it could be sent.
  bool send(std::string_view bytes);
  // One whole reply; empty when the connection ends or time runs out before it is whole. `head_only`: to
  // HEAD.
  std::optional<RawReply> read_reply(bool head_only = false);
  // The head only; the body stays to be read.
  std::optional<RawReply> read_head();
  // Everything up to and including `mark`; empty when it does not come.
  std::string read_until(std::string_view mark);
  // Everything until the server closes; empty optional when it does not.
  std::optional<std::string> read_to_end();
  // Whether the server has closed (no byte comes before).
  bool closed();
  // Whether something can be read now.
  bool readable() const;
  // No more bytes will be sent; reading goes on.
  void finish();
  // Ends the connection with RST.
  void reset();

 private:
  bool more();
  int fd_ = -1;
  ssl_st* tls_ = nullptr;
  std::string buffer_;
};

}  // namespace assistiv::test
