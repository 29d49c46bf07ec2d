#include "api/config.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <utility>

#include "core/error.h"
#include "core/json_read.h"

extern char** environ;  // POSIX

namespace assistiv::api {

namespace {

struct Setting {
  std::string name;
  std::string meaning;
  std::string standard;  // the default, in the spelling of the environment
  bool is_switch;
  std::function<void(Config&, const std::string&)> read;  // throws std::string with the fix
};

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> out;
  std::stringstream in(text);
  for (std::string item; std::getline(in, item, ',');) {
    const auto first = item.find_first_not_of(" \t");
    if (first == std::string::npos) continue;
    out.push_back(item.substr(first, item.find_last_not_of(" \t") - first + 1));
  }
  return out;
}

std::int64_t read_number(const std::string& text, std::int64_t min, std::int64_t max) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < min || value > max) {
    throw "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max);
  }
  return value;
}

bool read_switch(const std::string& text) {
  if (text == "1" || text == "true" || text == "yes" || text == "on") return true;
  if (text == "0" || text == "false" || text == "no" || text == "off") return false;
  throw std::string("must be 1 or 0");
}

std::string read_url(const std::string& text) {
  const bool scheme = text.starts_with("http://") || text.starts_with("https://");
  const auto host = text.find("://") == std::string::npos ? std::string::npos : text.find("://") + 3;
  if (!scheme || host >= text.size() || text.find_first_of("?#@ ") != std::string::npos) {
    throw std::string(
        "must be an absolute http:// or https:// URL without query, e.g. https://api.example.com");
  }
  return text.ends_with('/') ? text.substr(0, text.size() - 1) : text;
}

std::string read_choice(const std::string& text, std::initializer_list<std::string_view> allowed) {
  if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return text;
  std::string list;
  for (const auto option : allowed) list += (list.empty() ? "" : ", ") + std::string(option);
  throw "must be one of: " + list;
}

