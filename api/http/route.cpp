#include "api/http/route.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::api {

namespace {

int bounded_number(const std::map<std::string, std::string>& query, const std::string& name, int standard,
                   int max) {
  const auto it = query.find(name);
  if (it == query.end()) return standard;
  int value = 0;
  const auto& text = it->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > max) {
    throw core::bad_request("\"" + name + "\" must be a whole number from 1 to " + std::to_string(max) + ".",
                            name);
  }
  return value;
}

}  // namespace

core::Error not_found_id(const std::string& noun) {
  return core::not_found("There is no such " + noun + ".");
}

core::PlatformId Call::platform_id() const {
  return id<core::PlatformId>("platform_id", "platform");
}

std::string Call::query_or(const std::string& name, std::string standard) const {
  const auto it = query.find(name);
  return it == query.end() ? standard : it->second;
}

int Call::page() const {
  return bounded_number(query, "page", 1, 1000000);
}
int Call::limit() const {
  return bounded_number(query, "limit", 20, 100);
}

core::HttpReply data_reply(int status, const core::Json& data) {
  return core::json_reply(status, "{\"data\":" + core::dump_json(data) + "}");
}

core::HttpReply list_reply(const core::Json& rows, std::int64_t total, const Call& call) {
  return core::json_reply(200, "{\"data\":" + core::dump_json(rows) + ",\"total\":" + std::to_string(total) +
                                   ",\"page\":" + std::to_string(call.page()) +
                                   ",\"limit\":" + std::to_string(call.limit()) + "}");
}

core::HttpReply no_content() {
  core::HttpReply reply;
  reply.status = 204;
  return reply;
}

}  // namespace assistiv::api
