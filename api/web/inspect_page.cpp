#include "api/web/inspect_page.h"

#include <string>

#include "api/web/html.h"

namespace assistiv::api {

namespace {

constexpr char kHead[] =
    "<link rel=\"stylesheet\" href=\"/assets/inspect.css\">"
    "<script src=\"/assets/inspect.js\" type=\"module\"></script>";

constexpr char kBody[] = R"(<h1>Inspect tools</h1>
<p class="soft">Lists the tools that an end user's key sees, and calls them. The key stays in the memory of this page: closing or
reloading the page forgets it. Calls are real: they act on the connected accounts.</p>
<noscript><p class="bad">This page needs its script.</p></noscript>
<form id="open" class="open">
<p class="wide"><label for="key">End user's key</label><input class="text" id="key" type="password" placeholder="sk-eu_..." autocomplete="off"
 autocapitalize="none" spellcheck="false" required></p>
<p><label for="app">App (empty: all)</label><input class="text" id="app" placeholder="github" autocomplete="off" autocapitalize="none" spellcheck="false"></p>
<p><label for="toolsets">Toolsets</label><input class="text" id="toolsets" placeholder="github:issues,slack" autocomplete="off" autocapitalize="none" spellcheck="false"></p>
<p><label for="names">Tools by name</label><input class="text" id="names" placeholder="github_get_issue" autocomplete="off" autocapitalize="none" spellcheck="false"></p>
<p><label for="budget">Tokens of a result at most</label><input class="text" id="budget" type="number" min="600" step="100" placeholder="the server's bound"></p>
<div class="wide checks"><label><input type="checkbox" id="readonly">Only tools that read</label><label><input type="checkbox" id="search-mode">Search mode</label></div>
<div class="wide row"><button class="button" type="submit">List tools</button><button class="button quiet" type="button" id="forget">Forget the key</button></div>
</form>
<p id="status" role="status" class="soft"></p>
<div id="lists" class="columns" hidden>
<section aria-labelledby="tools-title"><h2 id="tools-title">Tools</h2><p class="soft" id="total"></p>
<label for="filter">Filter</label><input class="text" id="filter" type="search" autocomplete="off"><ul id="tools" class="tools"></ul></section>
<section id="tool" aria-label="Chosen tool"></section>
</div>
<section id="messages-section" aria-labelledby="messages-title" hidden><h2 id="messages-title">Messages, newest first</h2><ol id="messages" class="messages"></ol></section>)";

}  // namespace

core::HttpReply inspect_page() {
  return html_page(200, "Inspect tools", kBody, kHead, PageScripts::Own);
}

}  // namespace assistiv::api
