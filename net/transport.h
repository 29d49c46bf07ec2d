#pragma once
// The bytes of one accepted connection, plain or TLS. Internal to the edge; used on the connection's I/O
// thread only.
#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "core/task.h"
#include "net/tls_context.h"

namespace assistiv::net {

using Socket = boost::asio::ip::tcp::socket;
using ErrorCode = boost::system::error_code;

// What is left to write, in order.
using Parts = std::array<std::string_view, 2>;

enum class IoState { Done, WouldBlock, Closed };

struct IoResult {
  IoState state = IoState::Done;
  std::size_t bytes = 0;
};

// Told when read_now() is worth calling, or with an error when it no longer is. Kept alive by the pending
// operation.
class ReadListener {
 public:
  virtual ~ReadListener() = default;
  virtual void on_readable(ErrorCode error) = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual core::Task<bool> handshake() = 0;
  // One at a time. Holds no buffer of the caller's, so an idle connection costs none.
  virtual void when_readable(std::shared_ptr<ReadListener> listener) = 0;
  virtual IoResult read_now(std::span<char> into) = 0;
  // Writes what goes without waiting; WouldBlock says to use write_some().
  virtual IoResult write_now(Parts parts) = 0;
  // Waits until at least one byte is written. The bytes must stay until it returns.
  virtual core::Task<IoResult> write_some(Parts parts) = 0;
  // Tells the peer that nothing more will be written.
  virtual core::Task<> finish() = 0;
  virtual void close() = 0;
};

std::unique_ptr<Transport> make_plain_transport(Socket socket);
std::unique_ptr<Transport> make_tls_transport(Socket socket, std::shared_ptr<TlsContext> context);

}  // namespace assistiv::net
