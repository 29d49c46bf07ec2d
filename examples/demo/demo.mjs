// The main job, end to end: an AI agent uses GitHub and models for an end user. Written to be read: every step is a plain
// call of the REST API, of MCP, of the openai package, of LangGraph's client, or a click in a browser. `./scripts/run --demo` starts the server,
// stand-ins for the four apps and for a model provider, and then runs this file.
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import OpenAI from 'openai';
import { chromium } from 'playwright-core';
import { Client as LangGraph } from '../../tests/js/agent-clients/clients.mjs';

const { values: options } = parseArgs({
  options: Object.fromEntries(['quickstart', 'github', 'slack', 'zendesk', 'zoho', 'models', 'screenshots'].map((name) => [name, { type: 'string' }])),
});
const { base_url: BASE, admin_key: ADMIN_KEY } = JSON.parse(fs.readFileSync(options.quickstart, 'utf8'));
const GITHUB = options.github;

// --- 1. The platform: you. An operator creates it and hands over its key. ---

step('Create a platform (operator key)');
const platform = await rest(ADMIN_KEY, 'POST', '/v1/platforms', { name: 'Acme Projects' });
const PLATFORM_KEY = platform.api_key.raw_key; // shown once: keep it
const PLATFORM = `/v1/platforms/${platform.id}`;

step('Create an end user, by your own id for it (platform key)');
const user = await rest(PLATFORM_KEY, 'POST', `${PLATFORM}/end-users`, { external_id: 'ada@acme.example', display_name: 'Ada' });
const USER_KEY = user.api_key.raw_key; // this is what the agent of this user gets

step('Activate the GitHub app with your OAuth client');
await rest(PLATFORM_KEY, 'POST', `${PLATFORM}/mcp/apps`, {
  app: 'github', client_id: 'demo-github-app', client_secret: 'demo-github-app-secret', return_urls: [],
});

// --- 2. The end user connects an account, in a browser. ---

step('Make a one-time connect link for the end user');
const link = await rest(PLATFORM_KEY, 'POST', `${PLATFORM}/end-users/${user.id}/connect-links`, { app: 'github' });

step('The end user opens it, reads what it is about, says yes at the provider, and is back');
await connectInBrowser(link.url);

step('The connection is there');
const [connection] = await rest(USER_KEY, 'GET', '/v1/me/connections');

// --- 3. The agent works, over MCP, with nothing but the end user's key. ---

step('The agent lists its tools (MCP tools/list)');
const agent = new Client({ name: 'demo-agent', version: '1.0.0' });
await agent.connect(new StreamableHTTPClientTransport(new URL(`${BASE}/mcp`), {
  requestInit: { headers: { Authorization: `Bearer ${USER_KEY}` } },
}));
const { tools } = await agent.listTools();
show(`${tools.length} tools: ${tools.map((tool) => tool.name).join(', ')}`);

const REPOSITORY = { owner: 'octocat', repo: 'hello-world' };

step('The agent creates an issue (MCP tools/call)');
const created = await useTool('github_create_issue', { ...REPOSITORY, title: 'Say hello to agents too', body: 'Written by an agent, for Ada.' });
const issueNumber = findNumber(created.structuredContent);

step('... and reads it back');
await useTool('github_get_issue', { ...REPOSITORY, issue_number: issueNumber });

step('Three more apps: Slack; Zendesk, where the end user says on the connect page which Zendesk it is; Zoho CRM, where an account has a data centre');
const APPS = [
  { app: 'slack', client_id: 'demo-slack-app', client_secret: 'demo-slack-app-secret' },
  { app: 'zendesk', client_id: 'demo-zendesk', client_secret: 'demo-zendesk-secret', answers: { 'Zendesk subdomain': 'acme' } },
  { app: 'zoho_crm', client_id: 'demo-zoho-client', client_secret: 'demo-zoho-client-secret', person: /amelia/, yes: 'Accept' },
];
for (const { answers, person, yes, ...app } of APPS) {
  await rest(PLATFORM_KEY, 'POST', `${PLATFORM}/mcp/apps`, { ...app, return_urls: [] });
  const { url } = await rest(PLATFORM_KEY, 'POST', `${PLATFORM}/end-users/${user.id}/connect-links`, { app: app.app });
  await connectInBrowser(url, { provider: options[app.app.split('_')[0]], name: app.app, answers, person, yes });
}

