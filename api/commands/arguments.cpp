#include "api/commands/arguments.h"

#include <algorithm>
#include <set>

#include "api/config.h"
#include "core/error.h"

namespace assistiv::api {

namespace {

bool is_switch_word(const std::string& word) {
  static const std::set<std::string> words{"0", "1", "true", "false", "yes", "no", "on", "off"};
  return words.contains(word);
}

}  // namespace

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
    // The one flag that may be given several times.
    const std::string before = name == "include" && out.flags.contains(name) ? out.flags[name] + "," : "";
    if (eq != std::string::npos) {
      out.flags[name] = before + arg.substr(eq + 1);
    } else if (is_switch(name)) {
      const bool said = i + 1 < args.size() && is_switch_word(args[i + 1]);
      out.flags[name] = said ? args[++i] : "1";
    } else if (i + 1 >= args.size() || args[i + 1].starts_with("--")) {
      out.flags[name] = "";
    } else {
      out.flags[name] = before + args[++i];
    }
  }
  return out;
}

void Arguments::expect_words(std::size_t count) const {
  if (words.size() > count)
    throw core::bad_request("\"" + words[count] + "\" is one word too many. See `assistiv --help`.");
}

std::string Arguments::flag(const std::string& name, std::string standard) const {
  const auto it = flags.find(name);
  return it == flags.end() ? standard : it->second;
}

}  // namespace assistiv::api
