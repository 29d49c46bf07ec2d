#pragma once
// The objects of the LangGraph Server API as its clients read them (docs/agents-api.md), and what its
// requests have in common.
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "agents/service/assistant_service.h"
#include "agents/service/thread_state.h"
#include "agents/store/cron_store.h"
#include "agents/store/item_store.h"
#include "agents/store/run.h"
#include "agents/store/thread_store.h"
#include "api/http/route.h"
#include "core/json.h"

namespace assistiv::api::langgraph {

core::Json assistant_view(const agents::Assistant& assistant);
core::Json thread_view(const agents::Thread& thread);
core::Json run_view(const agents::Run& run);
core::Json cron_view(const agents::Cron& cron);
core::Json item_view(const agents::Item& item);
// Of a thread's {task: [interrupt]}; null: none.
core::Json open_interrupts(const core::Json& by_task);

// The members of `view` that "select" of `body` names; all of them without one. Names that are not in
// `known` throw InvalidArgument.
core::Json selected(core::Json view, const core::Json& body, std::initializer_list<std::string_view> known);
// The same where the list stands in a query: JSON, or separated by commas.
core::Json selected_by(core::Json view, const std::string& list,
                       std::initializer_list<std::string_view> known);

inline constexpr int kLimitMax = 1000;

// Members of a body; null and absent are the same.
int limit_of(const core::Json& body, int standard = 10);         // 0..kLimitMax
int offset_of(const core::Json& body);                           // 0..1,000,000
core::Json object_of(const core::Json& body, const char* name);  // {} when absent
std::optional<std::string> text_of(const core::Json& body, const char* name);
agents::Namespace labels_of(const core::Json& body, const char* name);  // empty when absent
agents::NamespaceSearch namespace_search_of(const core::Json& body);
bool flag_of(const core::Json& body, const char* name, bool standard = false);
// An id; one that is no UUID throws NotFound with the noun.
template <class AnyId>
std::optional<AnyId> id_of(const core::Json& body, const char* name, const std::string& noun) {
  const auto text = text_of(body, name);
  if (!text) return {};
  const auto id = AnyId::parse(*text);
  if (!id) throw not_found_id(noun);
  return id;
}

// A query parameter; "1" and "true" are true.
bool query_flag(const Call& call, const char* name);
int query_number(const Call& call, const char* name, int standard, int max);

// "Prefer: return=minimal" (RFC 7240 section 4.2): the caller does not want the object back.
bool wants_minimal(const Call& call);

// The reply as it is, without an envelope.
core::HttpReply plain(const core::Json& body, int status = 200);
// With X-Pagination-Total, and X-Pagination-Next (an offset) when there are more. A page may be shorter than
// its limit: what is over agents::kReplyBytesMax is on the next one.
core::HttpReply page_of(const core::Json& rows, int offset, std::int64_t total);
// {"items": rows}, without a total.
core::HttpReply items_reply(core::Json rows, int offset, bool more);
// States; the next page comes with "before", which X-Pagination-Next has: the last one's checkpoint.
core::HttpReply states_reply(const core::Json& rows, const agents::StatePage& page);

}  // namespace assistiv::api::langgraph
