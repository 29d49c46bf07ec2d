#pragma once
// Cursors that callers get: where to go on, in our words. Opaque, and authentic: a cursor works only for the
// tool, the connection and the arguments that it came from, and only for a while.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/json.h"
#include "core/secret.h"

namespace assistiv::mcp {

struct PageState {
  std::string position_json;  // of the paginator, "" for the first page
  std::int64_t size = 0;      // of the upstream's pages
  std::int64_t skip = 0;      // results of the page that were given already
};

// What a cursor is bound to.
struct CursorScope {
  std::string tool;
  std::string connection;
  std::string arguments_digest;
};

class CursorSeal {
 public:
  // HMAC-SHA256 key of at least 32 bytes, else core::Error{Internal}.
  explicit CursorSeal(core::Secret key);

  std::string seal(const CursorScope& scope, const PageState& state, core::Time expires_at) const;
  // Empty when it was not made by seal() for this scope, or has expired.
  std::optional<PageState> open(const CursorScope& scope, std::string_view cursor, core::Time now) const;

 private:
  std::string mac(const CursorScope& scope, std::string_view payload) const;
  core::Secret key_;
};

// A digest of the arguments that a cursor is bound to: all but the engine's own.
std::string arguments_digest(const core::Json& arguments);

}  // namespace assistiv::mcp
