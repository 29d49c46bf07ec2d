#pragma once
// Typed plans from the members of a manifest. Every function reports faults through its node and goes on.
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "mcp/connectors/catalog.h"
#include "mcp/connectors/manifest_node.h"
#include "mcp/connectors/plan.h"
#include "mcp/tools/icon.h"

namespace assistiv::mcp {

// The manifest's "api" and its OAuth part. `override_url` ("" for none) replaces the origin of "api.base".
std::shared_ptr<const ApiPlan> parse_api(const ManifestNode& manifest, const std::string& override_url);
std::map<std::string, Paginator> parse_paginators(const ManifestNode& node);
NamedPatterns parse_patterns(const ManifestNode& node);
oauth::OkRule parse_ok(const ManifestNode& node);

// The manifest's "shapes": named ones may use each other, not in a circle.
class ShapeTable {
 public:
  explicit ShapeTable(const ManifestNode& shapes) : shapes_(shapes) {}
  // `node` is the name of a shape, or a shape.
  std::shared_ptr<const Shape> shape(const ManifestNode& node, int depth = 0);

 private:
  std::shared_ptr<const Shape> read(const ManifestNode& node, int depth);
  ShapeField field(const std::string& name, const ManifestNode& node, int depth);
  ManifestNode shapes_;
  std::map<std::string, std::shared_ptr<const Shape>> known_;
};

// The manifest's "icons".
std::vector<Icon> parse_icons(const ManifestNode& node);
// Those that are data become addresses below `base`; what is served there is given back.
std::vector<IconFile> serve_icons(std::vector<Icon>& icons, const std::string& base);

// What tools of one manifest share.
struct ManifestParts {
  std::string app;
  std::shared_ptr<const ApiPlan> api;
  std::map<std::string, Paginator> paginators;
  ShapeTable shapes;
  bool spec_is_good = false;  // the OAuth part could be read: scopes and variables can be checked
};
Tool parse_tool(const ManifestNode& node, ManifestParts& parts);

// The rules for "input": closed, bounded, portable between clients and models, described.
void lint_input(const ManifestNode& input);
// The rules for what a tool says of itself and what it does.
void lint_hints(const ManifestNode& node, const Tool& tool, const ToolPlan& plan);
// Every placeholder is declared, every argument is used.
void lint_names(const ManifestNode& node, const ToolPlan& plan, const ManifestParts& parts);

}  // namespace assistiv::mcp
