#pragma once
// The settings of the program. Each is declared once, in config.cpp: name, meaning, default, how it is read
// and checked. Precedence: built-in default, then the JSON file, then ASSISTIV_<NAME> in the environment,
// then a command-line flag.
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/log.h"

namespace assistiv::api {

struct ConnectorOverride {
  std::string web;  // replaces the app's sign-in host, e.g. http://127.0.0.1:4901
  std::string api;  // replaces the app's API host
  // Instead of both, for apps with many hosts: a URL whose {host} stands for the host that it replaces.
  std::string hosts;
};

struct Config {
  std::string listen_address;
  std::uint16_t port = 0;
  std::string data_dir;
  std::string database_url;  // empty: a private PostgreSQL in data_dir
  std::string postgres_user;
  std::size_t database_connections = 0;
  std::string public_url;      // where browsers and REST clients reach us, without a trailing slash
  std::string mcp_public_url;  // where MCP clients reach us; may be another name of the same process
  std::vector<std::string> roles;
  std::string tls_certificate_file, tls_key_file;
  std::vector<std::string> trusted_proxies;
  std::vector<std::string> allowed_hosts;  // names a request's Host may have on /mcp, besides the public ones
  std::vector<std::string> cors_origins;   // origins of browsers that may call the API; "*" for any
  core::log::Level log_level = core::log::Level::Info;
  std::string access_log;
  std::size_t io_threads = 0;
  std::size_t header_bytes_max = 0, body_bytes_max = 0, connections_max = 0;
  std::size_t connections_per_address_max = 1024;
  std::chrono::seconds header_timeout{}, body_timeout{}, keep_alive_timeout{}, write_timeout{},
      drain_timeout{}, remote_tools_interval{};
  std::string master_keys_file;
  std::string manifests_dir;
  std::map<std::string, ConnectorOverride> connector_overrides;
  bool allow_loopback_upstreams = false;
  bool platform_wallet_topup = false;            // platforms may pay into their own wallets
  std::size_t ledger_fsync_ms = 0;               // billing::LedgerOptions::fsync_interval
  std::size_t agent_runs = 256;                  // that this process carries out at once
  std::size_t agent_runs_per_platform = 0;       // of them; 0: three quarters
  std::size_t agent_runs_per_end_user = 0;       // of them; 0: half
  std::chrono::milliseconds agent_lease{12000};  // of a run
  std::size_t agent_threads_max = 100'000;       // agents::OwnerLimits, as the next two
  std::size_t agent_items_max = 100'000;
  std::size_t agent_waiting_runs_max = 1'000;
  bool conformance_fixtures = false;
  bool allow_private_model_servers = false;
  bool on_premise_only = false;

  bool has_role(std::string_view role) const;
};

struct ConfigProblem {
  std::string setting;
  std::string message;  // what is wrong and how to mend it
};

// Thrown with every problem at once.
class ConfigError : public std::exception {
 public:
  explicit ConfigError(std::vector<ConfigProblem> problems);
  const char* what() const noexcept override { return text_.c_str(); }
  const std::vector<ConfigProblem>& problems() const { return problems_; }

 private:
  std::vector<ConfigProblem> problems_;
  std::string text_;
};

// `file` may be empty. `environment` holds ASSISTIV_* variables; `flags` setting names without the leading
// dashes.
Config load_config(const std::string& file, const std::map<std::string, std::string>& environment,
                   const std::map<std::string, std::string>& flags);
std::map<std::string, std::string> read_environment();
// ASSISTIV_* variables that are no setting, by name: often a setting that was misspelt.
std::vector<std::string> unknown_variables(const std::map<std::string, std::string>& environment);
bool is_setting(std::string_view name);
// True for a setting that is given as a bare flag (--conformance-fixtures).
bool is_switch(std::string_view name);
// The reference in Markdown (docs/configuration.md) and the short list that --help prints.
std::string config_reference_markdown();
std::string config_help();

}  // namespace assistiv::api
