#include "api/commands/commands.h"

#include <iostream>
#include <string>
#include <vector>

#include "api/application.h"
#include "api/commands/arguments.h"
#include "api/commands/maintenance.h"
#include "api/commands/manifest.h"
#include "api/commands/serve.h"
#include "api/config.h"
#include "api/version.h"
#include "core/error.h"
#include "core/log.h"

namespace assistiv::api {

namespace {

constexpr char kHelp[] =
    "Assistiv Gateway: MCP tools that act for a platform's end users.\n\n"
    "usage: assistiv <command> [settings]\n\n"
    "  serve              run the server (creates and migrates its database)\n"
    "  migrate [--plan]   bring the database up to date, or show what would be done\n"
    "  admin ...          create platforms, rotate keys, re-encrypt, verify the audit trail, end an app's "
    "connections\n"
    "  manifest draft     draft a connector manifest from an OpenAPI document\n"
    "  config check       read every setting and the files that they name; report the problems\n"
    "  config reference   print the settings as Markdown\n"
    "  version            print the version\n\n"
    "Settings come from --config FILE (JSON), ASSISTIV_* variables and flags, the later winning:\n\n";

int print_help() {
  std::cout << kHelp << config_help();
  return 0;
}

Config config_from(const Arguments& arguments) {
  auto flags = arguments.flags;
  std::string file = arguments.flag("config");
  auto environment = read_environment();
  if (file.empty() && environment.contains("ASSISTIV_CONFIG")) file = environment["ASSISTIV_CONFIG"];
  return load_config(file, environment, flags);
}

int run_config(const Arguments& arguments) {
  const std::string what = arguments.words.size() > 1 ? arguments.words[1] : "";
  arguments.expect_words(2);
  if (what == "reference") {
    std::cout << config_reference_markdown();
    return 0;
  }
  if (what != "check") {
    std::cerr << "usage: assistiv config check | reference\n";
    return 2;
  }
  const Config config = config_from(arguments);
  check_files(config);
  for (const auto& name : unknown_variables(read_environment())) {
    std::cerr << "note: " << name << " is no setting and has no effect on the server.\n";
  }
  std::cout << "The configuration is valid.\n";
  return 0;
}

int run(const Arguments& arguments) {
  const std::string command = arguments.words.empty() ? "" : arguments.words[0];
  if (command == "serve" || command == "migrate" || command == "version") arguments.expect_words(1);
  if (command == "admin" && arguments.help) {
    std::cout << kAdminHelp;
    return 0;
  }
  if (arguments.help || command == "help") return print_help();
  if (command == "version") {
    std::cout << "assistiv " << kVersion << "\n";
    return 0;
  }
  if (command == "serve") return serve(config_from(arguments));
  if (command == "config") return run_config(arguments);
  if (command == "manifest") return run_manifest(arguments);
  if (command == "migrate") return run_migrate(config_from(arguments), arguments);
  if (command == "admin") return run_admin(config_from(arguments), arguments);
  if (!command.empty()) std::cerr << "There is no command \"" << command << "\".\n\n";
  std::cerr << kHelp << config_help();
  return 2;
}

}  // namespace

int run_command_line(int argc, char** argv) {
  try {
    return run(Arguments::parse({argv + 1, argv + argc},
                                {"name", "slug", "platform", "plan", "drop_unused", "format", "app",
                                 "end_user", "dry_run", "wait", "openapi", "include", "id"}));
  } catch (const ConfigError& error) {
    std::cerr << "The configuration is not valid:\n" << error.what() << "\n";
    return 2;
  } catch (const core::Error& error) {
    std::cerr << "assistiv: " << error.what() << "\n";
    if (!error.detail().empty()) std::cerr << "  " << core::log::redact(error.detail()) << "\n";
    return error.kind() == core::ErrorKind::InvalidArgument ? 2 : 1;
  } catch (const std::exception& error) {
    std::cerr << "assistiv: " << core::log::redact(error.what()) << "\n";
    return 1;
  }
}

}  // namespace assistiv::api
