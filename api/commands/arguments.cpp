#include "api/commands/arguments.h"

#include <algorithm>

#include "api/config.h"
#include "core/error.h"

namespace assistiv::api {

Arguments Arguments::parse(const std::vector<std::string>& args, const std::vector<std::string>& extra) {
  Arguments out;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "--help" || arg == "-h") {
      out.help = true;
      continue;
    }
    if (!arg.starts_with("--")) {
      out.words.push_back(arg);
      continue;
    }
    const auto eq = arg.find('=');
    std::string name = arg.substr(2, eq == std::string::npos ? std::string::npos : eq - 2);
    std::replace(name.begin(), name.end(), '-', '_');
    const bool known =
        is_setting(name) || name == "config" || std::find(extra.begin(), extra.end(), name) != extra.end();
    if (!known) throw core::bad_request("There is no flag " + arg.substr(0, eq) + ". See `assistiv --help`.");
    if (eq != std::string::npos) {
      out.flags[name] = arg.substr(eq + 1);
    } else if (is_switch(name) || i + 1 >= args.size() || args[i + 1].starts_with("--")) {
      out.flags[name] = "";
    } else {
      out.flags[name] = args[++i];
    }
  }
  return out;
}

std::string Arguments::flag(const std::string& name, std::string standard) const {
  const auto it = flags.find(name);
  return it == flags.end() ? standard : it->second;
}

}  // namespace assistiv::api