std::map<std::string, ConnectorOverride> read_overrides(const std::string& text) {
  std::map<std::string, ConnectorOverride> out;
  if (text.empty()) return out;
  const auto json = core::try_parse_json(text);
  if (!json || !json->is_object()) {
    throw std::string(
        R"(must be a JSON object such as {"github":{"web":"http://127.0.0.1:4901","api":"http://127.0.0.1:4901"}})");
  }
  for (const auto& [app, value] : json->items()) {
    if (value.is_object() && value.size() == 1 && value.contains("hosts") && value["hosts"].is_string()) {
      const auto pattern = read_url(value["hosts"].get<std::string>());
      if (pattern.find("/{host}", pattern.find("://") + 3) == std::string::npos)
        throw "needs {host} in the path of \"hosts\" for the app \"" + app + "\"";
      out[app].hosts = pattern;
      continue;
    }
    if (!value.is_object() || !value.contains("web") || !value.contains("api") || !value["web"].is_string() ||
        !value["api"].is_string()) {
      throw "needs \"web\" and \"api\" URLs, or \"hosts\" with {host}, for the app \"" + app + "\"";
    }
    out[app] = {read_url(value["web"].get<std::string>()), read_url(value["api"].get<std::string>()), ""};
  }
  return out;
}

Setting text_setting(std::string name, std::string meaning, std::string standard,
                     std::string Config::*member) {
  return {std::move(name), std::move(meaning), std::move(standard), false,
          [member](Config& c, const std::string& v) { c.*member = v; }};
}

Setting url_setting(std::string name, std::string meaning, std::string Config::*member) {
  return {std::move(name), std::move(meaning), "", false,
          [member](Config& c, const std::string& v) { c.*member = v.empty() ? v : read_url(v); }};
}

Setting list_setting(std::string name, std::string meaning, std::string standard,
                     std::vector<std::string> Config::*member) {
  return {std::move(name), std::move(meaning), std::move(standard), false,
          [member](Config& c, const std::string& v) { c.*member = split_list(v); }};
}

Setting switch_setting(std::string name, std::string meaning, bool Config::*member) {
  return {std::move(name), std::move(meaning), "0", true,
          [member](Config& c, const std::string& v) { c.*member = read_switch(v); }};
}

Setting size_setting(std::string name, std::string meaning, std::string standard, std::int64_t min,
                     std::int64_t max, std::size_t Config::*member) {
  return {std::move(name), std::move(meaning), std::move(standard), false,
          [=](Config& c, const std::string& v) {
            c.*member = static_cast<std::size_t>(read_number(v, min, max));
          }};
}

Setting seconds_setting(std::string name, std::string meaning, std::string standard,
                        std::chrono::seconds Config::*member) {
  return {
      std::move(name), std::move(meaning), std::move(standard), false,
      [=](Config& c, const std::string& v) { c.*member = std::chrono::seconds(read_number(v, 1, 86400)); }};
}

void read_roles(Config& config, const std::string& text) {
  config.roles = split_list(text);
  for (const auto& role : config.roles) read_choice(role, {"api", "mcp", "worker"});
  if (config.roles.empty()) throw std::string("must name at least one of: api, mcp, worker");
}

void read_log_level(Config& config, const std::string& text) {
  using core::log::Level;
  static const std::map<std::string, Level> levels = {{"debug", Level::Debug},
                                                      {"info", Level::Info},
                                                      {"warn", Level::Warn},
                                                      {"error", Level::Error},
                                                      {"off", Level::Off}};
  config.log_level = levels.at(read_choice(text, {"debug", "info", "warn", "error", "off"}));
}

Setting wallet_topup_setting() {
  return switch_setting(
      "platform_wallet_topup",
      "Lets platform keys pay into their own wallets; else only operators do (development).",
      &Config::platform_wallet_topup);
}

Setting on_premise_setting() {
  return switch_setting("on_premise_only",
                        "Only model providers marked local are called, whatever a platform has configured.",
                        &Config::on_premise_only);
}

Setting ledger_fsync_setting() {
  return size_setting(
      "ledger_fsync_ms",
      "Milliseconds between syncs of the ledger's journal, which every priced call waits for. 0: "
      "what a killed process spent is safe, but a power cut may lose the last moments.",
      "0", 0, 1000, &Config::ledger_fsync_ms);
}

Setting agent_runs_setting() {
  return size_setting("agent_runs", "Runs of agents that one process carries out at once.", "256", 1, 100'000,
                      &Config::agent_runs);
}

Setting agent_runs_per_platform_setting() {
  return size_setting("agent_runs_per_platform",
                      "How many of them may be one platform's. 0: three quarters of agent_runs.", "0", 0,
                      100'000, &Config::agent_runs_per_platform);
}

Setting agent_runs_per_end_user_setting() {
  return size_setting("agent_runs_per_end_user",
                      "How many of them may be one end user's. 0: half of agent_runs.", "0", 0, 100'000,
                      &Config::agent_runs_per_end_user);
}

Setting agent_lease_setting() {
  return {
      "agent_lease", "Seconds after which another process takes a run from one that is silent.", "12", false,
      [](Config& c, const std::string& v) { c.agent_lease = std::chrono::seconds(read_number(v, 1, 3600)); }};
}

constexpr std::size_t kOwnedMax = 1'000'000'000;

Setting agent_threads_max_setting() {
  return size_setting(
      "agent_threads_max",
      "Threads that one end user may have, about; a platform itself ten times as many. Those of "
      "runs without a thread count while they are there. 0: no limit.",
      "100000", 0, kOwnedMax, &Config::agent_threads_max);
}

Setting agent_items_max_setting() {
  return size_setting("agent_items_max",
                      "Items of the agents' store that one end user may have, about; a platform itself ten "
                      "times as many. 0: no limit.",
                      "100000", 0, kOwnedMax, &Config::agent_items_max);
}

Setting agent_waiting_runs_max_setting() {
  return size_setting(
      "agent_waiting_runs_max",
      "Runs of one end user that may wait for a worker, about; of a platform itself ten times "
      "as many. 0: no limit.",
      "1000", 0, kOwnedMax, &Config::agent_waiting_runs_max);
}

Setting remote_tools_setting() {
  return seconds_setting("remote_tools_interval",
                         "Seconds between two readings of the tools of a remote MCP server.", "900",
                         &Config::remote_tools_interval);
}

Setting connector_overrides_setting() {
  return {
      "connector_overrides",
      "JSON: app id to {\"web\": url, \"api\": url}, replaces an app's hosts; or, for an app with many, to "
      "{\"hosts\": url}, in whose path {host} stands for the host that is replaced.",
      "", false, [](Config& c, const std::string& v) { c.connector_overrides = read_overrides(v); }};
}

Setting manifests_setting() {
  return text_setting("manifests_dir", "Folder of further connector manifests (*.json).", "",
                      &Config::manifests_dir);
}

Setting port_setting() {
  return {"port", "TCP port; 0 takes a free one.", "8080", false, [](Config& c, const std::string& v) {
            c.port = static_cast<std::uint16_t>(read_number(v, 0, 65535));
          }};
}

std::vector<Setting> agent_settings() {
  return {
      agent_runs_setting(),
      agent_runs_per_platform_setting(),
      agent_runs_per_end_user_setting(),
      agent_lease_setting(),
      agent_threads_max_setting(),
      agent_items_max_setting(),
      agent_waiting_runs_max_setting(),
  };
}

std::vector<Setting> server_settings() {
  return {
      text_setting("listen_address", "Address to listen on.", "127.0.0.1", &Config::listen_address),
      port_setting(),
      text_setting("data_dir", "Folder for the private database, keys and run file.", "./.assistiv",
                   &Config::data_dir),
      text_setting("database_url",
                   "PostgreSQL to use, e.g. postgresql://user@host/assistiv; empty runs a private one.", "",
                   &Config::database_url),
      text_setting("postgres_user", "System user for the private PostgreSQL when started as root.",
                   "postgres", &Config::postgres_user),
      size_setting("database_connections", "Connections (and threads) to PostgreSQL.", "8", 1, 200,
                   &Config::database_connections),
      url_setting("public_url",
                  "Where browsers and REST clients reach this server; default http://<address>:<port>.",
                  &Config::public_url),
      url_setting("mcp_public_url", "Where MCP clients reach this server; default: public_url.",
                  &Config::mcp_public_url),
      {"role", "Comma list of api, mcp, worker.", "api,mcp,worker", false, read_roles},
      text_setting("tls_certificate_file", "PEM certificate chain; with tls_key_file it turns TLS on.", "",
                   &Config::tls_certificate_file),
      text_setting("tls_key_file", "PEM private key.", "", &Config::tls_key_file),
      list_setting("trusted_proxies",
                   "Comma list of proxy addresses or CIDR ranges whose X-Forwarded-* count.", "",
                   &Config::trusted_proxies),
      list_setting("allowed_hosts",
                   "Host names that /mcp answers to, besides those of the public URLs and localhost.", "",
                   &Config::allowed_hosts),
      list_setting("cors_origins", "Origins whose pages may call the API from a browser, or *.", "",
                   &Config::cors_origins),
      {"log_level", "debug, info, warn, error or off.", "info", false, read_log_level},
      {"access_log", "all: one line per request; errors: only failed or slow ones.", "all", false,
       [](Config& c, const std::string& v) {
         c.access_log = read_choice(v, {"all", "errors"});
       }},
      size_setting("io_threads", "Threads for sockets; 0 is one per core.", "0", 0, 256, &Config::io_threads),
      size_setting("header_bytes_max", "Largest request head.", "16384", 1024, 1 << 20,
                   &Config::header_bytes_max),
      size_setting("body_bytes_max", "Largest request body.", "4194304", 1024, 1 << 30,
                   &Config::body_bytes_max),
      size_setting("connections_max", "Open client connections; more are refused with 503.", "10000", 1,
                   1000000, &Config::connections_max),
      size_setting("connections_per_address_max",
                   "Open connections of one client address (IPv6: one /64), loopback and trusted_proxies not "
                   "counted; more are closed; 0 is no limit.",
                   "1024", 0, 1000000, &Config::connections_per_address_max),
      seconds_setting("header_timeout", "Seconds for a request head to arrive.", "10",
                      &Config::header_timeout),
      seconds_setting("body_timeout", "Seconds for a request body to arrive.", "30", &Config::body_timeout),
      seconds_setting("keep_alive_timeout", "Seconds an idle connection is kept.", "75",
                      &Config::keep_alive_timeout),
      seconds_setting("write_timeout", "Seconds a client may take to read what was sent.", "30",
                      &Config::write_timeout),
      seconds_setting("drain_timeout", "Seconds that requests in flight get at shutdown.", "10",
                      &Config::drain_timeout),
      remote_tools_setting(),
      text_setting("master_keys_file", "Keyring for secrets at rest; default <data_dir>/master-keys.json.",
                   "", &Config::master_keys_file),
      manifests_setting(),
      connector_overrides_setting(),
      switch_setting("allow_loopback_upstreams",
                     "Lets outbound calls reach loopback and private addresses (tests).",
                     &Config::allow_loopback_upstreams),
      switch_setting(
          "allow_private_model_servers",
          "Lets platforms name model servers at private addresses and mark them local; otherwise only "
          "the operator can.",
          &Config::allow_private_model_servers),
      on_premise_setting(),
      wallet_topup_setting(),
      ledger_fsync_setting(),
      switch_setting("conformance_fixtures",
                     "Serves /mcp/conformance, anonymous, on a loopback address only.",
                     &Config::conformance_fixtures),
  };
}

// The one list of settings.
const std::vector<Setting>& settings() {
  static const std::vector<Setting> list = [] {
    auto out = server_settings();
    auto more = agent_settings();
    std::move(more.begin(), more.end(), std::back_inserter(out));
    return out;
  }();
  return list;
}

const Setting* find_setting(std::string_view name) {
  for (const auto& setting : settings())
    if (setting.name == name) return &setting;
  return nullptr;
}

// A file's value in the spelling of the environment.
std::string as_text(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "1" : "0";
  if (value.is_array()) {
    std::string out;
    for (const auto& item : value) out += (out.empty() ? "" : ",") + as_text(item);
    return out;
  }
  return value.dump();
}

using Values = std::map<std::string, std::string>;

Values read_file(const std::string& path, std::vector<ConfigProblem>& problems) {
  Values out;
  if (path.empty()) return out;
  std::ifstream in(path);
  if (!in) {
    problems.push_back({"--config", "the file " + path + " cannot be read"});
    return out;
  }
  std::stringstream text;
  text << in.rdbuf();
  const auto json = core::try_parse_json(text.str());
  if (!json || !json->is_object()) {
    problems.push_back({"--config", path + " must hold one JSON object"});
    return out;
  }
  for (const auto& [name, value] : json->items()) {
    if (find_setting(name) == nullptr) {
      problems.push_back({name, "is no setting; see `assistiv serve --help`"});
    } else {
      out[name] = as_text(value);
    }
  }
  return out;
}

std::string env_name(const std::string& setting) {
  std::string out = "ASSISTIV_";
  for (const char c : setting) out.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c);
  return out;
}

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1" || address == "localhost";
}

