#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/embedded.h"
#include "core/error.h"
#include "mcp/connectors/catalog.h"

namespace assistiv::mcp {

namespace {

constexpr std::uintmax_t kManifestBytesMax = 1 << 20;

[[noreturn]] void refuse_manifest(const std::filesystem::path& path, const std::string& why) {
  throw core::Error(core::ErrorKind::InvalidArgument,
                    "The manifests folder cannot be used: " + path.string() + " " + why + ".");
}

ManifestFile read_manifest(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::file_size(path, error) > kManifestBytesMax || error)
    refuse_manifest(path, "is not readable or too big");
  std::ifstream in(path, std::ios::binary);
  ManifestFile out{path.filename().string(), std::string(std::istreambuf_iterator<char>(in), {})};
  if (!in) refuse_manifest(path, "is not readable");
  return out;
}

void read_folder(const std::string& directory, std::map<std::string, ManifestFile>& out) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() != ".json") continue;
    auto file = read_manifest(entry.path());
    out[file.name] = std::move(file);
  }
  if (error) refuse_manifest(directory, "is not a readable folder");
}

}  // namespace

std::vector<ManifestFile> manifest_files(const std::string& directory) {
  std::map<std::string, ManifestFile> out;
  for (const auto& file : embedded_manifests()) {
    out[std::string(file.path)] = {std::string(file.path), std::string(file.content)};
  }
  if (!directory.empty()) read_folder(directory, out);
  std::vector<ManifestFile> files;
  for (auto& [name, file] : out) files.push_back(std::move(file));
  return files;
}

}  // namespace assistiv::mcp
