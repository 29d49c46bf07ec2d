#pragma once
// Keeps the whole of a result that was cut for a reply, so that its caller can read it as a resource.
#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "core/ids.h"
#include "core/task.h"
#include "oauth/principal.h"

namespace assistiv::mcp {

// No result is kept that is larger; what makes one is to cut it to this.
inline constexpr std::size_t kKeptBytesMax = 1'000'000;

struct ResultToKeep {
  oauth::PrincipalPtr principal;
  core::ConnectionId connection;
  std::string tool;
  std::string text;  // JSON
};

struct KeptLink {
  std::string uri;  // of the resource
  std::size_t bytes = 0;
  std::size_t parts = 1;  // how many reads it takes
};

class ResultKeeper {
 public:
  virtual ~ResultKeeper() = default;
  // Empty when it is not kept; never throws: a cut result is still a result.
  virtual core::Task<std::optional<KeptLink>> keep(ResultToKeep result) = 0;
};

// The same with the caller and the tool filled in.
using KeepResult = std::function<core::Task<std::optional<KeptLink>>(std::string text)>;

// A content block of type resource_link, as JSON text.
std::string resource_link_json(const KeptLink& link, const std::string& tool);
// For the note of a cut result.
std::string kept_note(const KeptLink& link);

}  // namespace assistiv::mcp
