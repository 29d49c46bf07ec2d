#include "storage/text_array.h"

#include <utility>

namespace assistiv::storage {

void TextArray::separate() {
  if (text_.size() > 1) text_ += ',';
}

void TextArray::add(std::string_view value) {
  separate();
  text_ += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') text_ += '\\';
    text_ += c;
  }
  text_ += '"';
}

void TextArray::add_null() {
  separate();
  text_ += "NULL";
}

std::string TextArray::take() {
  text_ += '}';
  return std::exchange(text_, "{");
}

}  // namespace assistiv::storage
