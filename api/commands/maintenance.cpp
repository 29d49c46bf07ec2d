#include "api/commands/maintenance.h"

#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "api/commands/command_world.h"
#include "api/commands/incident.h"
#include "api/wire/views.h"
#include "billing/ledger.h"
#include "billing/price_import.h"
#include "billing/price_store.h"
#include "core/error.h"
#include "inference/providers/config_store.h"
#include "mcp/content/kept_result_store.h"
#include "mcp/grants/approval_service.h"
#include "mcp/remote/remote_server_store.h"
#include "mcp/tasks/pg_task_store.h"
#include "oauth/authorize/authorize_world.h"
#include "oauth/connect/connect_world.h"
#include "oauth/crypto/reencryption.h"
#include "oauth/crypto/vault.h"
#include "oauth/identity/identity_service.h"
#include "oauth/identity/operator_keys.h"
#include "storage/audit.h"
#include "storage/migrator.h"

namespace assistiv::api {

namespace {

int create_platform(const Config& config, const Arguments& arguments) {
  const std::string name = arguments.flag("name");
  if (name.empty()) throw core::bad_request("create-platform needs --name NAME.");
  CommandWorld tools(config);
  storage::AuditLog audit(*tools.database, tools.clock);
  oauth::IdentityService identity(*tools.database, audit, tools.clock, tools.random, {});
  oauth::NewPlatform input{name, {}, {}};
  if (!arguments.flag("slug").empty()) input.slug = arguments.flag("slug");
  const auto made = tools.waiter.wait<oauth::CreatedPlatform>([&] {
    return identity.create_platform(input, oauth::AuditContext{nullptr, "cli"});
  });
  core::Json view = platform_view(made.platform);
  view["api_key"] = issued_key_view(made.api_key);
  std::cout << view.dump(2) << "\n";
  return 0;
}

int rotate_admin_key(const Config& config) {
  CommandWorld tools(config);
  std::cout << "The new operator key is in "
            << oauth::OperatorKeys(*tools.database, tools.clock, tools.random).rotate(config.data_dir)
            << "\n";
  return 0;
}

std::vector<oauth::SealedColumn> sealed_columns() {
  auto columns = oauth::connect_sealed_columns();
  const auto authorize = oauth::authorize_sealed_columns();
  columns.insert(columns.end(), authorize.begin(), authorize.end());
  const auto approvals = mcp::approval_sealed_columns();
  columns.insert(columns.end(), approvals.begin(), approvals.end());
  const auto remotes = mcp::remote_sealed_columns();
  columns.insert(columns.end(), remotes.begin(), remotes.end());
  const auto tasks = mcp::task_sealed_columns();
  columns.insert(columns.end(), tasks.begin(), tasks.end());
  const auto kept = mcp::kept_sealed_columns();
  columns.insert(columns.end(), kept.begin(), kept.end());
  const auto providers = inference::inference_sealed_columns();
  columns.insert(columns.end(), providers.begin(), providers.end());
  for (const auto* secret : {"secret", "previous_secret"}) {
    columns.push_back({"webhook_endpoint", "endpoint_id", "uuid", secret, secret});
  }
  return columns;
}

int rotate_master_key(const Config& config) {
  CommandWorld tools(config);
  const auto vault = oauth::Vault::open_file(config.master_keys_file, tools.random);
  const auto kid = oauth::Reencryption(*tools.database, *vault, sealed_columns()).rotate(tools.random);
  std::cout << "The master key " << kid
            << " is active. Run `assistiv admin re-encrypt` to move what is stored.\n";
  return 0;
}

int reencrypt(const Config& config, const Arguments& arguments) {
  CommandWorld tools(config);
  const auto vault = oauth::Vault::open_file(config.master_keys_file, tools.random);
  oauth::Reencryption work(*tools.database, *vault, sealed_columns());
  const auto report = work.run();
  std::cout << "active master key: " << report.active_kid << "\n";
  for (const auto& column : report.columns) {
    std::cout << column.table << "." << column.column << ": " << column.resealed << " moved, "
              << column.unreadable << " unreadable";
    for (const auto& [kid, rows] : column.kids) std::cout << ", " << rows << " under " << kid;
    std::cout << "\n";
  }
  if (!report.complete()) {
    std::cerr << "Some rows are not under the active key; the log names them.\n";
    return 1;
  }
  if (arguments.flags.contains("drop_unused")) {
    for (const auto& kid : work.drop_unused()) std::cout << "dropped master key " << kid << "\n";
  }
  return 0;
}

// The platform that --platform names. Books of one that does not exist would add up.
core::PlatformId existing_platform(CommandWorld& tools, storage::AuditLog& audit,
                                   const Arguments& arguments) {
  const auto platform = core::PlatformId::parse(arguments.flag("platform"));
  if (!platform) throw core::bad_request("--platform takes the id of a platform.");
  oauth::IdentityService identity(*tools.database, audit, tools.clock, tools.random, {});
  tools.waiter.wait<oauth::Platform>([&] { return identity.get_platform(*platform); });
  return *platform;
}

int verify_audit(const Config& config, const Arguments& arguments) {
  if (arguments.flag("platform").empty()) throw core::bad_request("verify-audit needs --platform ID.");
  CommandWorld tools(config);
  storage::AuditLog audit(*tools.database, tools.clock);
  const auto platform = existing_platform(tools, audit, arguments);
  const auto verdict = tools.waiter.wait<storage::AuditVerdict>([&] { return audit.verify(platform); });
  std::cout << (verdict.valid ? "valid" : "BROKEN") << ": " << verdict.entries << " entries, head "
            << verdict.head_seq << " " << verdict.head_hash << "\n";
  if (verdict.broken_at) std::cout << "first entry that does not fit: " << *verdict.broken_at << "\n";
  return verdict.valid ? 0 : 1;
}

void print_account(const billing::AccountReport& account) {
  std::string faults;
  const auto check = [&faults](bool good, const char* words) {
    faults += good ? "" : std::string("; ") + words;
  };
  check(account.limit_ok, "the limit is not what the entries say");
  check(account.settled_ok, "what was spent is not what the entries say");
  check(account.leased_ok, "what is held is not the sum of the leases");
  check(account.usage_ok, "the entries are not the usage rows");
  check(account.within_limit, "the limit is overrun");
  if (!faults.empty()) std::cout << "  " << account.kind << " " << account.account_id << faults << "\n";
}

int verify_ledger(const Config& config, const Arguments& arguments) {
  CommandWorld tools(config);
  storage::AuditLog audit(*tools.database, tools.clock);
  std::vector<core::PlatformId> platforms;
  if (arguments.flags.contains("platform")) {
    platforms = {existing_platform(tools, audit, arguments)};
  } else {
    platforms = tools.waiter.wait<std::vector<core::PlatformId>>(
        [&] { return billing::ledger_platforms(&*tools.database); });
  }
  bool good = true;
  for (const auto& platform : platforms) {
    const auto report = tools.waiter.wait<billing::LedgerReport>(
        [&] { return billing::verify_ledger(&*tools.database, platform); });
    core::NanoUsd spent, written_off;
    for (const auto& account : report.accounts) {
      if (account.kind != "wallet") continue;
      spent = {account.usage - account.written_off};
      written_off = {account.written_off};
    }
    std::cout << (report.balanced ? "balanced" : "BROKEN") << "  " << platform.str() << "  "
              << report.accounts.size() << " accounts, calls cost USD " << core::format_usd(spent)
              << ", written off USD " << core::format_usd(written_off) << "\n";
    for (const auto& account : report.accounts) print_account(account);
    good = good && report.balanced;
  }
  return good ? 0 : 1;
}

constexpr std::uintmax_t kCatalogueBytesMax = 64 << 20;

std::string read_catalogue_file(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) throw core::bad_request("The file " + path + " cannot be read.");
  if (size > kCatalogueBytesMax) throw core::bad_request("The file " + path + " is larger than 64 MiB.");
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

int import_price_file(const Config& config, const Arguments& arguments) {
  const auto format = billing::parse_catalogue_format(arguments.flag("format"));
  if (arguments.words.size() != 4 || arguments.words[2] != "import" || !format) {
    throw core::bad_request(
        "usage: assistiv admin prices import FILE --format litellm|genai-prices|models.dev");
  }
  const auto imported =
      billing::import_prices(*format, billing::parse_catalogue(read_catalogue_file(arguments.words[3])));
  CommandWorld tools(config);
  billing::PriceChanges changes;
  (*tools.database).execute(storage::Scope::system(), [&](storage::Transaction& tx) {
    changes = billing::PriceStore(tools.clock, tools.random).put(tx, to_string(*format), imported.prices);
  });
  for (const auto& fault : imported.faults) std::cout << fault.row << ": " << fault.message << "\n";
  std::cout << changes.added << " added, " << changes.superseded << " superseded, " << changes.unchanged
            << " unchanged, " << changes.kept << " kept against the import, " << imported.faults_total
            << " rows with remarks\n";
  return 0;
}

}  // namespace

int run_migrate(const Config& config, const Arguments& arguments) {
  CommandDatabase database(config);
  storage::Migrator migrator(*database);
  if (arguments.flags.contains("plan")) {
    const auto plan = migrator.plan();
    for (const auto& name : plan.applied) std::cout << "applied  " << name << "\n";
    for (const auto& name : plan.pending) std::cout << "pending  " << name << "\n";
    return 0;
  }
  const auto applied = migrator.apply();
  for (const auto& name : applied) std::cout << "applied  " << name << "\n";
  if (applied.empty()) std::cout << "The database is up to date.\n";
  return 0;
}

int run_admin(const Config& config, const Arguments& arguments) {
  const std::string command = arguments.words.size() > 1 ? arguments.words[1] : "";
  if (command != "prices") arguments.expect_words(2);
  if (command == "create-platform") return create_platform(config, arguments);
  if (command == "rotate-admin-key") return rotate_admin_key(config);
  if (command == "rotate-master-key") return rotate_master_key(config);
  if (command == "re-encrypt") return reencrypt(config, arguments);
  if (command == "verify-audit") return verify_audit(config, arguments);
  if (command == "verify-ledger") return verify_ledger(config, arguments);
  if (command == "prices") return import_price_file(config, arguments);
  if (command == "revoke") return revoke_app(config, arguments);
  std::cerr << kAdminHelp;
  return 2;
}

}  // namespace assistiv::api
