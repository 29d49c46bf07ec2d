#include "net/request_parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstring>
#include <limits>
#include <optional>

namespace assistiv::net {

namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

using BeastError = beast::error_code;

constexpr std::size_t kMethodBytesMax = 32;
// What the request line holds besides the target: method, two spaces, version.
constexpr std::size_t kLineOverhead = kMethodBytesMax + 11;
// A chunked body without a chunk, "0 CRLF CRLF". Beast asserts that it gets no less once it has seen the
// zero.
constexpr std::size_t kEmptyChunkedBytes = 5;

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

bool is_token_char(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return c != '\0' && std::strchr("!#$%&'*+-.^_`|~", c) != nullptr;
}

bool is_decimal(std::string_view text) {
  return !text.empty() && text.size() <= 18 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Letters, digits, the marks of RFC 3986 reg-names and IP literals, and the port's colon.
bool is_host_value(std::string_view text) {
  return !text.empty() && text.size() <= 255 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && std::strchr("-._~%:[]!$&'()*+,;=", c) != nullptr);
  });
}

Refusal bad(std::string message) {
  return {400, "bad_request", std::move(message)};
}

Refusal head_too_large() {
  return {431, "headers_too_large", "The request's header fields are too large. Send fewer or shorter ones."};
}

Refusal target_too_long() {
  return {414, "uri_too_long", "The request's URL is too long. Send the data as a body."};
}

Refusal body_too_large(std::size_t limit) {
  return {413, "payload_too_large",
          "The body is larger than " + std::to_string(limit) + " bytes. Send less at a time."};
}

// Watches the lines of a head as they arrive.
class HeadScan {
 public:
  // Looks at what is new in `bytes`; the size of the head once it is whole, 0 before.
  std::size_t advance(std::string_view bytes, const RequestLimits& limits) {
    while (!refusal) {
      const auto lf = bytes.find('\n', seen_);
      if (lf == std::string_view::npos || lf >= limits.header_bytes_max) break;
      const auto line = bytes.substr(line_start_, lf - line_start_);
      seen_ = line_start_ = lf + 1;
      check_line(line, limits);
      if (!refusal && lines_ > 1 && line.size() == 1) return line_start_;
    }
    if (refusal) return 0;
    seen_ = bytes.size();
    check_partial(bytes, limits);
    return 0;
  }

  std::optional<Refusal> refusal;

 private:
  void check_line(std::string_view line, const RequestLimits& limits) {
    ++lines_;
    if (line.empty() || line.back() != '\r') {
      refusal = bad("A line of the head does not end in CRLF.");
      return;
    }
    line.remove_suffix(1);
    if (line.find('\r') != std::string_view::npos || line.find('\0') != std::string_view::npos) {
      refusal = bad("The head has a control character.");
    } else if (lines_ == 1) {
      check_request_line(line, limits);
    } else if (!line.empty() && (line.front() == ' ' || line.front() == '\t')) {
      refusal = bad("A header field is folded over several lines.");
    }
  }

  void check_request_line(std::string_view line, const RequestLimits& limits) {
    const auto space = line.find(' ');
    const auto last = line.rfind(' ');
    if (space == std::string_view::npos || space == last) {
      refusal = bad("The request line is not \"METHOD target HTTP/1.1\".");
    } else if (space > kMethodBytesMax) {
      refusal = bad("The method is too long.");
    } else if (last - space - 1 > limits.target_bytes_max) {
      refusal = target_too_long();
    } else {
      check_version(line.substr(last + 1));
    }
  }

  void check_version(std::string_view version) {
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (version.size() != 8 || !version.starts_with("HTTP/") || !digit(version[5]) || version[6] != '.' ||
        !digit(version[7])) {
      refusal = bad("The request line does not name an HTTP version.");
    } else if (version != "HTTP/1.1" && version != "HTTP/1.0") {
      refusal = Refusal{505, "http_version_not_supported", "Use HTTP/1.1."};
    }
  }

  void check_partial(std::string_view bytes, const RequestLimits& limits) {
    if (!bytes.empty() && !is_token_char(bytes.front())) {
      refusal = bad("This is not an HTTP request.");
    } else if (lines_ == 0 && bytes.size() > limits.target_bytes_max + kLineOverhead) {
      refusal = target_too_long();
    } else if (bytes.size() >= limits.header_bytes_max) {
      refusal = head_too_large();
    }
  }

