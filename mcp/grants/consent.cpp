#include "mcp/grants/consent.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::mcp {

namespace {

constexpr std::string_view kOtherApps = "*";

Policy nothing_allowed() {
  Policy out;
  out.mode = PolicyMode::None;
  return out;
}

}  // namespace

Consents::Consents(PoliciesByApp by_app) : by_app_(std::move(by_app)), others_(nothing_allowed()) {
  if (const auto found = by_app_.find(kOtherApps); found != by_app_.end()) others_ = found->second;
}

const Policy& Consents::of(std::string_view app) const {
  const auto found = by_app_.find(app);
  return found == by_app_.end() ? others_ : found->second;
}

Consents stored_consents(std::string_view json) {
  const auto body = core::try_parse_json(json);
  if (!body || !body->is_object()) throw core::internal("a stored consent is not a JSON object");
  PoliciesByApp out;
  for (const auto& [app, policy] : body->items()) out.emplace(app, stored_policy(core::dump_json(policy)));
  return Consents(std::move(out));
}

}  // namespace assistiv::mcp