void check_together(const Config& config, std::vector<ConfigProblem>& problems) {
  if (config.tls_certificate_file.empty() != config.tls_key_file.empty()) {
    problems.push_back({"tls_key_file", "set tls_certificate_file and tls_key_file together"});
  }
  if (config.conformance_fixtures && !is_loopback(config.listen_address)) {
    problems.push_back(
        {"conformance_fixtures", "needs listen_address to be a loopback address: it is anonymous"});
  }
  if (!config.connector_overrides.empty() && !config.allow_loopback_upstreams) {
    for (const auto& [app, urls] : config.connector_overrides) {
      const bool plain = urls.web.starts_with("http://") || urls.api.starts_with("http://") ||
                         urls.hosts.starts_with("http://");
      if (plain) {
        problems.push_back(
            {"connector_overrides", "plain http for \"" + app + "\" needs allow_loopback_upstreams=1"});
      }
    }
  }
}

}  // namespace

ConfigError::ConfigError(std::vector<ConfigProblem> problems) : problems_(std::move(problems)) {
  for (const auto& problem : problems_) {
    text_ += (text_.empty() ? "" : "\n") + problem.setting + ": " + problem.message;
  }
}

bool Config::has_role(std::string_view role) const {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

bool is_setting(std::string_view name) {
  return find_setting(name) != nullptr;
}

bool is_switch(std::string_view name) {
  const Setting* setting = find_setting(name);
  return setting != nullptr && setting->is_switch;
}

std::map<std::string, std::string> read_environment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto eq = text.find('=');
    if (text.starts_with("ASSISTIV_") && eq != std::string_view::npos) {
      out[std::string(text.substr(0, eq))] = std::string(text.substr(eq + 1));
    }
  }
  return out;
}

