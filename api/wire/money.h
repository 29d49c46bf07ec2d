#pragma once
// How the routes of money read what they are sent, and how they answer.
#include <optional>
#include <string>
#include <string_view>

#include "api/http/route.h"
#include "billing/actor.h"
#include "billing/wallet_service.h"
#include "core/money.h"
#include "oauth/identity/audit_context.h"

namespace assistiv::api {

// The USD amount in a member of the body: decimal text ("12.50"), or a JSON number, which is taken by the
// digits that were sent and never through a float. Absent when the member is absent or null. Throws
// Error{InvalidArgument} for an exponent, more than nine decimals, or what is out of range.
std::optional<core::NanoUsd> optional_usd(const Call& call, const std::string& member);
core::NanoUsd required_usd(const Call& call, const std::string& member);
// The same for a member of the object that `text` holds.
std::optional<core::NanoUsd> usd_in(std::string_view text, const std::string& member);

billing::Actor actor_of(const oauth::AuditContext& context);
billing::ListRequest list_request(const Call& call);
// A member that is an object, as text; "{}" when absent.
std::string object_text(const Call& call, const std::string& member);

// The caller, and the Idempotency-Key if there is one. Throws InvalidArgument when it cannot be one.
billing::MoneyWrite money_write(const Call& call);
// {"data": ...}, with "idempotent-replayed: true" when it is the first call's reply again.
core::HttpReply money_reply(const billing::MoneyReply& reply);
core::HttpReply page_reply(const billing::JsonPage& page, const Call& call);

}  // namespace assistiv::api
