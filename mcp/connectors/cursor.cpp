#include "mcp/connectors/cursor.h"

#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "mcp/connectors/app_tools.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr std::size_t kMacBytes = 16;

std::string with_length(std::string_view text) {
  return std::to_string(text.size()) + ":" + std::string(text);
}

bool is_count(const Json& value) {
  return value.is_number_integer() && value.get<std::int64_t>() >= 0;
}

}  // namespace

CursorSeal::CursorSeal(core::Secret key) : key_(std::move(key)) {
  if (key_.reveal().size() < 32) throw core::internal("the cursor key is shorter than 32 bytes");
}

std::string CursorSeal::mac(const CursorScope& scope, std::string_view payload) const {
  const std::string bound = "cursor1" + with_length(scope.tool) + with_length(scope.connection) +
                            with_length(scope.arguments_digest) + with_length(payload);
  return core::hmac_sha256(key_.reveal(), bound).substr(0, kMacBytes);
}

std::string CursorSeal::seal(const CursorScope& scope, const PageState& state, core::Time expires_at) const {
  const Json payload = {core::to_epoch_seconds(expires_at), state.size, state.skip, state.position_json};
  const std::string text = core::dump_json(payload);
  return core::base64url_encode(mac(scope, text) + text);
}

std::optional<PageState> CursorSeal::open(const CursorScope& scope, std::string_view cursor,
                                          core::Time now) const {
  if (cursor.size() > kCursorBytesMax) return {};
  const auto bytes = core::base64url_decode(cursor);
  if (!bytes || bytes->size() <= kMacBytes) return {};
  const auto text = std::string_view(*bytes).substr(kMacBytes);
  if (!core::constant_time_equal(mac(scope, text), std::string_view(*bytes).substr(0, kMacBytes))) return {};
  const auto payload = core::try_parse_json(text, 2);
  const bool good = payload && payload->is_array() && payload->size() == 4 && is_count((*payload)[0]) &&
                    is_count((*payload)[1]) && is_count((*payload)[2]) && (*payload)[3].is_string();
  if (!good || (*payload)[0].get<std::int64_t>() < core::to_epoch_seconds(now)) return {};
  return PageState{(*payload)[3].get<std::string>(), (*payload)[1].get<std::int64_t>(),
                   (*payload)[2].get<std::int64_t>()};
}

std::string arguments_digest(const Json& arguments) {
  Json bound = arguments;
  for (const char* own : {kLimitArgument, kCursorArgument, kFieldsArgument}) bound.erase(own);
  return core::sha256(core::dump_json(bound));
}

}  // namespace assistiv::mcp
