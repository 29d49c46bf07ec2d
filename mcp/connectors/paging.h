#pragma once
// Upstream paging behind one interface: what to send for a page, and where the next one is.
#include <optional>
#include <string>

#include "core/encoding.h"
#include "core/http.h"
#include "core/json.h"
#include "mcp/connectors/cursor.h"
#include "mcp/connectors/plan.h"

namespace assistiv::mcp {

// Names that the paginator's `send` may use, bound for `state`: limit and page, offset or cursor.
Bindings page_bindings(const Paginator& paginator, const PageState& state);
// Query parameters of a page that replace those of the same name.
core::FormFields page_query(const Paginator& paginator, const PageState& state);
// The same as members of a JSON or form body.
void add_page_to_body(const Paginator& paginator, const PageState& state, core::Json& body);

// The page after `state`, of which the response had `count` results; empty when it was the last.
std::optional<PageState> next_page(const Paginator& paginator, const PageState& state, std::int64_t count,
                                   const core::HttpHeaders& headers, const core::Json& body);

// The target of rel="next" in a Link header (RFC 8288); empty when there is none.
std::string next_link(std::string_view header);

}  // namespace assistiv::mcp
