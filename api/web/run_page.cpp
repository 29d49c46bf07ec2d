#include "api/web/run_page.h"

#include "api/web/html.h"

namespace assistiv::api {

namespace {

constexpr char kRunHead[] =
    "<link rel=\"stylesheet\" href=\"/assets/run.css\">"
    "<script src=\"/assets/run_page.js\" type=\"module\"></script>";

constexpr char kRunBody[] = R"(<noscript><p class="bad">This page needs its script.</p></noscript>
<form id="open" class="open" hidden>
<p class="wide"><label for="key">Key of an end user or of a platform</label><input class="text" id="key" type="password" placeholder="sk-eu_..."
 autocomplete="off" autocapitalize="none" spellcheck="false" required></p>
<p class="soft">The key stays in this tab until it is closed or the key is forgotten. Answers are real: the agent goes on with them.</p>
<p><button class="button" type="submit">Open</button></p>
</form>
<p id="using" class="soft using" hidden><a href="/agents/runs">All runs</a> <span>Key <code id="using-key"></code></span>
<button class="link" type="button" id="forget">Forget the key</button></p>
<div class="head"><h1 id="run-title" tabindex="-1">Runs of agents</h1><span id="run-state"></span></div>
<p id="status" role="status" class="soft"></p>
<section id="list" aria-label="Runs" hidden>
<p class="row"><label for="pick-status">Show</label><select id="pick-status" class="text"><option value="">all runs</option><option value="interrupted">those that stopped or wait</option>
<option value="running">those that run</option><option value="success">those that finished</option><option value="error">those that failed</option></select>
<button class="button quiet" type="button" id="refresh">Read again</button></p>
<ul id="runs" class="runs"></ul>
</section>
<div id="run" hidden>
<p id="run-ids" class="soft ids"></p>
<p id="run-error" class="bad box" role="alert" hidden></p>
<p id="lost" class="soft" role="status" hidden>The connection is lost; trying again ...</p>
<dl id="facts" class="facts"></dl>
<p><button class="button quiet" type="button" id="cancel" hidden>Stop the run</button></p>
<section id="waits" class="waits" aria-labelledby="waits-title" hidden><h2 id="waits-title">It waits for you</h2><div id="questions"></div></section>
<div class="columns">
<section id="graph-section" class="graph-section" aria-labelledby="graph-title"><h2 id="graph-title">The graph</h2><div id="graph" class="graph-box" tabindex="0" role="region" aria-labelledby="graph-title"></div>
<ul class="legend" aria-label="What the marks mean"><li class="done">&#10003; done</li><li class="running">&#9679; running</li><li class="waiting">&#8214; waits</li><li class="failed">&#10005; failed</li><li class="next">&#9675; not yet</li></ul></section>
<section aria-labelledby="steps-title"><h2 id="steps-title">What it did</h2><p id="no-steps" class="soft">No step is kept yet.</p><ol id="steps" class="steps"></ol></section>
</div>
<section id="usage-section" aria-labelledby="usage-title" hidden><h2 id="usage-title">Calls of models, as they were paid</h2><p id="usage-total" class="soft"></p>
<table class="usage"><thead><tr><th scope="col">Model</th><th scope="col">Provider</th><th scope="col">Tokens in</th><th scope="col">Tokens out</th><th scope="col">Time</th><th scope="col">Cost</th><th scope="col">Result</th></tr></thead><tbody id="usage"></tbody></table></section>
</div>)";

}  // namespace

core::HttpReply run_page() {
  return html_page(200, "Runs of agents", kRunBody, kRunHead, PageScripts::Own);
}

}  // namespace assistiv::api