std::vector<std::string> unknown_variables(const std::map<std::string, std::string>& environment) {
  std::set<std::string> known{"ASSISTIV_CONFIG"};
  for (const auto& setting : settings()) known.insert(env_name(setting.name));
  std::vector<std::string> out;
  for (const auto& [name, value] : environment)
    if (!known.contains(name)) out.push_back(name);
  return out;
}

Config load_config(const std::string& file, const std::map<std::string, std::string>& environment,
                   const std::map<std::string, std::string>& flags) {
  std::vector<ConfigProblem> problems;
  const Values from_file = read_file(file, problems);
  Config config;
  for (const auto& setting : settings()) {
    std::string source = setting.name;
    std::string value = setting.standard;
    if (const auto it = from_file.find(setting.name); it != from_file.end()) value = it->second;
    if (const auto it = environment.find(env_name(setting.name)); it != environment.end()) {
      source = it->first;
      value = it->second;
    }
    if (const auto it = flags.find(setting.name); it != flags.end()) {
      source = "--" + setting.name;
      value = it->second;
    }
    try {
      setting.read(config, value);
    } catch (const std::string& fix) {
      problems.push_back({source, fix});
    }
  }
  if (config.master_keys_file.empty()) config.master_keys_file = config.data_dir + "/master-keys.json";
  check_together(config, problems);
  if (!problems.empty()) throw ConfigError(std::move(problems));
  return config;
}

std::string config_reference_markdown() {
  std::string out =
      "# Configuration\n\nWritten by `assistiv config reference`. Settings come from the JSON file given "
      "with `--config`, from the\n"
      "environment, and from flags (`--listen-address`), the later winning.\n\n"
      "| setting | environment | default | meaning |\n| --- | --- | --- | --- |\n";
  for (const auto& setting : settings()) {
    const std::string standard = setting.standard.empty() ? "" : "`" + setting.standard + "`";
    out += "| `" + setting.name + "` | `" + env_name(setting.name) + "` | " + standard + " | " +
           setting.meaning + " |\n";
  }
  return out;
}

std::string config_help() {
  std::string out;
  for (const auto& setting : settings()) {
    std::string flag = "--" + setting.name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    flag.resize(std::max<std::size_t>(flag.size() + 1, 28), ' ');
    out += "  " + flag + setting.meaning + (setting.standard.empty() ? "" : " [" + setting.standard + "]") +
           "\n";
  }
  return out;
}

}  // namespace assistiv::api