step('The same agent, one session, all four apps: a ticket, a word about it in Slack, a note to the customer\'s lead in the CRM');
const [ticket] = (await useTool('zendesk_search_tickets', { query: 'rocket', status: 'open' })).structuredContent.items;
await useTool('slack_send_message', { channel: '#general', text: `Ticket ${ticket.id} is open: ${ticket.subject}` });
await useTool('zendesk_add_internal_note', { ticket_id: ticket.id, body: `Told the team in Slack; the work is in GitHub issue ${issueNumber}.` });
const [lead] = (await useTool('zoho_crm_search_records', { module: 'Leads', email: 'ted@burns.example', field_names: ['id', 'Last_Name'] })).structuredContent.items;
await useTool('zoho_crm_add_note', { module: 'Leads', record_id: lead.record.id, title: 'Support', content: `Zendesk ticket ${ticket.id}` });

// --- 4. You decide what agents may do. ---

step('A policy: nobody merges, and comments wait for an approval');
await rest(PLATFORM_KEY, 'PUT', `${PLATFORM}/mcp/apps/github/policy`, {
  mode: 'all', tools: [], deny: ['github_merge_pull_request'], require_approval: { classes: [], tools: ['github_add_issue_comment'] },
});

step('The agent tries to merge a pull request, and is told which rule denies it');
await tryTool('github_merge_pull_request', { ...REPOSITORY, pull_number: 4 });

step('The agent wants to comment: the call becomes a pending approval');
const comment = { ...REPOSITORY, issue_number: issueNumber, body: 'On it.' };
let answer = tryTool('github_add_issue_comment', comment);
const approval = await pendingApproval();
show(`waiting: ${approval.tool} ${JSON.stringify(approval.arguments)}`);

step('You approve exactly this call, once; the comment is written');
await rest(PLATFORM_KEY, 'POST', `${PLATFORM}/approvals/${approval.id}/approve`, {});
answer = await answer;
if (answer.isError) await useTool('github_add_issue_comment', comment); // the agent asks again, with the same arguments

// --- 5. The agent thinks: model calls, and what they may cost. ---

step('Name a provider for your model calls: an OpenAI-compatible server in your own network (the operator vouches for it)');
await rest(ADMIN_KEY, 'POST', `${PLATFORM}/llm-configs`, { provider: 'openai-compatible', base_url: `${options.models}/v1`, local: true, models: ['demo'] });

step('... what it costs (prices of the big vendors are built in), and money to pay with');
await rest(ADMIN_KEY, 'PUT', '/v1/admin/prices', { prices: [{ provider: 'openai-compatible', model: 'demo', rates: { input: '0.15', output: '0.60' } }] });
await rest(ADMIN_KEY, 'POST', `${PLATFORM}/wallet/topup`, { amount: '25.00' });

step('The end user gets a budget of its own: one dollar a month');
await rest(PLATFORM_KEY, 'POST', `${PLATFORM}/end-users/${user.id}/budget`, { max_usd: '1.00', period: 'monthly' });

step('A chat completion with the openai package and the end user\'s key');
const openai = new OpenAI({ apiKey: USER_KEY, baseURL: `${BASE}/v1` });
await think(() => openai.chat.completions.create({ model: 'demo', messages: [{ role: 'user', content: 'Say hello.' }] }).withResponse(),
  (reply) => reply.choices[0].message.content);

