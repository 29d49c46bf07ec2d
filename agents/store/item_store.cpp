#include "agents/store/item_store.h"

#include <algorithm>
#include <utility>

#include "agents/store/reply_page_store.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::agents {

namespace {

using core::Json;
using storage::Param;
using storage::Row;
using storage::Scope;
using storage::Transaction;

constexpr std::size_t kLabelsMax = 16, kLabelMax = 128, kKeyMax = 512, kFiltersMax = 32;

bool has_control(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// "a.b." for {a, b}: no path is another's beginning unless its namespace is.
std::string path_of(const Namespace& space, const char* field, bool may_be_empty = false) {
  if ((space.empty() && !may_be_empty) || space.size() > kLabelsMax)
    throw core::bad_request("A namespace has 1 to 16 labels.", field);
  std::string out;
  for (const auto& label : space) {
    if (label.empty() || label.size() > kLabelMax || label.find('.') != std::string::npos ||
        has_control(label))
      throw core::bad_request(
          "A label of a namespace has 1 to 128 bytes, without dots and control characters.", field);
    out += label + ".";
  }
  return out;
}

Namespace labels_of(const std::string& path) {
  Namespace out;
  for (std::size_t at = 0; at < path.size();) {
    const auto end = path.find('.', at);
    if (end == std::string::npos) break;
    out.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

std::string checked_key(std::string key) {
  if (key.empty() || key.size() > kKeyMax || has_control(key))
    throw core::bad_request("A key has 1 to 512 bytes, without control characters.", "/key");
  return key;
}

std::vector<Param> owner_params(const Reach& reach) {
  return {reach.platform.str(), reach.end_user ? reach.end_user->str() : reach.platform.str()};
}

constexpr std::string_view kOwned =
    " i.platform_id = $1::uuid and i.owner_id = $2::uuid and (i.expires_at is null or i.expires_at > now()) ";
constexpr std::string_view kItemColumns =
    " i.path, i.item_key, i.value, assistiv_ms(i.created_at) as created_ms, assistiv_ms(i.updated_at) as "
    "updated_ms ";

bool is_there(Transaction& tx, std::vector<Param> key) {
  return !tx.exec(
                "select 1 from agent_item where platform_id = $1::uuid and owner_id = $2::uuid and path = $3 "
                "and item_key = $4",
                std::move(key))
              .empty();
}

constexpr const char* kItemBytes = "octet_length(s.path) + octet_length(s.item_key) + octet_length(s.value)";

Item read_item(const Row& row) {
  return {labels_of(row.text("path")), row.text("item_key"), core::parse_json(row.text("value"), 512),
          row.time("created_ms"), row.time("updated_ms")};
}

// Adds conditions with bound values only; the operators are ours.
class Conditions {
 public:
  Conditions(std::string where, std::vector<Param> params)
      : where_(std::move(where)), params_(std::move(params)) {}

  std::string bind(std::string value) {
    params_.emplace_back(std::move(value));
    return "$" + std::to_string(params_.size());
  }

  void prefix(const std::string& path) {
    if (path.empty()) return;
    auto end = path;
    end.back() = '/';  // the character after "."
    where_ += " and i.path >= " + bind(path) + " and i.path < " + bind(end);
  }

  void filter(const Json& filter) {
    if (!filter.is_object() || filter.size() > kFiltersMax)
      throw core::bad_request("A filter is an object of at most 32 members.", "/filter");
    for (const auto& [key, wanted] : filter.items()) {
      const bool has_operators =
          wanted.is_object() && !wanted.empty() && wanted.begin().key().starts_with("$");
      if (!has_operators) {
        compare(key, "$eq", wanted);
        continue;
      }
      for (const auto& [name, value] : wanted.items()) compare(key, name, value);
    }
  }

  const std::string& where() const { return where_; }
  const std::vector<Param>& params() const { return params_; }

 private:
  void compare(const std::string& key, const std::string& name, const Json& value) {
    const auto member = "(i.search -> " + bind(key) + "::text)";
    const auto operand = "assistiv_jsonb(" + bind(core::dump_json(value)) + ")";
    if (name == "$ne") {
      where_ += " and " + member + " is distinct from " + operand;
      return;
    }
    const char* sign = name == "$eq"    ? "="
                       : name == "$gt"  ? ">"
                       : name == "$gte" ? ">="
                       : name == "$lt"  ? "<"
                                        : nullptr;
    if (name == "$lte") sign = "<=";
    if (sign == nullptr) throw core::bad_request("A filter has no such operator.", "/filter");
    if (name == "$eq")  // what the index finds; the comparison says whether it is more than that
      where_ += " and i.search @> assistiv_jsonb(" + bind(core::dump_json(Json{{key, value}})) + ")";
    // Values of two types have no order.
    where_ += " and jsonb_typeof(" + member + ") = jsonb_typeof(" + operand + ") and " + member + " " + sign +
              " " + operand;
  }

  std::string where_;
  std::vector<Param> params_;
};

}  // namespace

core::Task<> ItemStore::put(Reach reach, NewItem item) {
  auto params = owner_params(reach);
  params.push_back(reach.end_user ? Param(reach.end_user->str()) : Param());
  params.emplace_back(path_of(item.space, "/namespace"));
  params.emplace_back(checked_key(item.key));
  if (!item.value.is_object()) throw core::bad_request("An item's value is an object.", "/value");
  params.emplace_back(core::dump_json(item.value));
  if (params.back()->size() > kValueMax)
    throw core::Error(core::ErrorKind::PayloadTooLarge, "An item's value has at most 1 MiB.")
        .with_field("/value");
  params.push_back(item.ttl_minutes ? Param(std::to_string(*item.ttl_minutes)) : Param());
  const bool has_room = counts_ == nullptr || co_await counts_->has_room(reach, Owned::Items);
  co_await database_.run(Scope::tenant(reach.platform), [params, has_room](Transaction& tx) {
    if (!has_room && !is_there(tx, {params[0], params[1], params[3], params[4]}))
      throw too_many(Owned::Items);
    tx.exec(
        "insert into agent_item (platform_id, owner_id, end_user_id, path, item_key, value, search, "
        "ttl_minutes, "
        "expires_at) values ($1::uuid, $2::uuid, $3::uuid, $4, $5, $6, assistiv_jsonb($6), $7::integer, "
        "now() + "
        "make_interval(mins => $7::integer)) on conflict (platform_id, owner_id, path, item_key) do update "
        "set value = "
        "excluded.value, search = excluded.search, ttl_minutes = excluded.ttl_minutes, expires_at = "
        "excluded.expires_at, updated_at = now(), created_at = case when agent_item.expires_at <= now() then "
        "now() else "
        "agent_item.created_at end",
        params);
  });
}

core::Task<std::optional<Item>> ItemStore::get(Reach reach, Namespace space, std::string key,
                                               bool refresh_ttl) {
  auto params = owner_params(reach);
  params.emplace_back(path_of(space, "/namespace"));
  params.emplace_back(checked_key(std::move(key)));
  co_return co_await database_.run(
      Scope::tenant(reach.platform), [params, refresh_ttl](Transaction& tx) -> std::optional<Item> {
        const std::string where = std::string(kOwned) + "and i.path = $3 and i.item_key = $4";
        const auto rows =
            tx.exec("select" + std::string(kItemColumns) + "from agent_item i where" + where, params);
        if (rows.empty()) return {};
        if (refresh_ttl)
          tx.exec("update agent_item i set expires_at = now() + make_interval(mins => ttl_minutes) where" +
                      where + " and ttl_minutes is not null",
                  params);
        return read_item(rows[0]);
      });
}

core::Task<> ItemStore::remove(Reach reach, Namespace space, std::string key) {
  auto params = owner_params(reach);
  params.emplace_back(path_of(space, "/namespace"));
  params.emplace_back(checked_key(std::move(key)));
  co_await database_.run(Scope::tenant(reach.platform), [params](Transaction& tx) {
    tx.exec(
        "delete from agent_item where platform_id = $1::uuid and owner_id = $2::uuid and path = $3 and "
        "item_key = $4",
        params);
  });
}

core::Task<ItemPage> ItemStore::search(Reach reach, ItemSearch query) {
  Conditions conditions{std::string(kOwned), owner_params(reach)};
  conditions.prefix(path_of(query.prefix, "/namespace_prefix", true));
  conditions.filter(query.filter);
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    ItemPage out;
    if (query.limit <= 0) return out;
    auto page = conditions;
    const auto offset = page.bind(std::to_string(query.offset)),
               limit = page.bind(std::to_string(query.limit + 1));  // whether there are more
    const auto found = "from agent_item i where" + page.where() + " order by i.path, i.item_key limit " +
                       limit + "::bigint offset " + offset + "::bigint";
    const auto rows =
        tx.exec(fitting_rows("select" + std::string(kItemColumns) + found, kItemBytes), page.params());
    for (const auto row : rows) {
      if (out.items.size() < static_cast<std::size_t>(query.limit)) out.items.push_back(read_item(row));
      out.more = row.integer("page_found") > static_cast<std::int64_t>(out.items.size());
    }
    auto given = page.params();
    given.back() = std::to_string(out.items.size());
    if (query.refresh_ttl && !out.items.empty())
      tx.exec(
          "update agent_item u set expires_at = now() + make_interval(mins => u.ttl_minutes) from (select "
          "i.platform_id, i.owner_id, i.path, i.item_key " +
              found +
              ") f where u.platform_id = f.platform_id and u.owner_id = f.owner_id and u.path = f.path and "
              "u.item_key = f.item_key and u.ttl_minutes is not null",
          given);
    return out;
  });
}

core::Task<std::vector<Namespace>> ItemStore::namespaces(Reach reach, NamespaceSearch query) {
  Conditions conditions{std::string(kOwned), owner_params(reach)};
  conditions.prefix(path_of(query.prefix, "/prefix", true));
  auto where = conditions.where();
  if (const auto suffix = path_of(query.suffix, "/suffix", true); !suffix.empty()) {
    const auto end = conditions.bind("." + suffix);
    where += " and right('.' || i.path, length(" + end + ")) = " + end;
  }
  const auto depth = conditions.bind(std::to_string(query.max_depth.value_or(kLabelsMax)));
  const auto limit = conditions.bind(std::to_string(query.limit));
  const auto offset = conditions.bind(std::to_string(query.offset));
  const auto sql = "select distinct array_to_string((string_to_array(rtrim(i.path, '.'), '.'))[1:" + depth +
                   "::integer], '.') || '.' as path from agent_item i where" + where +
                   " order by path limit " + limit + "::bigint offset " + offset + "::bigint";
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    std::vector<Namespace> out;
    for (const auto row : tx.exec(sql, conditions.params())) out.push_back(labels_of(row.text("path")));
    return out;
  });
}

core::Task<std::size_t> ItemStore::sweep(std::size_t max) {
  // System scope: the items of every platform.
  co_return co_await database_.run(Scope::system(), [max](Transaction& tx) {
    return tx
        .exec(
            "delete from agent_item where (platform_id, owner_id, path, item_key) in (select platform_id, "
            "owner_id, "
            "path, item_key from agent_item where expires_at <= now() order by expires_at limit $1::bigint "
            "for update "
            "skip locked)",
            {std::to_string(max)})
        .affected();
  });
}

}  // namespace assistiv::agents
