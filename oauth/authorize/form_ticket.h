#pragma once
// What ties a form of ours to the browser and the request that it was made for, without a row in the
// database. Pure.
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/ids.h"
#include "core/secret.h"

namespace assistiv::oauth {

// `key` is the same on every node; `binding` is everything that must be as it was (the browser's cookie, the
// query).
std::string make_form_ticket(const core::Secret& key, std::string_view binding, core::KeyId id,
                             core::Time expires_at);
// The id; nothing for another binding, a changed ticket or one that is too old.
std::optional<core::KeyId> read_form_ticket(const core::Secret& key, std::string_view binding,
                                            std::string_view ticket, core::Time now);

}  // namespace assistiv::oauth
