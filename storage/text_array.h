#pragma once
// PostgreSQL's array literal as one parameter: any($1::uuid[]), unnest($1::text[], ...). Documentation,
// section 8.15.6.
#include <string>
#include <string_view>

namespace assistiv::storage {

class TextArray {
 public:
  void add(std::string_view value);
  void add_null();
  // "{...}"; the array is empty afterwards.
  std::string take();

 private:
  void separate();
  std::string text_ = "{";
};

}  // namespace assistiv::storage
