// GitHub, Slack, Zoho and Zendesk as one table, for tests that hold all four to the same rules. Each has a Front before
// its stand-in.
import { start as startGitHub } from '../../../examples/standins/github.mjs';
import { start as startSlack } from '../../../examples/standins/slack.mjs';
import { start as startZendesk } from '../../../examples/standins/zendesk.mjs';
import { start as startZoho } from '../../../examples/standins/zoho.mjs';
import { Front } from './front.mjs';
import { RETURN_URL } from './world.mjs';

const AT = { owner: 'octocat', repo: 'hello-world' };
const hosts = (url) => ({ web: url, api: url });

/**
 * read, write, list: a tool and its arguments. token, api: which requests go to the token endpoint, to the API. rotates:
 * a refresh token works once. no: an answer with status 200 that says no. page: the page of an endless list by its number, as [body, headers].
 * hostile: (value) => a call that puts it where it must not get out of, and the paths that such calls may reach.
 */
export const VENDORS = {
  github: {
    app: 'github', login: 'octocat', start: startGitHub, override: hosts, rotates: true,
    client: { client_id: 'demo-github-app', client_secret: 'demo-github-app-secret' },
    read: ['github_get_repository', AT], write: ['github_create_issue', { ...AT, title: 'x' }], list: ['github_list_branches', AT],
    token: '/login/oauth/access_token', api: '/repos/',
    no: { error: 'bad_verification_code', error_description: 'The code passed is incorrect or expired.' },
    page: (number, url) => [[], { link: `<${url}/repositories/1/branches?page=${number + 1}>; rel="next"` }],
    hostile: (value) => [['github_get_repository', { owner: 'octocat', repo: value }], /^\/repos\/octocat\/(?!\.{1,2}$)[^/?#]+$/],
  },
  slack: {
    app: 'slack', login: 'grace', start: startSlack, override: hosts, rotates: true,
    client: { client_id: 'demo-slack-rotating', client_secret: 'demo-slack-rotating-secret' },
    read: ['slack_get_user', { user: 'U0ADA' }], write: ['slack_send_message', { channel: 'C0GENERAL', text: 'x' }], list: ['slack_list_users', {}],
    token: '/api/oauth.v2.access', api: '/api/(users|chat)\\.',
    no: { ok: false, error: 'fatal_error' },
    page: (number) => [{ ok: true, members: [], response_metadata: { next_cursor: `more-${number}` } }],
    hostile: (value) => [['slack_get_user', { user: value }], /^\/api\/users\.info$/],
  },
  zoho: {
    app: 'zoho_crm', login: 'amelia', start: startZoho, override: (url) => ({ hosts: `${url}/{host}` }), rotates: false,
    client: { client_id: 'demo-zoho-client', client_secret: 'demo-zoho-client-secret' },
    read: ['zoho_crm_list_modules', {}], write: ['zoho_crm_create_record', { module: 'Leads', record: { Last_Name: 'x' } }],
    list: ['zoho_crm_list_records', { module: 'Leads', field_names: ['id'] }],
    token: '/oauth/v2/token', api: '/crm/',
    no: { code: 'INTERNAL_ERROR', details: {}, message: 'Internal Server Error', status: 'error' },
    page: (number) => [{ data: [], info: { more_records: true, next_page_token: `more-${number}` } }],
    hostile: (value) => [['zoho_crm_get_record', { module: 'Leads', record_id: value }], /^\/www\.zohoapis\.eu\/crm\/v8\/Leads\/(?!\.{1,2}$)[^/?#]+$/],
  },
  zendesk: {
    app: 'zendesk', login: 'agnes', start: startZendesk, override: (url) => hosts(`${url}/t/{subdomain}`), rotates: true,
    client: { client_id: 'demo-zendesk', client_secret: 'demo-zendesk-secret' }, answers: { var_subdomain: 'acme' },
    read: ['zendesk_list_groups', {}], write: ['zendesk_create_ticket', { subject: 'x', description: 'y' }], list: ['zendesk_list_tickets', {}],
    token: '/oauth/tokens$', api: '/api/v2/',
    no: { error: 'InternalError', description: 'Something went wrong' },
    page: (number) => [{ tickets: [], meta: { has_more: true, after_cursor: `more-${number}` } }],
    hostile: (value) => [['zendesk_list_ticket_comments', { ticket_id: value }], /^\/t\/acme\/api\/v2\/tickets\/(?!\.{1,2}\/)[^/?#]+\/comments(\.json)?(\?|$)/],
  },
};

/** Stand-ins and fronts of all four, and the server's setting that leads to them. */
export async function startVendors() {
  const started = {};
  for (const [name, vendor] of Object.entries(VENDORS)) {
    const standin = await vendor.start();
    started[name] = { ...vendor, name, standin, front: await Front.start(standin.url) };
  }
  return {
    ...started,
    overrides: JSON.stringify(Object.fromEntries(Object.values(started).map(({ app, override, front }) => [app, override(front.url)]))),
    stop: () => Promise.all(Object.values(started).flatMap(({ standin, front }) => [front.down(), standin.stop()])),
  };
}

/** What `POST .../mcp/apps` needs. */
export const activation = ({ app, client }) => ({ app, ...client, return_urls: [RETURN_URL] });
