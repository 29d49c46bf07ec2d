#include "storage/row_data.h"

#include <charconv>
#include <pqxx/pqxx>

#include "core/error.h"

namespace assistiv::storage {

struct Row::Data {
  pqxx::result result;

  // pqxx's own look-up folds case and copies; results have few columns, so a scan is quicker.
  pqxx::field at(std::size_t row, std::string_view column) const {
    for (pqxx::row::size_type i = 0; i < result.columns(); ++i) {
      if (column == result.column_name(i)) {
        return result[static_cast<pqxx::result::size_type>(row)][i];
      }
    }
    throw core::internal("the result has no column " + std::string(column));
  }
};

namespace {

std::string_view view_of(const pqxx::field& field) {
  return {field.c_str(), field.size()};
}

std::int64_t parse_integer(std::string_view text, std::string_view column) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw core::internal("column " + std::string(column) + " is not an integer");
  }
  return value;
}

}  // namespace

Result wrap_result(const pqxx::result& result) {
  return Result(std::make_shared<Row::Data>(Row::Data{result}));
}

bool Row::is_null(std::string_view column) const {
  return data_->at(index_, column).is_null();
}

std::string Row::text(std::string_view column) const {
  return std::string(view_of(data_->at(index_, column)));
}

std::optional<std::string> Row::optional_text(std::string_view column) const {
  const auto field = data_->at(index_, column);
  return field.is_null() ? std::nullopt : std::optional<std::string>(view_of(field));
}

std::int64_t Row::integer(std::string_view column) const {
  return parse_integer(view_of(data_->at(index_, column)), column);
}

bool Row::boolean(std::string_view column) const {
  const auto field = data_->at(index_, column);
  const auto text = view_of(field);
  if (text != "t" && text != "f") throw core::internal("column " + std::string(column) + " is not a boolean");
  return text == "t";
}

core::Time Row::time(std::string_view column) const {
  return core::from_epoch_ms(integer(column));
}

std::optional<core::Time> Row::optional_time(std::string_view column) const {
  return is_null(column) ? std::nullopt : std::optional<core::Time>(time(column));
}

std::size_t Result::size() const {
  return data_->result.size();
}
std::size_t Result::affected() const {
  return data_->result.affected_rows();
}

}  // namespace assistiv::storage
