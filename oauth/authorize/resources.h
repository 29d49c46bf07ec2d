#pragma once
// The MCP URLs that tokens are made for (RFC 8707, RFC 9728), and the scopes. Pure.
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace assistiv::oauth {

// List tools and use those that only read.
inline constexpr std::string_view kScopeMcp = "mcp";
// Use the others, too. Contains kScopeMcp.
inline constexpr std::string_view kScopeWrite = "mcp:write";
// A refresh token. The authorization server's own: never in a challenge.
inline constexpr std::string_view kScopeOffline = "offline_access";

// What an operation on an MCP URL could need, as a challenge lists it.
std::string full_scope();

// One MCP URL as tokens and metadata write it.
struct Resource {
  std::string url;
  std::optional<std::string> app;  // set for /mcp/{app}
};

class Resources {
 public:
  // `base` is the public URL of the MCP side, without a trailing slash. `knows_app` says whether this server
  // has an app of that name.
  Resources(std::string base, std::function<bool(std::string_view)> knows_app);

  // What a client called it: with or without a trailing slash, scheme and host in any case, the base alone
  // and the legacy /mcp/sse for all apps. Nothing when it is none of ours.
  std::optional<Resource> find(std::string_view url) const;
  // The URL whose tokens the request path takes ("/mcp/github"); "" for a path that takes none.
  std::string url_of_path(std::string_view path) const;
  // Where the metadata of a URL of find() or url_of_path() is.
  std::string metadata_url(std::string_view url) const;
  std::string all_apps() const { return base_ + "/mcp"; }

 private:
  std::string base_;
  std::function<bool(std::string_view)> knows_app_;
};

// The known scopes of a space-separated list, sorted, with what they contain. Others are left out.
std::vector<std::string> known_scopes(std::string_view text);
std::string scope_text(const std::vector<std::string>& scopes);

}  // namespace assistiv::oauth
