#include "api/web/authorize_pages.h"

#include <algorithm>

#include "api/web/html.h"

namespace assistiv::api {

namespace {

std::string client_name(const ClientCard& client) {
  return client.name.empty() ? "An application without a name" : isolated(client.name);
}

std::string fact(const std::string& name, const std::string& value) {
  return "<dt>" + name + "</dt><dd>" + value + "</dd>";
}

std::string client_facts(const ClientCard& client) {
  std::string out = fact("Application", client_name(client));
  if (!client.site.empty()) out += fact("Says it is from", esc(client.site));
  return out + fact("The answer goes to",
                    client.on_this_computer ? "a program on this computer" : esc(client.answer_goes_to));
}

std::string hidden(const std::string& name, const std::string& value) {
  return "<input type=\"hidden\" name=\"" + name + "\" value=\"" + esc(value) + "\">";
}

std::string button(const std::string& decision, const std::string& text, bool quiet) {
  return "<button class=\"button" + std::string(quiet ? " quiet" : "") +
         "\" type=\"submit\" name=\"decision\" value=\"" + decision + "\">" + text + "</button>";
}

std::string box(const std::string& name, const std::string& value, const std::string& label) {
  return "<label class=\"choice\"><input type=\"checkbox\" name=\"" + name + "\" value=\"" + esc(value) +
         "\" checked> <span>" + label + "</span></label>";
}

std::string level_choice(const AllowForm& form) {
  if (!form.may_write) return "<p>It asks to list your tools and to use those that only read.</p>";
  return "<fieldset><legend>What it may do</legend>"
         "<label class=\"choice\"><input type=\"radio\" name=\"level\" value=\"write\" checked> <span>Read "
         "and make "
         "changes</span></label>"
         "<label class=\"choice\"><input type=\"radio\" name=\"level\" value=\"read\"> <span>Only "
         "read</span></label></fieldset>";
}

std::string tool_line(const OfferedTool& tool) {
  return box("tool", tool.name,
             isolated(tool.title) + (tool.read_only ? "" : " <span class=\"soft\">(makes changes)</span>"));
}

std::string app_choice(const OfferedApp& app) {
  const auto writes =
      std::count_if(app.tools.begin(), app.tools.end(), [](const auto& t) { return !t.read_only; });
  std::string out = "<div class=\"app\">" +
                    box("app", app.id,
                        "<strong>" + isolated(app.title) + "</strong>" +
                            (app.connected ? "" : " <span class=\"soft\">(not connected yet)</span>")) +
                    "<details><summary>" + std::to_string(app.tools.size()) + " tools, " +
                    std::to_string(writes) + " of them make changes</summary>";
  for (const auto& tool : app.tools) out += tool_line(tool);
  return out + "</details></div>";
}

std::string app_choices(const AllowForm& form) {
  std::string out = "<fieldset><legend>With which apps</legend>";
  for (const auto& app : form.apps) out += app_choice(app);
  if (form.apps.empty()) out += "<p>You have no apps yet.</p>";
  if (form.other_apps) out += box("other_apps", "yes", "Apps that are added later");
  return out + "</fieldset>";
}

// A form of its own: the key's field is needed in the other one.
std::string provider_choice(const SignInForm& form) {
  if (!form.providers.any) return {};
  const auto& only = form.providers.slug;
  return "<form method=\"post\" action=\"" + esc(form.action) + "\">" + hidden("ticket", form.ticket) +
         (only.empty()
              ? "<label for=\"platform\">Or the short name of the product whose agents you use</label><input "
                "class=\"text\" id=\"platform\" name=\"platform\" autocomplete=\"organization\" "
                "spellcheck=\"false\" maxlength=\"63\" required>"
              : hidden("platform", only)) +
         "<div class=\"actions\">" +
         button("provider", only.empty() ? "Continue" : "Continue with " + isolated(form.providers.name),
                true) +
         "</div></form>";
}

}  // namespace

core::HttpReply client_fault_page(const std::string& explanation, const ClientCard& client,
                                  const std::string& url) {
  return html_page(
      400, "This request is not valid",
      "<h1 class=\"bad\">This request is not valid</h1><p>" + esc(explanation) + "</p><dl>" +
          client_facts(client) + "</dl><p>If you started this yourself, <a href=\"" + esc(url) +
          "\" rel=\"noreferrer\">go back to the application</a>. Otherwise close this page.</p>");
}

core::HttpReply provider_fault_page(int status, const std::string& explanation, const std::string& back) {
  return html_page(
      status, "You are not signed in",
      "<h1 class=\"bad\">You are not signed in</h1><p>" + esc(explanation) + "</p><p>" +
          (back.empty() ? "Go back to the application that sent you here and start again."
                        : "<a href=\"" + esc(back) + "\">Try again, or sign in another way</a>.") +
          "</p>");
}

core::HttpReply sign_in_page(const SignInForm& form) {
  const std::string problem =
      form.problem.empty() ? "" : "<p class=\"bad\" role=\"alert\">" + esc(form.problem) + "</p>";
  return html_page(
      form.problem.empty() ? 200 : 401, "Sign in",
      "<h1>Sign in</h1><p><strong>" + client_name(form.client) +
          "</strong> asks to use your tools. Sign in to see what it wants and to decide.</p><dl>" +
          client_facts(form.client) + "</dl>" + problem + "<form method=\"post\" action=\"" +
          esc(form.action) + "\">" + hidden("ticket", form.ticket) +
          "<label for=\"key\">Your key (it starts with sk-eu_)</label><input class=\"text\" id=\"key\" "
          "type=\"password\" name=\"key\" autocomplete=\"off\" spellcheck=\"false\" maxlength=\"200\" "
          "required>"
          "<div class=\"actions\">" +
          button("sign_in", "Sign in", false) + "</div></form>" + provider_choice(form) +
          "<p class=\"soft\">No key? The product whose agents you use can give you a sign-in "
          "link. Open it "
          "in this browser, then <a href=\"" +
          esc(form.action) + "\">go on here</a>.</p>");
}

core::HttpReply allow_page(const AllowForm& form) {
  const std::string note =
      form.client.on_this_computer
          ? "<p class=\"soft\">Any program on this computer can call itself by this name. Go on only if you "
            "have just "
            "started it yourself.</p>"
          : "<p class=\"soft\">Go on only if you started this yourself and know the address above.</p>";
  return html_page(
      200, "Allow an application",
      "<p class=\"mark\">" + isolated(form.platform_name) + "</p><h1>Let " + client_name(form.client) +
          " use your tools?</h1><dl>" + client_facts(form.client) +
          fact("Platform", isolated(form.platform_name)) +
          fact("Your account there", isolated(form.end_user_label)) + "</dl>" + note +
          "<form method=\"post\" action=\"" + esc(form.action) + "\">" + hidden("ticket", form.ticket) +
          level_choice(form) + app_choices(form) +
          (form.stays
               ? "<p class=\"soft\">It keeps this access until you take it back or do not use it for 30 "
                 "days.</p>"
               : "<p class=\"soft\">It keeps this access for 15 minutes.</p>") +
          "<div class=\"actions\">" + button("allow", "Allow", false) + button("deny", "Do not allow", true) +
          button("sign_out", "Use another account", true) + "</div></form>");
}

core::HttpReply sign_in_link_page(const SignInLinkForm& form) {
  return html_page(
      200, "Sign in",
      "<p class=\"mark\">" + isolated(form.platform_name) + "</p><h1>Sign in</h1><dl>" +
          fact("Platform", isolated(form.platform_name)) +
          fact("Your account there", isolated(form.end_user_label)) +
          "</dl><p class=\"soft\">Go on only if you asked for this link yourself and the account above is "
          "yours. What "
          "you allow afterwards is allowed for this account.</p><form method=\"post\" action=\"" +
          esc(form.action) + "\">" + hidden("csrf", form.csrf) + "<div class=\"actions\">" +
          button("sign_in", "Sign in", false) + "</div></form>");
}

core::HttpReply signed_in_page(const std::string& platform_name, const std::string& end_user_label) {
  return html_page(
      200, "You are signed in",
      "<h1 class=\"good\">You are signed in</h1><p>As " + isolated(end_user_label) + " of " +
          isolated(platform_name) +
          ", in this browser, for one hour. Go back to the page or the application that sent you to sign "
          "in.</p>");
}

}  // namespace assistiv::api
