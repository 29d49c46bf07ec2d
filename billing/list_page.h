#pragma once
// One page of a list, in the shape of docs/rest-api.md: page from 1, limit 1..100 (the route checks both).
#include <cstdint>
#include <string>
#include <vector>

namespace assistiv::billing {

struct ListRequest {
  int page = 1;
  int limit = 20;
  // Rows to skip, for a statement's argument.
  std::string offset() const { return std::to_string((static_cast<std::int64_t>(page) - 1) * limit); }
};

template <class T>
struct ListPage {
  std::vector<T> items;
  std::int64_t total = 0;  // of all pages
};

}  // namespace assistiv::billing
