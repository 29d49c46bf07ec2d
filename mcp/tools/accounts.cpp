#include "mcp/tools/accounts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "mcp/connectors/clean_text.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kLabelShownMax = 80;

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

// A label that two accounts share says nothing; the app's own id then stands beside it.
std::string shown(const std::vector<Account>& accounts, const Account& account) {
  const std::string label = clip_text(clean_text(account.label), kLabelShownMax);
  const auto same = std::count_if(accounts.begin(), accounts.end(), [&](const Account& other) {
    return lower(other.label) == lower(account.label);
  });
  return same > 1 || label.empty() ? account.account_id : label;
}

std::string choices(const std::vector<Account>& accounts) {
  std::string out;
  for (const auto& account : accounts) {
    out += (out.empty() ? "" : ", ") + core::dump_json(shown(accounts, account));
    if (&account == &accounts.front()) out += " (default)";
  }
  return out;
}

}  // namespace

std::string account_schema(const std::vector<Account>& accounts) {
  if (accounts.size() < 2) return {};
  return core::dump_json({{"type", "string"},
                          {"maxLength", 256},
                          {"description", "Which connected account to use: " + choices(accounts) + "."}});
}

std::string free_account_argument(const core::Json& input_schema) {
  const std::string text = core::dump_json(input_schema);
  std::string name = kAccountArgument;
  for (int i = 1; text.find('"' + name + '"') != std::string::npos; ++i)
    name = "connected_account" + (i == 1 ? std::string() : "_" + std::to_string(i));
  return name;
}

std::string with_account_argument(const std::string& definition_json, const std::string& account_schema,
                                  const std::string& argument) {
  core::Json definition = core::parse_json(definition_json);
  definition["inputSchema"]["properties"][argument] = core::parse_json(account_schema);
  return core::dump_json(definition);
}

AccountChoice take_account(const std::vector<Account>& accounts, core::Json& arguments,
                           const std::string& argument) {
  const auto named = arguments.find(argument);
  if (named == arguments.end()) return {&accounts.front(), {}};
  const std::string text = named->is_string() ? named->get<std::string>() : "";
  arguments.erase(named);
  // What is unmistakable goes before a label that happens to read the same.
  for (const auto& account : accounts) {
    if (text == account.id.str() || text == account.account_id) return {&account, {}};
  }
  AccountChoice out;
  for (const auto& account : accounts) {
    if (lower(text) != lower(account.label)) continue;
    if (out.account != nullptr) {
      return {nullptr, "More than one account has this label. Choose one of " + choices(accounts) + "."};
    }
    out.account = &account;
  }
  if (out.account == nullptr)
    out.fault = "There is no such account. Choose one of " + choices(accounts) + ".";
  return out;
}

core::Json accounts_json(const std::vector<Account>& accounts) {
  core::Json out = core::Json::array();
  for (const auto& account : accounts) {
    out.push_back({{"label", account.label},
                   {"account_id", account.account_id},
                   {"default", &account == &accounts.front()}});
  }
  return out;
}

}  // namespace assistiv::mcp
