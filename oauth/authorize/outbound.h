#pragma once
// The authorization server's own calls: documents of strangers and of registered issuers, through the guard
// of outbound calls.
#include <cstddef>
#include <optional>
#include <string>

#include "core/http_client.h"
#include "core/task.h"

namespace assistiv::oauth {

// GET within five seconds. Nothing for an answer other than 200 and for none; the log says why.
core::Task<std::optional<core::OutboundResponse>> get_json(core::HttpClient& http, std::string url,
                                                           std::size_t bytes_max);

// https with a host, at most 2048 printable characters, no user, no fragment; http on a loopback address with
// `allow_loopback`.
bool is_provider_url(const std::string& url, bool allow_loopback);

}  // namespace assistiv::oauth