step('The Responses API with an MCP tool: the gateway runs it, with this user\'s grants');
await think(() => openai.responses.create({
  model: 'demo', input: 'use github_get_me', tools: [{ type: 'mcp', server_label: 'github', server_url: `${BASE}/mcp/github`, require_approval: 'never' }],
}).withResponse(), (reply) => `${reply.output.map((item) => item.type).join(', ')}: ${reply.output_text}`);

// --- 6. Agents of your own: graphs that the gateway runs, as this end user, within a budget. ---

step('Save the four ready agents of examples/agents');
for (const name of ['tool-loop', 'research', 'supervisor', 'triage']) {
  const definition = JSON.parse(fs.readFileSync(new URL(`../agents/${name}.json`, import.meta.url), 'utf8'));
  const { slug, active_version } = await rest(PLATFORM_KEY, 'POST', `${PLATFORM}/agents`, definition, { silent: true });
  show(`${slug} v${active_version}: ${definition.description}`);
}

step('Run them with LangGraph\'s own client and the end user\'s key: a model that uses tools until it has an answer');
const graphs = new LangGraph({ apiUrl: `${BASE}/v1/agents/api`, apiKey: USER_KEY });
const asking = (content) => ({ messages: [{ role: 'user', content }] });
await runAgent('tool-loop', { input: asking(`use github_list_issues ${JSON.stringify(REPOSITORY)}`) }, (values) => values.messages.at(-1).content);

step('... a task for each open issue at once, and one report of all of them');
await runAgent('research', { input: { ...REPOSITORY, question: 'What is it about?' } }, (values) => [...values.findings, `report: ${values.report}`].join('\n'));

step('... a supervisor with two sub-agents; what the second one wants to write waits for a person, who says yes in the browser');
const order = `First the coder: use github_list_issues ${JSON.stringify(REPOSITORY)}. Then the writer: use slack_send_message {"channel": "#general", "text": "The open issues were read."}`;
const supervised = await runAgent('supervisor', { input: asking(order) });
await approveInBrowser(supervised, 'agent-supervisor');

step('... and triage: it reads an issue from GitHub, sorts it, writes what to tell the team, and waits');
const bug = await useTool('github_create_issue', { ...REPOSITORY, title: 'A bug: rockets are not saved', body: 'Saving fails.' });
const triaged = await runAgent('triage', { input: { ...REPOSITORY, issue_number: findNumber(bug.structuredContent), channel: '#general' } });

step('The person opens the page of the run, sees what the agent did and what it wants, and approves; it posts to Slack');
await approveInBrowser(triaged, 'agent-triage');

step('What the agents cost, run by run, and the wallet');
await settled();
for (const run of await rest(USER_KEY, 'GET', '/v1/agents/runs', undefined, { silent: true })) {
  show(`${run.agent.padEnd(11)} ${run.status.padEnd(12)} ${run.usage.llm_calls} model calls  ${run.usage.tool_calls} tool calls  USD ${run.usage.cost_usd}  ${BASE}/agents/runs/${run.thread_id}/${run.id}`);
}
await rest(PLATFORM_KEY, 'GET', `${PLATFORM}/wallet`);

// --- 7. The budget binds. ---

step('You take the rest of the budget away: the next call is refused before it reaches a provider');
await settled();
const { remaining_usd } = await rest(USER_KEY, 'GET', '/v1/me/budget');
await rest(PLATFORM_KEY, 'POST', `${PLATFORM}/end-users/${user.id}/budget/debit`, { amount_usd: remaining_usd, reason: 'for show' }, { headers: { 'Idempotency-Key': `show-${user.id}` } });
await openai.chat.completions.create({ model: 'demo', messages: [{ role: 'user', content: 'Say hello.' }] })
  .then(() => { throw new Error('the budget was empty'); }, (error) => show(`${error.status} ${error.code}: ${error.error.message}`));

