#pragma once
// The pages that people see. Server-rendered, without scripts (but inspect_page.h and run_page.h), under a
// strict content security policy.
#include <string>
#include <string_view>
#include <vector>

#include "core/http.h"

namespace assistiv::api {

// A question that the person answers on the way.
struct ConsentField {
  std::string name;  // of the form's field
  std::string title, hint;
  std::string value;  // what was answered before
  bool refused = false;
  bool optional = false;
};

struct ConsentPage {
  std::string platform_name;
  std::string end_user_label;
  std::string app_title;
  std::string provider_host;             // where the person signs in next
  std::vector<std::string> permissions;  // in words
  std::vector<ConsentField> fields;
  std::string action;  // where the form posts to
  std::string csrf;
};

// The form's buttons send decision=continue or decision=cancel. Names are the platform's text: they are shown
// isolated and without characters that change the direction of what is around them.
core::HttpReply consent_page(const ConsentPage& page);
// Goes on to `url` by itself and by a visible link. A page of its own and not a redirect, because browsers
// apply the form's content security policy to every redirect that follows a form (CSP 3, form-action).
core::HttpReply forward_page(const std::string& url, const std::string& app_title);
core::HttpReply connected_page(const std::string& app_title);
// `explanation` and `next_step` are whole sentences.
core::HttpReply problem_page(int status, const std::string& title, const std::string& explanation,
                             const std::string& next_step);
core::HttpReply home_page(const std::string& base_url, const std::string& mcp_url);
// A file of api/web/assets; 404 without a body when there is none.
core::HttpReply asset(std::string_view path, const std::string& content_type);

}  // namespace assistiv::api
