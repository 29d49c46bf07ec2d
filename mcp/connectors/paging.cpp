#include "mcp/connectors/paging.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr std::size_t kPositionBytesMax = 2000;

Json position_of(const PageState& state) {
  if (state.position_json.empty()) return {};
  return core::try_parse_json(state.position_json, 3).value_or(Json());
}

PageState at_position(const PageState& state, const Json& position) {
  PageState out = state;
  out.position_json = core::dump_json(position);
  out.skip = 0;
  return out;
}

std::optional<PageState> after_link(const Paginator& paginator, const PageState& state,
                                    const core::HttpHeaders& headers) {
  const std::string link = next_link(headers.get("link").value_or(""));
  const auto mark = link.find('?');
  if (mark == std::string::npos) return {};
  const auto fields = core::form_decode(std::string_view(link).substr(mark + 1, link.find('#') - mark - 1));
  if (!fields) return {};
  Json position = Json::object();
  for (const auto& [name, value] : *fields) {
    const auto& carry = paginator.carry;
    if (std::find(carry.begin(), carry.end(), name) != carry.end()) position[name] = value;
  }
  if (position.empty()) return {};
  return at_position(state, position);
}

std::optional<PageState> after_cursor(const Paginator& paginator, const PageState& state, const Json& body) {
  const Json* next = paginator.next.find_value(body);
  const bool usable =
      next != nullptr &&
      (next->is_number_integer() || (next->is_string() && !next->get_ref<const std::string&>().empty()));
  if (!usable || core::dump_json(*next) == state.position_json) return {};
  return at_position(state, *next);
}

// Page numbers and offsets: there is more when the API says so, or when the page was full.
std::optional<PageState> after_number(const Paginator& paginator, const PageState& state,
                                      std::int64_t count) {
  const Json position = position_of(state);
  const std::int64_t now = position.is_number_integer() ? position.get<std::int64_t>() : paginator.first;
  const bool by_page = paginator.kind == Paginator::Kind::PageNumber;
  if (!paginator.more && count < state.size) return {};
  const std::int64_t step = by_page ? 1 : count;
  const std::int64_t seen =
      by_page ? (now - paginator.first + 1) * state.size : now - paginator.first + count;
  if (step == 0 || (paginator.items_max > 0 && seen >= paginator.items_max)) return {};
  return at_position(state, now + step);
}

}  // namespace

Bindings page_bindings(const Paginator& paginator, const PageState& state) {
  Bindings out = {{"limit", state.size}};
  const Json position = position_of(state);
  if (paginator.kind == Paginator::Kind::BodyCursor) {
    if (!position.is_null()) out["cursor"] = position;
  } else if (paginator.kind != Paginator::Kind::LinkHeader) {
    const char* name = paginator.kind == Paginator::Kind::PageNumber ? "page" : "offset";
    out[name] = position.is_null() ? Json(paginator.first) : position;
  }
  return out;
}

core::FormFields page_query(const Paginator& paginator, const PageState& state) {
  auto out = render_fields(paginator.send, page_bindings(paginator, state));
  const Json position = position_of(state);
  if (paginator.kind == Paginator::Kind::LinkHeader && position.is_object()) {
    for (const auto& [name, value] : position.items()) out.emplace_back(name, value.get<std::string>());
  }
  return out;
}

void add_page_to_body(const Paginator& paginator, const PageState& state, Json& body) {
  const auto bindings = page_bindings(paginator, state);
  for (const auto& [name, pattern] : paginator.send) {
    Json value;
    if (pattern.render(bindings, value)) body[name] = std::move(value);
  }
}

std::optional<PageState> next_page(const Paginator& paginator, const PageState& state, std::int64_t count,
                                   const core::HttpHeaders& headers, const Json& body) {
  if (paginator.more) {
    const Json* more = paginator.more->find_value(body);
    if (more == nullptr || *more != true) return {};
  }
  std::optional<PageState> next;
  if (paginator.kind == Paginator::Kind::LinkHeader) {
    next = after_link(paginator, state, headers);
  } else if (paginator.kind == Paginator::Kind::BodyCursor) {
    next = after_cursor(paginator, state, body);
  } else {
    next = after_number(paginator, state, count);
  }
  return next && next->position_json.size() <= kPositionBytesMax ? next : std::nullopt;
}

std::string next_link(std::string_view header) {
  while (!header.empty()) {
    const auto open = header.find('<');
    const auto close = open == std::string_view::npos ? open : header.find('>', open);
    if (close == std::string_view::npos) return {};
    const auto target = header.substr(open + 1, close - open - 1);
    header.remove_prefix(close + 1);
    const auto parameters = header.substr(0, header.find('<'));
    if (parameters.find("rel=\"next\"") != std::string_view::npos ||
        parameters.find("rel=next") != std::string_view::npos) {
      return std::string(target);
    }
  }
  return {};
}

}  // namespace assistiv::mcp
