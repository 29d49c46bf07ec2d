#include "mcp/remote/tool_review.h"

#include <map>
#include <set>

namespace assistiv::mcp {

namespace {

bool is_same(const RemoteToolRow& row, const ReadTool& found) {
  const bool both = row.seen.has_value() == found.definition.has_value();
  return both && row.refused == found.refused && (!row.seen || row.seen->digest == found.definition->digest);
}

bool is_gone(const RemoteToolRow& row) {
  return !row.seen && row.refused.empty();
}

}  // namespace

ToolChanges compare_tools(const std::vector<RemoteToolRow>& known, const std::vector<ReadTool>& found,
                          core::Time now) {
  std::map<std::string, const RemoteToolRow*> by_name;
  for (const auto& row : known) by_name[row.remote_name] = &row;
  ToolChanges out;
  std::set<std::string> present;
  for (const auto& tool : found) {
    if (!present.insert(tool.remote_name).second) continue;
    const auto it = by_name.find(tool.remote_name);
    if (it != by_name.end() && is_same(*it->second, tool)) continue;
    RemoteToolRow row;
    row.remote_name = tool.remote_name;
    row.seen = tool.definition;
    row.refused = tool.refused;
    row.changed_at = now;
    out.put.push_back(std::move(row));
    ++(tool.definition ? (it == by_name.end() ? out.added : out.changed) : out.refused);
  }
  for (const auto& row : known) {
    if (present.contains(row.remote_name) || (row.approved && is_gone(row))) continue;
    ++out.gone;
    if (!row.approved) {
      out.removed.push_back(row.remote_name);
      continue;
    }
    RemoteToolRow gone;
    gone.remote_name = row.remote_name;
    gone.changed_at = now;
    out.put.push_back(std::move(gone));
  }
  return out;
}

RemoteTool reviewed(const RemoteToolRow& row) {
  RemoteTool out;
  out.remote_name = row.remote_name;
  out.approved = row.approved;
  out.seen = row.seen;
  out.refused = row.refused;
  out.approved_at = row.approved_at;
  out.changed_at = row.changed_at;
  if (row.approved || row.seen) out.name = row.approved ? row.approved->name : row.seen->name;
  if (!row.refused.empty()) {
    out.state = RemoteToolState::Refused;
  } else if (!row.seen) {
    out.state = RemoteToolState::Gone;
  } else if (row.approved && row.approved->digest == row.seen->digest) {
    out.state = RemoteToolState::Active;
  } else {
    out.state = RemoteToolState::PendingReview;
  }
  return out;
}

}  // namespace assistiv::mcp
