#include "storage/connection.h"

#include <pqxx/pqxx>
#include <unordered_map>

#include "core/encoding.h"
#include "core/metrics.h"
#include "storage/connection_url.h"
#include "storage/row_data.h"

namespace assistiv::storage {

namespace {

// Silent peers are noticed: on an idle connection by keepalives, on a busy one by the user timeout.
ConnectionDefaults connection_defaults(const DatabaseOptions& options) {
  return {{"connect_timeout", std::to_string(options.connect_timeout.count())},
          {"application_name", "assistiv"},
          {"client_encoding", "UTF8"},
          {"keepalives_idle", "15"},
          {"keepalives_interval", "5"},
          {"keepalives_count", "3"},
          {"tcp_user_timeout", "30000"},
          {"target_session_attrs", "read-write"}};
}

std::string session_settings(const DatabaseOptions& options) {
  return "set statement_timeout = " + std::to_string(options.statement_timeout.count()) +
         "; set idle_in_transaction_session_timeout = 60000; set client_min_messages = error; set timezone = "
         "'UTC'";
}

// Texts of the statements that were seen on this connection. A statement is prepared at its second use: one
// that comes once would pay a round trip for nothing.
class PreparedStatements {
 public:
  explicit PreparedStatements(std::size_t max) : max_(max) {}

  // The name under which `sql` is prepared, or nullptr when it is to be sent as it is.
  const std::string* find(pqxx::connection& connection, std::string_view sql) {
    const auto seen = statements_.find(sql);
    if (seen == statements_.end()) {
      if (statements_.size() < max_) statements_.emplace(sql, std::string());
      return nullptr;
    }
    if (seen->second.empty()) {
      seen->second = "s" + std::to_string(++count_);
      connection.prepare(seen->second, seen->first);
    }
    return &seen->second;
  }

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::size_t max_;
  std::size_t count_ = 0;
  std::unordered_map<std::string, std::string, TextHash, std::equal_to<>> statements_;
};

void require_text(const std::vector<Param>& params) {
  for (const auto& param : params) {
    if (!param) continue;
    if (param->find('\0') != std::string::npos || !core::is_valid_utf8(*param)) {
      throw core::bad_request("Text must be UTF-8 without NUL characters.");
    }
  }
}

core::metrics::Histogram& statement_seconds() {
  static auto& histogram =
      core::metrics::histogram("assistiv_db_statement_seconds", "Time of one database statement.");
  return histogram;
}

class StatementTimer {
 public:
  ~StatementTimer() {
    statement_seconds().observe(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count());
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::unique_ptr<pqxx::connection> connect(const DatabaseOptions& options) {
  try {
    return std::make_unique<pqxx::connection>(with_defaults(options.url, connection_defaults(options)));
  } catch (const std::exception& e) {
    throw cannot_connect(e.what());
  }
}

}  // namespace

struct Connection::Impl {
  explicit Impl(const DatabaseOptions& options)
      : connection(connect(options)), quiet(*connection), prepared(options.prepared_statements_max) {}

  std::unique_ptr<pqxx::connection> connection;
  pqxx::quiet_errorhandler quiet;  // libpq would write notices to standard error
  PreparedStatements prepared;
  std::optional<pqxx::nontransaction>
      transaction;  // BEGIN and COMMIT are ours, to have them in our round trips

  pqxx::result send(std::string_view sql, const std::vector<Param>& params) {
    if (params.empty()) return transaction->exec(std::string(sql));
    std::vector<const char*> values;
    values.reserve(params.size());
    for (const auto& param : params) values.push_back(param ? param->c_str() : nullptr);
    const auto arguments = pqxx::prepare::make_dynamic_params(values);
    if (const auto* name = prepared.find(*connection, sql))
      return transaction->exec_prepared(*name, arguments);
    return transaction->exec_params(std::string(sql), arguments);
  }
};

Connection::Connection(const DatabaseOptions& options) : impl_(std::make_unique<Impl>(options)) {
  // libpqxx 6 would reconnect in silence in the middle of our transaction and run the rest of it unprotected.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
  impl_->connection->inhibit_reactivation(true);
#pragma clang diagnostic pop
  exec_alone(session_settings(options));
}

Connection::~Connection() = default;

void Connection::exec_alone(std::string_view sql) {
  try {
    pqxx::nontransaction alone(*impl_->connection);
    alone.exec(std::string(sql));
  } catch (...) {
    fail(std::current_exception(), sql);
  }
}

void Connection::begin(const Scope& scope) {
  fault_ = SqlFault::None;
  error_.reset();
  ++transactions_;
  std::string setting = scope.platform()
                            ? "set local assistiv.platform_id = '" + scope.platform()->str() + "'"
                            : std::string("set local assistiv.system = 'on'");
  if (scope.generic_plans()) setting += "; set local plan_cache_mode = force_generic_plan";
  try {
    impl_->transaction.emplace(*impl_->connection);
    impl_->transaction->exec("begin; " + setting);
  } catch (...) {
    fail(std::current_exception(), "begin");
  }
}

Result Connection::exec(std::string_view sql, const std::vector<Param>& params) {
  if (fault_ != SqlFault::None) throw core::internal("a statement after a failed one: " + std::string(sql));
  require_text(params);
  const StatementTimer timer;
  try {
    return wrap_result(impl_->send(sql, params));
  } catch (...) {
    fail(std::current_exception(), sql);
  }
}

void Connection::commit() {
  try {
    impl_->transaction->exec("commit");
    impl_->transaction.reset();
  } catch (...) {
    fail(std::current_exception(), "commit");
  }
}

void Connection::rollback() noexcept {
  if (fault_ == SqlFault::ConnectionLost || fault_ == SqlFault::StalePlan) reusable_ = false;
  try {
    if (impl_->transaction && reusable_) impl_->transaction->exec("rollback");
    impl_->transaction.reset();
  } catch (const std::exception&) {
    reusable_ = false;
  }
}

void Connection::fail(std::exception_ptr thrown, std::string_view sql) {
  auto [fault, error] = read_sql_error(thrown, sql);
  fault_ = fault;
  error_ = std::move(error);
  throw *error_;
}

}  // namespace assistiv::storage
