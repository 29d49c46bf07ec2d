#include "storage/sql_error.h"

#include <pqxx/pqxx>
#include <string>

namespace assistiv::storage {

namespace {

// SQLSTATE classes and codes: PostgreSQL documentation, appendix A.
bool starts_with_any(std::string_view state, std::initializer_list<std::string_view> prefixes) {
  for (const auto prefix : prefixes) {
    if (state.starts_with(prefix)) return true;
  }
  return false;
}

// DETAIL and CONTEXT quote values of rows.
std::string message_without_values(std::string_view what) {
  for (const std::string_view part : {"\nDETAIL:", "\nCONTEXT:"}) what = what.substr(0, what.find(part));
  while (what.ends_with('\n')) what.remove_suffix(1);
  return std::string(what);
}

std::string describe(std::string_view state, std::string_view what, std::string_view sql) {
  constexpr std::size_t kSqlMax = 300;
  std::string out(state.empty() ? "no SQLSTATE" : state);
  out += ": " + message_without_values(what);
  if (!sql.empty()) out += " [" + std::string(sql.substr(0, kSqlMax)) + "]";
  return out;
}

core::Error timed_out(std::string detail) {
  return core::Error(core::ErrorKind::DeadlineExceeded,
                     "The database took too long. Try again, or ask for less.")
      .with_detail(std::move(detail));
}

core::Error duplicate(std::string detail) {
  return core::conflict("This already exists. Read the existing one, or use another name.")
      .with_detail(std::move(detail));
}

core::Error dangling(std::string detail) {
  return core::not_found("Something that this refers to does not exist (any more).")
      .with_detail(std::move(detail));
}

SqlError from_state(std::string_view state, std::string detail) {
  if (state == "23505") return {SqlFault::Failed, duplicate(std::move(detail))};
  if (state == "23503") return {SqlFault::Failed, dangling(std::move(detail))};
  if (state == "57014") return {SqlFault::Failed, timed_out(std::move(detail))};
  if (state == "26000") return {SqlFault::StalePlan, database_unavailable(std::move(detail))};
  if (state == "0A000" && detail.find("cached plan") != std::string::npos) {
    return {SqlFault::StalePlan, database_unavailable(std::move(detail))};
  }
  // Shutdown, lost or refused connections, and a node that became a standby: another connection may do
  // better.
  if (starts_with_any(state, {"08", "57P", "25P03", "25006"})) {
    return {SqlFault::ConnectionLost, database_unavailable(std::move(detail))};
  }
  if (starts_with_any(state, {"53", "55P03"}))
    return {SqlFault::Failed, database_unavailable(std::move(detail))};
  return {SqlFault::Failed, core::internal(std::move(detail))};
}

}  // namespace

core::Error database_unavailable(std::string detail) {
  return core::Error(core::ErrorKind::Unavailable, "The database is not available. Try again shortly.")
      .with_retry_after(std::chrono::seconds(1))
      .with_detail(std::move(detail));
}

core::Error cannot_connect(std::string_view what) {
  const bool from_server = what.find("connection to server") != std::string_view::npos;
  return database_unavailable("cannot connect: " +
                              std::string(from_server ? what : "database_url is not usable by libpq"));
}

SqlError read_sql_error(std::exception_ptr thrown, std::string_view sql) {
  try {
    std::rethrow_exception(thrown);
  } catch (const pqxx::broken_connection& e) {
    return {SqlFault::ConnectionLost, database_unavailable(describe("", e.what(), sql))};
  } catch (const pqxx::serialization_failure& e) {
    return {SqlFault::Contended, database_unavailable(describe("40001", e.what(), sql))};
  } catch (const pqxx::deadlock_detected& e) {
    return {SqlFault::Contended, database_unavailable(describe("40P01", e.what(), sql))};
  } catch (const pqxx::sql_error& e) {
    return from_state(e.sqlstate(), describe(e.sqlstate(), e.what(), sql));
  } catch (const core::Error& e) {
    return {SqlFault::Failed, e};
  } catch (const std::exception& e) {
    return {SqlFault::Failed, core::internal(describe("", e.what(), sql))};
  }
}

}  // namespace assistiv::storage