step('What it all cost: the wallet, and one usage row per upstream call');
await rest(PLATFORM_KEY, 'GET', `${PLATFORM}/wallet`);
for (const row of await rest(PLATFORM_KEY, 'GET', '/v1/usage', undefined, { quiet: true })) {
  show(`${row.request_type.padEnd(16)} ${row.model}  ${row.total_tokens} tokens  USD ${row.cost_usd}  ${row.status}`);
}

// --- 8. The end user disconnects. ---

step('The end user disconnects; the token is revoked at the provider first');
const before = await standinCounters();
await rest(USER_KEY, 'DELETE', `/v1/me/connections/${connection.id}`);
const after = await standinCounters();
show(`the provider says: live tokens ${before.live_access_tokens} -> ${after.live_access_tokens}, revocations ${before.revocations} -> ${after.revocations}`);

step('A tool call now is no dead end: it says how to connect');
await tryTool('github_get_me', {});
await agent.close();

// --- 9. All of it is on record. ---

step('The audit trail, newest first');
const trail = await rest(PLATFORM_KEY, 'GET', `${PLATFORM}/audit?limit=100`, undefined, { quiet: true });
for (const entry of trail) show(`${String(entry.seq).padStart(4)}  ${entry.at}  ${entry.event.padEnd(22)} ${entry.subject ?? ''}`);

step('... and the proof that nobody changed it');
await rest(PLATFORM_KEY, 'GET', `${PLATFORM}/audit/verify`);

// --- How it is done ---

/** One call of the REST API: prints what is sent and what came back (unless quiet, silent), returns `data`. */
async function rest(key, method, route, body, { silent = false, quiet = silent, headers = {} } = {}) {
  if (!silent) console.log(dim(`  > ${method} ${route}${body ? ` ${JSON.stringify(body)}` : ''}`));
  const reply = await fetch(BASE + route, {
    method,
    headers: { Authorization: `Bearer ${key}`, ...headers, ...(body && { 'Content-Type': 'application/json' }) },
    body: body && JSON.stringify(body),
  });
  const { data, error } = reply.status === 204 ? {} : await reply.json();
  if (!quiet || error) show(`${reply.status} ${JSON.stringify(data ?? error ?? null)}`);
  if (!reply.ok) throw new Error(`${method} ${route}: ${error.message}`);
  return data;
}

/** One tool call over MCP that must succeed. */
async function useTool(name, args) {
  const result = await tryTool(name, args);
  if (result.isError) throw new Error(`${name} failed`);
  return result;
}

/** One tool call over MCP. A tool that fails or is denied answers too: isError, or an error of the protocol. */
async function tryTool(name, args) {
  console.log(dim(`  > tools/call ${name} ${JSON.stringify(args)}`));
  try {
    const result = await agent.callTool({ name, arguments: args });
    show(`${result.isError ? 'error: ' : ''}${result.content.map((part) => part.text ?? `[${part.type}]`).join('\n')}`);
    return result;
  } catch (error) {
    show(`error: ${error.message}`);
    return { isError: true };
  }
}

/** One call of a model: prints the answer and what it cost. */
async function think(ask, answer) {
  const { data, response } = await ask();
  show(answer(data));
  show(`cost USD ${response.headers.get('x-aig-cost-usd')}, provider ${response.headers.get('x-aig-provider')}, attempts ${response.headers.get('x-aig-attempts')}`);
}

/** One run of an agent on a thread of its own: prints what it says, or what it waits for, and what it cost. */
async function runAgent(agent, request, answer) {
  const { thread_id } = await graphs.threads.create();
  console.log(dim(`  > runs.wait ${agent} ${JSON.stringify(request)}`));
  const values = await graphs.runs.wait(thread_id, agent, request);
  const [{ run_id }] = await graphs.runs.list(thread_id);
  const { status, usage, interrupts } = await rest(USER_KEY, 'GET', `/v1/agents/runs/${run_id}`, undefined, { silent: true });
  if (answer) show(answer(values));
  for (const { value } of interrupts) show(`waits: ${value.prompt ?? `may it call ${value.tool} ${JSON.stringify(value.arguments)}?`}`);
  show(`${status}: ${usage.supersteps} steps, ${usage.llm_calls} model calls, ${usage.tool_calls} tool calls, USD ${usage.cost_usd}`);
  return { thread_id, run_id };
}

