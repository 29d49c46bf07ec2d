// The request parser as the connection drives it: pieces of any size, requests one after the other. Whatever
// the split, the requests must be the same, and a request that was taken must have one clear reading.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/request_parser.h"

namespace {

using assistiv::net::RequestLimits;
using assistiv::net::RequestParser;
using State = RequestParser::State;

struct Seen {
  std::string method, path, query, body;
  std::size_t fields = 0;
  int refused = 0;
  bool operator==(const Seen&) const = default;
};

void require(bool holds) {
  if (!holds) std::abort();
}

void check_taken(const assistiv::core::HttpRequest& request, bool http11, const RequestLimits& limits) {
  const auto& headers = request.headers;
  require(headers.count("host") <= 1 && (!http11 || headers.count("host") == 1));
  require(headers.count("content-length") + headers.count("transfer-encoding") <= 1);
  require(request.body.size() <= limits.body_bytes_max);
  require(!request.path.empty() && (request.path[0] == '/' || request.path == "*"));
  for (const auto& [name, value] : headers.fields())
    require(!name.empty() && value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
}

std::vector<Seen> parse(std::string_view bytes, std::size_t piece) {
  const RequestLimits limits{
      .target_bytes_max = 64, .header_bytes_max = 512, .header_fields_max = 8, .body_bytes_max = 256};
  std::vector<Seen> seen;
  std::string pending;
  std::optional<RequestParser> parser(std::in_place, limits);
  while (true) {
    pending.erase(0, parser->feed(pending));
    if (parser->state() == State::Refused) {
      seen.push_back({.method = {},
                      .path = {},
                      .query = {},
                      .body = {},
                      .fields = 0,
                      .refused = parser->refusal().status});
      return seen;
    }
    if (parser->state() == State::Complete) {
      auto& request = parser->request();
      check_taken(request, parser->http11(), limits);
      seen.push_back(
          {request.method, request.path, request.query, request.body, request.headers.fields().size(), 0});
      parser.emplace(limits);
      continue;
    }
    if (bytes.empty()) return seen;
    pending.append(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
}

bool drop_refusal(std::vector<Seen>& seen) {
  if (seen.empty() || seen.back().refused == 0) return false;
  seen.pop_back();
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto one = parse(bytes, 64);
  auto other = parse(bytes, 1 + data[0] % 16);
  const bool one_refused = drop_refusal(one);
  const bool other_refused = drop_refusal(other);
  // The same requests in the same order. Only a limit may end one run earlier, because it looks at what is
  // buffered.
  require(one.size() == other.size() || (one.size() < other.size() ? one_refused : other_refused));
  for (std::size_t i = 0; i < std::min(one.size(), other.size()); ++i) require(one[i] == other[i]);
  return 0;
}
