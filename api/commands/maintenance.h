#pragma once
// Commands that work on the database beside (or without) a running server.
#include "api/commands/arguments.h"
#include "api/config.h"

namespace assistiv::api {

int run_migrate(const Config& config, const Arguments& arguments);
int run_admin(const Config& config, const Arguments& arguments);

inline constexpr char kAdminHelp[] =
    "usage: assistiv admin <command>\n\n"
    "  create-platform --name NAME [--slug SLUG]   make a platform; prints it with its first key\n"
    "  rotate-admin-key                            new operator key in <data_dir>/admin.key; the old ones "
    "stop working\n"
    "  rotate-master-key                           add a fresh master key; new secrets use it at once\n"
    "  re-encrypt [--drop-unused]                  move every stored secret to the active master key, under "
    "load\n"
    "  verify-audit --platform ID                  recompute the platform's audit hash chain\n"
    "  verify-ledger [--platform ID]               add the books up: entries, accounts, usage rows, leases\n"
    "  revoke --app APP [--platform ID] [--end-user ID] [--wait SECONDS] [--dry-run]\n"
    "                                              end every connection of an app, here and at its provider\n"
    "  prices import FILE --format FORMAT          take a price catalogue over: litellm, genai-prices, "
    "models.dev\n\n"
    "They use the same settings as `assistiv serve` (--data-dir, --database-url, ...).\n";

}  // namespace assistiv::api
