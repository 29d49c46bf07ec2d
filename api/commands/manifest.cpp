#include "api/commands/manifest.h"

#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "core/json_read.h"
#include "mcp/connectors/draft/manifest_draft.h"

namespace assistiv::api {

namespace {

constexpr std::uintmax_t kOpenApiBytesMax = 64 << 20;

constexpr char kManifestHelp[] =
    "usage: assistiv manifest draft --openapi FILE [--include PATTERN]... [--id APP]\n\n"
    "Drafts a connector manifest from an OpenAPI 3 document in JSON: the manifest on stdout, what its author "
    "is to\n"
    "decide on stderr. PATTERN is \"METHOD /path\" or an operationId, with \"*\"; several are joined.\n";

std::string read_document(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) throw core::bad_request("The file " + path + " cannot be read.");
  if (size > kOpenApiBytesMax) throw core::bad_request("The file " + path + " is larger than 64 MiB.");
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::vector<std::string> patterns_of(const std::string& joined) {
  std::vector<std::string> out;
  std::stringstream text(joined);
  for (std::string pattern; std::getline(text, pattern, ',');) {
    if (!pattern.empty()) out.push_back(pattern);
  }
  return out;
}

}  // namespace

int run_manifest(const Arguments& arguments) {
  const std::string what = arguments.words.size() > 1 ? arguments.words[1] : "";
  const std::string file = arguments.flag("openapi");
  if (what != "draft" || file.empty()) {
    std::cerr << kManifestHelp;
    return 2;
  }
  const auto document = core::parse_json(read_document(file), 256);
  const auto draft =
      mcp::draft_manifest(document, {arguments.flag("id"), patterns_of(arguments.flag("include"))});
  std::cout << draft.text;
  std::cerr << draft.tools << " tools. To decide:\n";
  for (const auto& line : draft.undecided) std::cerr << "  " << line << "\n";
  if (!draft.faults.empty()) std::cerr << "The loader refuses, as it stands:\n";
  for (const auto& line : draft.faults) std::cerr << "  " << draft.id << ".json#" << line << "\n";
  return 0;
}

}  // namespace assistiv::api
