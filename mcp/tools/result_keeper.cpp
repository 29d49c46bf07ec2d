#include "mcp/tools/result_keeper.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::mcp {

std::string resource_link_json(const KeptLink& link, const std::string& tool) {
  const std::string parts = std::to_string(link.parts);
  return core::dump_json({{"type", "resource_link"},
                          {"uri", link.uri},
                          {"name", tool + "-result"},
                          {"title", "The whole result of " + tool},
                          {"description", "JSON in " + parts + " part(s): this URI followed by /1 to /" +
                                              parts + ". Kept for an hour."},
                          {"mimeType", link.parts == 1 ? "application/json" : "text/plain"},
                          {"size", link.bytes}});
}

std::string kept_note(const KeptLink& link) {
  return " The whole is kept for an hour as the resource " + link.uri + " (" + std::to_string(link.parts) +
         " part(s)).";
}

}  // namespace assistiv::mcp
