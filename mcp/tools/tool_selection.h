#pragma once
// Which of its tools a session (or one modern request) works with, how they are listed, and how long results
// may be. A selection only takes away from what grants allow, for listing and for calling alike. Pure.
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/snapshot_cache.h"
#include "mcp/tools/tool.h"

namespace assistiv::mcp {

class ToolIndex;

struct ToolSelection {
  // Search mode: the list is search_tools, get_tool and call_tool (tool_search.h), and of the tools only
  // `tools`; the others are found and called through those three.
  bool search = false;
  // Sorted, without duplicates. Not in search mode: only these tools. Empty: no such limit.
  std::vector<std::string> tools;
  // Sorted, without duplicates: an app ("github"), a group of an app ("github:issues"), or a group of every
  // app ("issues"). A tool of one of them is selected. Empty: no such limit.
  std::vector<std::string> toolsets;
  bool read_only = false;
  std::size_t result_tokens_max = 0;  // of one result; 0: the server's own bound, which always holds
  bool operator==(const ToolSelection&) const = default;

  // What it looks at of a tool. A tool of no app (the one that gives connect links) changes nothing at an app
  // and belongs to no set: only a list of names leaves it out.
  struct Traits {
    std::string_view name, app, group;
    bool read_only = false;
  };
  bool admits(const Traits& tool) const;  // may be called, and found
  bool lists(const Traits& tool) const;   // is in tools/list
};

using ToolSelectionPtr = std::shared_ptr<const ToolSelection>;

inline constexpr std::size_t kSelectedNamesMax = 256;

// For storing: "" stands for no selection at all. A text that was not made by selection_text throws Internal.
std::string selection_text(const ToolSelectionPtr& selection);
ToolSelectionPtr stored_selection(std::string_view text);

ToolSelection::Traits traits_of(const ToolView& tool);

// What a selection leaves of one caller's tools.
struct SelectedTools {
  std::shared_ptr<const ToolList> whole;  // keeps what `admitted` points to
  std::vector<const ToolView*> admitted;
  std::shared_ptr<const ToolList> listed;  // what tools/list shows
  std::shared_ptr<const ToolIndex> index;  // of `admitted`; in search mode only
  const ToolView* find(std::string_view name) const;
};
using SelectedToolsPtr = std::shared_ptr<const SelectedTools>;

// Keeps what was selected, for callers that send the same selection with every request. Bounded in bytes: a
// caller chooses how many different selections there are. Thread-safe.
class SelectionCache {
 public:
  SelectedToolsPtr get(const std::shared_ptr<const ToolList>& whole, const ToolSelectionPtr& selection);

 private:
  static constexpr std::size_t kSelectionsMax = 256;
  static constexpr std::size_t kSelectionBytesMax = 64 << 20;
  core::SnapshotCache<std::string, SelectedTools> kept_{
      {.entries_max = kSelectionsMax, .weight_max = kSelectionBytesMax}};  // by etag and selection
};

}  // namespace assistiv::mcp
