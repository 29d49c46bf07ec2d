#include "api/web/html.h"

#include "core/encoding.h"

namespace assistiv::api {

// U+202A to U+202E and U+2066 to U+2069 (UTF-8: E2 80 AA..AE, E2 81 A6..A9) and control characters: a name
// must not turn around or hide the words that stand beside it. Rows may be older than the check at the door.
std::string without_controls(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto rest = text.substr(i, 3);
    const unsigned char last = rest.size() == 3 ? static_cast<unsigned char>(rest[2]) : 0;
    const bool embedding = rest.starts_with("\xE2\x80") && last >= 0xAA && last <= 0xAE;
    const bool isolate = rest.starts_with("\xE2\x81") && last >= 0xA6 && last <= 0xA9;
    if (embedding || isolate) {
      i += 2;
    } else if (static_cast<unsigned char>(text[i]) >= 0x20 && text[i] != 0x7f) {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string esc(const std::string& text) {
  return core::html_escape(text);
}

std::string isolated(std::string_view text) {
  return "<bdi>" + esc(without_controls(text)) + "</bdi>";
}

core::HttpReply html_page(int status, const std::string& title, const std::string& body,
                          const std::string& head, PageScripts scripts) {
  auto reply = core::text_reply(
      status,
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
      "<meta name=\"robots\" content=\"noindex\"><title>" +
          esc(title) +
          "</title><link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"/assets/style.css\">" +
          head + "</head><body><main>" + body + "</main></body></html>\n",
      "text/html; charset=utf-8");
  const std::string allowed =
      scripts == PageScripts::Own
          ? "img-src 'self' data:; script-src 'self'; connect-src 'self'; form-action 'none'; "
            "require-trusted-types-for 'script'; "
          : "img-src data:; form-action 'self'; ";
  reply.headers.add("content-security-policy", "default-src 'none'; style-src 'self'; " + allowed +
                                                   "frame-ancestors 'none'; base-uri 'none'");
  reply.headers.add("x-frame-options", "DENY");
  reply.headers.add("referrer-policy", "no-referrer");
  reply.headers.add("cache-control", "no-store");
  reply.headers.add("cross-origin-opener-policy", "same-origin");
  return reply;
}

}  // namespace assistiv::api
