#pragma once
// The pages of the authorization server: signing in, and allowing a client.
#include <string>
#include <vector>

#include "core/http.h"

namespace assistiv::api {

// What both show of the client. All of it but `answer_goes_to` is the client's own text.
struct ClientCard {
  std::string name;            // "" when it gave none
  std::string site;            // the host of its metadata document; "" for a registration
  std::string answer_goes_to;  // the host that gets the answer
  bool on_this_computer = false;
};

struct SignInForm {
  ClientCard client;
  std::string action, ticket;
  std::string problem;  // a whole sentence; "" when there is none
};
core::HttpReply sign_in_page(const SignInForm& form);

struct OfferedTool {
  std::string name, title;
  bool read_only = false;
};
struct OfferedApp {
  std::string id, title;
  bool connected = false;
  std::vector<OfferedTool> tools;
};

struct AllowForm {
  ClientCard client;
  std::string platform_name, end_user_label;
  std::string action, ticket;
  bool may_write = false;   // it asked for more than reading
  bool stays = false;       // it gets refresh tokens
  bool other_apps = false;  // the resource is all apps: later ones can be included
  std::vector<OfferedApp> apps;
};
core::HttpReply allow_page(const AllowForm& form);

// What a one-time link of the platform opens.
struct SignInLinkForm {
  std::string platform_name, end_user_label, action, csrf;
};
core::HttpReply sign_in_link_page(const SignInLinkForm& form);
core::HttpReply signed_in_page(const std::string& platform_name, const std::string& end_user_label);

}  // namespace assistiv::api