  std::size_t seen_ = 0;
  std::size_t line_start_ = 0;
  std::size_t lines_ = 0;
};

}  // namespace

struct RequestParser::Impl final : http::basic_parser<true> {
  explicit Impl(const RequestLimits& given) : limits(given) {
    header_limit(static_cast<std::uint32_t>(
        std::min<std::size_t>(limits.header_bytes_max, std::numeric_limits<std::uint32_t>::max())));
    body_limit(limits.body_bytes_max);
    eager(true);
  }

  RequestLimits limits;
  State state = State::Head;
  Refusal refusal;
  core::HttpRequest request;
  HeadScan scan;
  bool head_done = false;
  bool http11 = false;
  bool expects_continue = false;
  std::string absolute_host;
  std::size_t hosts = 0;
  std::size_t lengths = 0;
  std::size_t codings = 0;
  std::optional<Refusal> own;  // why a callback stopped Beast

  void refuse(Refusal why) {
    refusal = std::move(why);
    state = State::Refused;
  }

  void stop(Refusal why, BeastError& error) {
    own = std::move(why);
    error = http::error::bad_value;
  }

  void read_target(std::string_view target, BeastError& error);
  void read_absolute(std::string_view rest, BeastError& error);
  void read_field(http::field name, std::string_view value, BeastError& error);
  Refusal explain(BeastError error) const;
  std::size_t feed_head(std::string_view bytes);
  std::size_t feed_body(std::string_view bytes);
  std::size_t put_all(std::string_view bytes);

  void on_request_impl(http::verb, beast::string_view method, beast::string_view target, int version,
                       BeastError& error) override {
    request.method = view(method);
    http11 = version == 11;
    read_target(view(target), error);
  }
  void on_response_impl(int, beast::string_view, int, BeastError&) override {}
  void on_field_impl(http::field name, beast::string_view name_text, beast::string_view value,
                     BeastError& error) override {
    if (head_done) return;  // a trailer
    if (request.headers.fields().size() >= limits.header_fields_max) return stop(head_too_large(), error);
    read_field(name, view(value), error);
    if (!error) request.headers.add(std::string(view(name_text)), std::string(view(value)));
  }
  void on_header_impl(BeastError& error) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>&, BeastError&) override {}
  std::size_t on_body_impl(beast::string_view body, BeastError&) override {
    request.body.append(body.data(), body.size());
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, BeastError&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, BeastError&) override {
    request.body.append(body.data(), body.size());
    return body.size();
  }
  void on_finish_impl(BeastError&) override {}
};

void RequestParser::Impl::read_target(std::string_view target, BeastError& error) {
  if (std::any_of(target.begin(), target.end(), [](char c) { return c <= 0x20 || c >= 0x7f || c == '#'; }))
    return stop(bad("The URL has a character that must be percent-encoded."), error);
  if (target == "*" && request.method == "OPTIONS") {
    request.path = "*";
    return;
  }
  if (!target.starts_with('/')) return read_absolute(target, error);
  const auto question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string_view::npos) request.query = target.substr(question + 1);
}

// RFC 9112 3.2.2: the authority of an absolute-form target replaces the Host field.
void RequestParser::Impl::read_absolute(std::string_view target, BeastError& error) {
  const auto scheme = target.find("://");
  const auto name = target.substr(0, scheme);
  if (scheme == std::string_view::npos ||
      (!core::equals_ignore_case(name, "http") && !core::equals_ignore_case(name, "https")))
    return stop(bad("The request's target is neither a path nor an http URL."), error);
  target.remove_prefix(scheme + 3);
  const auto end = target.find_first_of("/?");
  const auto authority = target.substr(0, end);
  if (!is_host_value(authority)) return stop(bad("The URL's host is malformed."), error);
  std::string rest(end == std::string_view::npos ? std::string_view() : target.substr(end));
  read_target(rest.starts_with('/') ? rest : "/" + rest, error);
  absolute_host = authority;
}

