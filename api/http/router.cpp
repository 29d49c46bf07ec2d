#include "api/http/router.h"

#include <stdexcept>

#include "core/encoding.h"

namespace assistiv::api {

namespace {

// Cuts the first segment off "/a/b"; `rest` becomes "/b".
std::string_view take_segment(std::string_view& rest) {
  rest.remove_prefix(1);
  const auto end = rest.find('/');
  const auto segment = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end);
  return segment;
}

}  // namespace

Router::Router(const RouteTable& table) {
  for (const auto& route : table) add(route);
}

void Router::add(const Route& route) {
  Node* node = &root_;
  std::string_view rest = route.path;
  while (!rest.empty()) {
    const auto segment = take_segment(rest);
    if (segment.starts_with('{')) {
      node = add_param(*node, segment, route);
    } else {
      auto& next = node->fixed[std::string(segment)];
      if (!next) next = std::make_unique<Node>();
      node = next.get();
    }
  }
  if (!node->methods.emplace(route.method, &route).second) {
    throw std::logic_error("two routes for " + route.method + " " + route.path);
  }
}

Router::Node* Router::add_param(Node& node, std::string_view segment, const Route& route) {
  const auto close = segment.find('}');
  const std::string name(segment.substr(1, close - 1));
  const std::string end(segment.substr(close + 1));
  if (!node.param_name.empty() && node.param_name != name) {
    throw std::logic_error("two names for one path parameter in " + route.path);
  }
  node.param_name = name;
  auto& next = end.empty() ? node.param : node.param_with_end[end];
  if (!next) next = std::make_unique<Node>();
  return next.get();
}

// Depth is bounded by the depth of the table, not by the input.
const Router::Node* Router::walk(const Node& node, std::string_view rest,
                                 std::map<std::string, std::string>& params) const {
  if (rest.empty()) return node.methods.empty() ? nullptr : &node;
  const auto segment = take_segment(rest);
  if (const auto it = node.fixed.find(std::string(segment)); it != node.fixed.end()) {
    if (const Node* found = walk(*it->second, rest, params)) return found;
  }
  const Node* next = node.param.get();
  std::string_view taken = segment;
  if (const auto colon = segment.rfind(':'); colon != std::string_view::npos && colon > 0) {
    const auto it = node.param_with_end.find(std::string(segment.substr(colon)));
    if (it != node.param_with_end.end()) {
      next = it->second.get();
      taken = segment.substr(0, colon);
    }
  }
  if (next == nullptr || taken.empty()) return nullptr;
  const auto value = core::percent_decode(taken);
  if (!value || !core::is_valid_utf8(*value)) return nullptr;
  const Node* found = walk(*next, rest, params);
  if (found != nullptr) params[node.param_name] = *value;
  return found;
}

Router::Match Router::find(std::string_view method, std::string_view path) const {
  Match match;
  if (!path.starts_with('/')) return match;
  const Node* node = walk(root_, path, match.params);
  if (node == nullptr) return match;
  const std::string wanted(method == "HEAD" ? "GET" : method);
  if (auto it = node->methods.find(wanted); it != node->methods.end()) {
    match.route = it->second;
  } else if (it = node->methods.find("*"); it != node->methods.end()) {
    match.route = it->second;
  } else {
    for (const auto& [name, route] : node->methods) match.allow.push_back(name);
  }
  return match;
}

}  // namespace assistiv::api
