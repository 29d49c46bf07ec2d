#include "oauth/connect/grant_record.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::oauth {

namespace {

using core::Json;

Json time_json(const std::optional<core::Time>& time) {
  return time ? Json(core::to_epoch_ms(*time)) : Json(nullptr);
}

std::optional<core::Time> time_of_json(const Json& value) {
  return value.is_null() ? std::nullopt : std::optional(core::from_epoch_ms(value.get<std::int64_t>()));
}

}  // namespace

LiveToken live_token(const TokenSet& tokens, core::Time received) {
  LiveToken out;
  out.access = tokens.access;
  out.refresh = tokens.refresh;
  if (tokens.expires_in) out.expires_at = received + *tokens.expires_in;
  if (tokens.refresh_expires_in) out.refresh_expires_at = received + *tokens.refresh_expires_in;
  return out;
}

core::Secret to_secret_text(const GrantRecord& grant) {
  Json slots = Json::object();
  for (const auto& [name, token] : grant.slots) {
    slots[name] = {{"access", token.access.reveal()},
                   {"refresh", token.refresh ? Json(token.refresh->reveal()) : Json(nullptr)},
                   {"expires_at", time_json(token.expires_at)},
                   {"refresh_expires_at", time_json(token.refresh_expires_at)}};
  }
  const Json object = {{"app", grant.app},
                       {"client_id", grant.client_id},
                       {"account_id", grant.account_id},
                       {"account_label", grant.account_label},
                       {"scopes", grant.scopes},
                       {"vars", std::map<std::string, std::string>(grant.vars.begin(), grant.vars.end())},
                       {"slots", slots}};
  return core::Secret(core::dump_json(object));
}

GrantRecord grant_of_secret_text(const core::Secret& text) {
  const Json object = core::parse_json(text.reveal());
  GrantRecord grant;
  grant.app = object.at("app").get<std::string>();
  grant.client_id = object.at("client_id").get<std::string>();
  grant.account_id = object.at("account_id").get<std::string>();
  grant.account_label = object.at("account_label").get<std::string>();
  grant.scopes = object.at("scopes").get<std::vector<std::string>>();
  for (const auto& [name, value] : object.at("vars").items()) grant.vars[name] = value.get<std::string>();
  for (const auto& [name, value] : object.at("slots").items()) {
    auto& token = grant.slots[name];
    token.access = core::Secret(value.at("access").get<std::string>());
    if (!value.at("refresh").is_null()) token.refresh = core::Secret(value.at("refresh").get<std::string>());
    token.expires_at = time_of_json(value.at("expires_at"));
    token.refresh_expires_at = time_of_json(value.at("refresh_expires_at"));
  }
  return grant;
}

}  // namespace assistiv::oauth
