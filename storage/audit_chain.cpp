#include "storage/audit_chain.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::storage {

namespace {

constexpr std::size_t kEventMax = 64;
constexpr std::size_t kSubjectMax = 512;
constexpr std::size_t kRequestIdMax = 128;

// Names of tools and request ids come from callers; an odd one must not stop the batch it is in.
std::string fit_text(std::string text, std::size_t max) {
  if (text.size() > max) {
    text.resize(max);
    while (!text.empty() && !core::is_valid_utf8(text) && text.size() + 4 > max) text.pop_back();
  }
  const bool odd = text.find('\0') != std::string::npos || !core::is_valid_utf8(text);
  if (!odd) return text;
  std::string out;
  for (const char c : text) out += (c >= 0x20 && c < 0x7f) ? c : '?';
  return out;
}

bool needs_escapes(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; });
}

std::string quoted(const std::string& text) {
  return needs_escapes(text) ? core::dump_json(core::Json(text)) : '"' + text + '"';
}

template <class AnyId>
std::string quoted_id(const std::optional<AnyId>& id) {
  return id ? '"' + id->str() + '"' : "null";
}

}  // namespace

std::string audit_genesis_hash() {
  return std::string(32, '\0');
}

AuditEvent fit_event(AuditEvent event) {
  if (event.details_json.empty()) event.details_json = "{}";
  if (event.details_json.size() > kAuditDetailsMax)
    throw core::internal("audit details of " + event.event + " are too long");
  if (!event.details_are_canonical) {
    const auto details = core::try_parse_json(event.details_json);
    if (!details || !details->is_object())
      throw core::internal("audit details of " + event.event + " are no JSON object");
    event.details_json = core::dump_json(*details);
  }
  event.event = fit_text(std::move(event.event), kEventMax);
  event.actor_kind = fit_text(std::move(event.actor_kind), kEventMax);
  event.subject = fit_text(std::move(event.subject), kSubjectMax);
  event.request_id = fit_text(std::move(event.request_id), kRequestIdMax);
  return event;
}

std::string canonical_entry(core::PlatformId platform, std::int64_t seq, core::Time at,
                            const AuditEvent& event) {
  std::string out = R"({"actor_kind":)" + quoted(event.actor_kind);
  out += R"(,"at":)" + std::to_string(core::to_epoch_ms(at));
  out += R"(,"details":)" + event.details_json;
  out += R"(,"end_user_id":)" + quoted_id(event.end_user_id);
  out += R"(,"event":)" + quoted(event.event);
  out += R"(,"key_id":)" + quoted_id(event.key_id);
  out += R"(,"platform_id":")" + platform.str() + '"';
  out += R"(,"request_id":)" + quoted(event.request_id);
  out += R"(,"seq":)" + std::to_string(seq);
  out += R"(,"subject":)" + quoted(event.subject) + '}';
  return out;
}

std::string audit_hash(std::string_view prev_hash, core::PlatformId platform, std::int64_t seq, core::Time at,
                       const AuditEvent& event) {
  return core::sha256(std::string(prev_hash) + canonical_entry(platform, seq, at, event));
}

void link_record(AuditRecord& record, AuditHead& head) {
  record.seq = head.seq + 1;
  record.prev_hash = head.hash;
  record.hash = audit_hash(record.prev_hash, record.platform, record.seq, record.at, record.event);
  head = {record.seq, record.hash};
}

}  // namespace assistiv::storage