void RequestParser::Impl::read_field(http::field name, std::string_view value, BeastError& error) {
  switch (name) {
    case http::field::host:
      if (++hosts > 1) return stop(bad("The Host header field is sent twice."), error);
      if (!is_host_value(value)) return stop(bad("The Host header field is malformed."), error);
      return;
    case http::field::content_length:
      if (++lengths > 1) return stop(bad("Content-Length is sent twice."), error);
      if (!is_decimal(value)) return stop(bad("Content-Length is not a number."), error);
      return;
    case http::field::transfer_encoding:
      if (++codings > 1) return stop(bad("Transfer-Encoding is sent twice."), error);
      if (!http11) return stop(bad("Transfer-Encoding is not a part of HTTP/1.0."), error);
      if (!core::equals_ignore_case(value, "chunked"))
        return stop({501, "not_implemented", "The only Transfer-Encoding that is understood is chunked."},
                    error);
      return;
    case http::field::expect:
      if (!core::equals_ignore_case(value, "100-continue"))
        return stop({417, "expectation_failed", "The only Expect that is understood is 100-continue."},
                    error);
      expects_continue = http11;
      return;
    default:
      return;
  }
}

void RequestParser::Impl::on_header_impl(BeastError& error) {
  if (lengths > 0 && codings > 0)
    return stop(bad("Content-Length and Transfer-Encoding are both sent."), error);
  if (http11 && hosts == 0) return stop(bad("The Host header field is missing."), error);
  if (!absolute_host.empty()) request.headers.set("host", absolute_host);
  head_done = true;
}

Refusal RequestParser::Impl::explain(BeastError error) const {
  if (own) return *own;
  if (error == http::error::body_limit) return body_too_large(limits.body_bytes_max);
  if (error == http::error::header_limit) return head_too_large();
  if (error == http::error::bad_content_length || error == http::error::bad_transfer_encoding)
    return bad("Content-Length and Transfer-Encoding contradict each other or are malformed.");
  if (error == http::error::bad_chunk || error == http::error::bad_chunk_extension)
    return bad("The chunked body is malformed.");
  return bad("The request is malformed (" + error.message() + ").");
}

std::size_t RequestParser::Impl::put_all(std::string_view bytes) {
  BeastError error;
  const std::size_t used = put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  if (error && error != http::error::need_more) {
    refuse(explain(error));
    return 0;
  }
  if (is_done()) state = State::Complete;
  return used;
}

std::size_t RequestParser::Impl::feed_head(std::string_view bytes) {
  std::size_t skipped = 0;
  if (bytes.starts_with("\r\n")) skipped = 2;  // RFC 9112 2.2: an empty line before the request line
  if (bytes == "\r") return 0;
  bytes.remove_prefix(skipped);
  const std::size_t size = scan.advance(bytes, limits);
  if (scan.refusal) {
    refuse(std::move(*scan.refusal));
    return 0;
  }
  if (size == 0) return 0;
  put_all(bytes.substr(0, size));
  if (state == State::Refused) return 0;
  if (state == State::Head) state = State::Body;
  if (state == State::Complete) return skipped + size;
  return skipped + size + feed_body(bytes.substr(size));
}

std::size_t RequestParser::Impl::feed_body(std::string_view bytes) {
  if (bytes.empty()) return 0;
  if (codings > 0 && bytes.front() == '0' && bytes.size() < kEmptyChunkedBytes) return 0;
  const std::size_t used = put_all(bytes);
  // A chunk's head and the trailers must fit in what the connection buffers.
  if (state == State::Body && used == 0 && bytes.size() >= limits.header_bytes_max)
    refuse(bad("The chunked body is malformed."));
  return used;
}

RequestParser::RequestParser(const RequestLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;
RequestParser::RequestParser(RequestParser&&) noexcept = default;

std::size_t RequestParser::feed(std::string_view bytes) {
  switch (impl_->state) {
    case State::Head:
      return impl_->feed_head(bytes);
    case State::Body:
      return impl_->feed_body(bytes);
    default:
      return 0;
  }
}

RequestParser::State RequestParser::state() const {
  return impl_->state;
}
const Refusal& RequestParser::refusal() const {
  return impl_->refusal;
}
bool RequestParser::http11() const {
  return impl_->http11;
}
bool RequestParser::keep_alive() const {
  return impl_->keep_alive();
}
bool RequestParser::expects_continue() const {
  return impl_->expects_continue;
}
core::HttpRequest& RequestParser::request() {
  return impl_->request;
}

}  // namespace assistiv::net
