#pragma once
// One page of a list, in the shape of docs/rest-api.md: page from 1, limit 1..100.
#include <cstdint>
#include <string>
#include <vector>

namespace assistiv::oauth {

struct PageRequest {
  int page = 1;
  int limit = 20;

  // Throws Error{InvalidArgument} with the field "page" or "limit".
  void check() const;
  std::string offset() const;  // rows to skip, for a statement's argument
};

template <class T>
struct Page {
  std::vector<T> items;
  std::int64_t total = 0;  // of all pages
  int page = 1;
  int limit = 20;
};

}  // namespace assistiv::oauth
