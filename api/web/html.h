#pragma once
// What all pages are made of: the frame with its security headers, and text from strangers made harmless.
#include <string>
#include <string_view>

#include "core/http.h"

namespace assistiv::api {

// Own: files of this server (/assets), which may call this server; a page with a script sends no form.
enum class PageScripts { None, Own };

// A page under a strict content security policy, without any script unless it is said; it can be framed by
// nobody.
core::HttpReply html_page(int status, const std::string& title, const std::string& body,
                          const std::string& head = {}, PageScripts scripts = PageScripts::None);
// For text and quoted attributes.
std::string esc(const std::string& text);
// Without control characters and those that turn the direction of text.
std::string without_controls(std::string_view text);
// A name that somebody else chose: it cannot turn around or hide the words that stand beside it.
std::string isolated(std::string_view text);

}  // namespace assistiv::api
