#include "oauth/identity/page.h"

#include "core/error.h"

namespace assistiv::oauth {

namespace {
constexpr int kMaxPage = 1'000'000;
constexpr int kMaxLimit = 100;
}  // namespace

void PageRequest::check() const {
  if (page < 1 || page > kMaxPage) throw core::bad_request("page must be 1 to 1000000.", "page");
  if (limit < 1 || limit > kMaxLimit) throw core::bad_request("limit must be 1 to 100.", "limit");
}

std::string PageRequest::offset() const {
  return std::to_string(static_cast<std::int64_t>(page - 1) * limit);
}

}  // namespace assistiv::oauth