/** What a person does on the page of a run: types a key, looks, and says yes. */
async function approveInBrowser({ thread_id, run_id }, name) {
  const browser = await openBrowser();
  const page = await browser.newPage();
  await page.goto(`${BASE}/agents/runs/${thread_id}/${run_id}`);
  await page.getByLabel('Key of an end user').fill(USER_KEY);
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByRole('button', { name: 'Approve' }).waitFor();
  await picture(page, `${name}-waits`);
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.locator('#run-state', { hasText: 'finished' }).waitFor();
  show(`the page says: ${(await page.locator('#facts > div').allInnerTexts()).map((fact) => fact.replaceAll('\n', ' ')).join('; ')}`);
  await picture(page, `${name}-finished`);
  await browser.close();
}

/** The books follow a reply within milliseconds. */
async function settled() {
  for (;;) {
    const budget = await rest(USER_KEY, 'GET', '/v1/me/budget', undefined, { silent: true });
    if (budget.held_usd === '0.00' && budget.used_usd !== '0.00') return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function pendingApproval() {
  for (;;) {
    const [approval] = await rest(PLATFORM_KEY, 'GET', `${PLATFORM}/approvals?status=pending`, undefined, { silent: true });
    if (approval) return approval;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function openBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ],
  });
}

/** What a person does with a connect link. */
async function connectInBrowser(url, { provider = GITHUB, name = '', answers = {}, person, yes = 'Authorize' } = {}) {
  const browser = await openBrowser();
  const page = await browser.newPage();
  const named = (what) => (name ? `${name}-${what}` : what);
  await page.goto(url);
  await picture(page, named('consent'));
  for (const [label, value] of Object.entries(answers)) await page.getByLabel(label).fill(value);
  await page.locator('form button').first().click();
  await page.waitForURL(`${provider}/**`);
  await picture(page, named('provider'));
  if (person) await page.getByRole('radio', { name: person }).check();
  await page.getByRole('button', { name: yes, exact: true }).click();
  await page.waitForURL((at) => at.href.startsWith(BASE));
  await picture(page, named('connected'));
  await browser.close();
}

async function picture(page, name) {
  show(`browser: "${await page.title()}" at ${page.url().replace(/\?.*/, '').replace(/(connect\/).+/, '$1...')}`);
  if (!options.screenshots) return;
  for (const [size, viewport] of Object.entries({ desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } })) {
    await page.setViewportSize(viewport);
    await page.screenshot({ path: path.join(options.screenshots, `${name}-${size}.png`) });
  }
}

async function standinCounters() {
  const counters = await (await fetch(`${GITHUB}/__control`)).json();
  return { live_access_tokens: counters.live_access_tokens, revocations: counters.token_revokes + counters.grant_revokes };
}

/** The issue's number, in whatever envelope the tool puts its item. */
function findNumber(content) {
  return content.item?.number ?? content.number;
}

function step(title) {
  step.number = (step.number ?? 0) + 1;
  console.log(`\n${bold(`${step.number}. ${title}`)}`);
}

function show(text) {
  const masked = text.replace(/(sk-[a-z]+_.{4})[A-Za-z0-9_-]+/g, '$1...').replace(/(\/connect\/)[A-Za-z0-9_-]+/g, '$1...');
  const short = masked.length > 1500 ? `${masked.slice(0, 1500)} ... (${masked.length} characters)` : masked;
  console.log(short.split('\n').map((line) => `  < ${line}`).join('\n'));
}

function bold(text) {
  return process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text;
}

function dim(text) {
  return process.stdout.isTTY ? `\x1b[2m${text}\x1b[0m` : text;
}
