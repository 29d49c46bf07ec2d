#pragma once
// Several accounts of one end user at one app: what a tool's definition says of them, and which one a call
// means. Pure.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.h"
#include "core/json.h"

namespace assistiv::mcp {

// The argument that names an account; the tools of an app have it only while there is a choice. A tool that
// has an argument of this name itself calls ours something else: Tool::account_argument.
inline constexpr char kAccountArgument[] = "account";
// "account", or else the first of "connected_account", "connected_account_2", ... that the schema does not
// have anywhere.
std::string free_account_argument(const core::Json& input_schema);

enum class ConnectionState { None, Active, NeedsReauth };

// One connected account.
struct Account {
  core::ConnectionId id;
  ConnectionState state = ConnectionState::Active;
  std::vector<std::string> scopes;  // granted
  std::string label, account_id;    // as people call it, and the app's own id
};

// The account argument as JSON text, "" when there is no choice. `accounts` has the default first.
std::string account_schema(const std::vector<Account>& accounts);
// A finished definition with that argument.
std::string with_account_argument(const std::string& definition_json, const std::string& account_schema,
                                  const std::string& argument);

struct AccountChoice {
  const Account* account = nullptr;  // one of `accounts`
  std::string fault;                 // a whole sentence that names the labels to choose from
};
// Takes the argument out of `arguments` and finds whom it means: a label, whatever its case, the app's own id
// or the connection's. Without it, the default.
AccountChoice take_account(const std::vector<Account>& accounts, core::Json& arguments,
                           const std::string& argument);
// For people and agents: label, account_id and which is the default.
core::Json accounts_json(const std::vector<Account>& accounts);

}  // namespace assistiv::mcp
