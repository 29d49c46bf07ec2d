#pragma once
// What an end user's connections, apps and tools are, in JSON and in Markdown, made from the manifests and
// the caller's snapshot. Nothing secret is in any of them. Pure.
#include <string>

#include "core/json.h"
#include "mcp/content/visible_apps.h"

namespace assistiv::mcp {

// {id, app, app_title, label, account_id, status, is_default, scopes, uri}; status is "active" or
// "needs_reauth".
core::Json connection_json(const VisibleApp& app, const Account& account);
// Markdown.
std::string app_document(const VisibleApp& app);
std::string tool_document(const VisibleApp& app, const Tool& tool);

}  // namespace assistiv::mcp
