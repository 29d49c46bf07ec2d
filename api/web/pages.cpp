#include "api/web/pages.h"

#include <algorithm>

#include "api/web/html.h"
#include "core/embedded.h"

namespace assistiv::api {

namespace {

std::string permission_list(const std::vector<std::string>& permissions) {
  if (permissions.empty()) return "";
  std::string out = "<h2>What it will be able to do</h2><ul>";
  for (const auto& permission : permissions) out += "<li>" + esc(permission) + "</li>";
  return out + "</ul>";
}

std::string field_input(const ConsentField& field) {
  const std::string name = esc(field.name);
  std::string out = "<p class=\"field\"><label for=\"" + name + "\">" + esc(field.title) +
                    "</label><input type=\"text\" id=\"" + name + "\" name=\"" + name + "\" value=\"" +
                    esc(without_controls(field.value)) + "\"" + (field.optional ? "" : " required") +
                    " maxlength=\"256\" autocomplete=\"off\" autocapitalize=\"none\" "
                    "spellcheck=\"false\" aria-describedby=\"" +
                    name + "-hint\"" + (field.refused ? " aria-invalid=\"true\"" : "") + ">";
  if (field.refused) out += "<strong class=\"bad\">This value cannot be used.</strong> ";
  return out + "<span class=\"soft\" id=\"" + name + "-hint\">" + esc(field.hint) + "</span></p>";
}

std::string field_inputs(const std::vector<ConsentField>& fields) {
  std::string out;
  for (const auto& field : fields) out += field_input(field);
  return out;
}

}  // namespace

core::HttpReply consent_page(const ConsentPage& page) {
  const std::string platform = isolated(page.platform_name);
  const bool refused =
      std::any_of(page.fields.begin(), page.fields.end(), [](const auto& field) { return field.refused; });
  return html_page(
      refused ? 422 : 200, "Connect " + page.app_title,
      "<p class=\"mark\">" + platform + "</p><h1>Connect your " + esc(page.app_title) +
          " account</h1><p><strong>" + platform + "</strong> asks to use your " + esc(page.app_title) +
          " account, so that its AI agents can work there for you.</p><dl><dt>Platform</dt><dd>" + platform +
          "</dd><dt>Your account there</dt><dd>" + isolated(page.end_user_label) +
          "</dd><dt>You sign in at</dt><dd>" + esc(page.provider_host) + "</dd></dl>" +
          permission_list(page.permissions) +
          "<p class=\"soft\">Go on only if you started this yourself and the account above is yours. "
          "Somebody who sent "
          "you this link could otherwise act in your name. You can disconnect at any time.</p>"
          "<form method=\"post\" action=\"" +
          esc(page.action) + "\"><input type=\"hidden\" name=\"csrf\" value=\"" + esc(page.csrf) + "\">" +
          field_inputs(page.fields) +
          "<div class=\"actions\"><button class=\"button\" type=\"submit\" name=\"decision\" "
          "value=\"continue\">Continue to " +
          esc(page.app_title) +
          "</button><button class=\"button quiet\" type=\"submit\" name=\"decision\" "
          "value=\"cancel\" formnovalidate>Cancel</button></div></form>");
}

core::HttpReply forward_page(const std::string& url, const std::string& app_title) {
  return html_page(200, "Going to " + app_title,
                   "<h1>Going to " + esc(app_title) + "</h1><p>If nothing happens, <a id=\"go\" href=\"" +
                       esc(url) + "\">go on by hand</a>.</p>",
                   "<meta http-equiv=\"refresh\" content=\"0;url=" + esc(url) + "\">");
}

core::HttpReply connected_page(const std::string& app_title) {
  return html_page(200, app_title + " is connected",
                   "<h1 class=\"good\">" + esc(app_title) +
                       " is connected</h1><p>Your agents can use it from now on. "
                       "You can close this page.</p>");
}

core::HttpReply problem_page(int status, const std::string& title, const std::string& explanation,
                             const std::string& next_step) {
  return html_page(status, title,
                   "<h1 class=\"bad\">" + esc(title) + "</h1><p>" + esc(explanation) + "</p><p>" +
                       esc(next_step) + "</p>");
}

core::HttpReply home_page(const std::string& base_url, const std::string& mcp_url) {
  return html_page(200, "Assistiv Gateway",
                   "<h1>Assistiv Gateway is running</h1><p>Point an MCP client at <code>" + esc(mcp_url) +
                       "</code> with an end user's key.</p><p>The management API is at <code>" +
                       esc(base_url) +
                       "/v1</code>; its description is <a href=\"/openapi.json\">openapi.json</a>.</p>"
                       "<p class=\"soft\">Health: <a href=\"/healthz\">/healthz</a>, <a "
                       "href=\"/readyz\">/readyz</a>.</p>");
}

core::HttpReply asset(std::string_view path, const std::string& content_type) {
  for (const auto& file : embedded_assets()) {
    if (file.path != path) continue;
    auto reply = core::text_reply(200, std::string(file.content), content_type + "; charset=utf-8");
    reply.headers.add("cache-control", "public, max-age=3600");
    return reply;
  }
  return core::text_reply(404, "");
}

}  // namespace assistiv::api
