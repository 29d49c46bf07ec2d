#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/http/route.h"

namespace assistiv::api {

// Finds the route of a request. Built once, then read by all threads.
class Router {
 public:
  explicit Router(const RouteTable& table);

  struct Match {
    const Route* route = nullptr;
    std::map<std::string, std::string> params;
    std::vector<std::string> allow;  // methods of the path when only the method did not fit
  };
  // HEAD matches GET. A parameter takes one segment, percent-decoded; a segment that does not decode matches
  // nothing. "{name}:end" takes a segment with this end, its last colon being the one before it.
  Match find(std::string_view method, std::string_view path) const;

 private:
  struct Node {
    std::unordered_map<std::string, std::unique_ptr<Node>> fixed;
    std::unique_ptr<Node> param;
    std::unordered_map<std::string, std::unique_ptr<Node>> param_with_end;
    std::string param_name;
    std::map<std::string, const Route*> methods;
  };
  void add(const Route& route);
  static Node* add_param(Node& node, std::string_view segment, const Route& route);
  const Node* walk(const Node& node, std::string_view rest, std::map<std::string, std::string>& params) const;
  Node root_;
};

}  // namespace assistiv::api
