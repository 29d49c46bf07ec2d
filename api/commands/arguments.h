#pragma once
#include <map>
#include <string>
#include <vector>

namespace assistiv::api {

// A command line in its parts: words, then --name value, --name=value and --switch, in any order.
struct Arguments {
  std::vector<std::string> words;
  std::map<std::string, std::string> flags;  // names without dashes, "-" in them as "_"
  bool help = false;

  // Throws core::Error{InvalidArgument} for a flag that is no setting and not in `extra`.
  static Arguments parse(const std::vector<std::string>& args, const std::vector<std::string>& extra);
  std::string flag(const std::string& name, std::string standard = {}) const;
  // Throws core::Error{InvalidArgument} that names the first word past the first `count`.
  void expect_words(std::size_t count) const;
};

}  // namespace assistiv::api
