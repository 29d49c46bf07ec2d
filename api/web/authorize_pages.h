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

// Platforms whose users sign in at a provider of their own.
struct ProviderChoice {
  bool any = false;
  std::string slug, name;  // of the only such platform; "" when there are several
};

struct SignInForm {
  ClientCard client;
  std::string action, ticket;
  ProviderChoice providers;
  std::string problem;  // a whole sentence; "" when there is none
};
core::HttpReply sign_in_page(const SignInForm& form);

// A fault that belongs to the client, for somebody whom we do not know: they see the page first and go on by
// a link, so that nobody who registered a client can use our address to send people to theirs (RFC 9700
// section 4.11.2).
core::HttpReply client_fault_page(const std::string& explanation, const ClientCard& client,
                                  const std::string& url);
// A sign-in at a provider that came to nothing. `back` is where to try again; "" when that is not known.
core::HttpReply provider_fault_page(int status, const std::string& explanation, const std::string& back);

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
