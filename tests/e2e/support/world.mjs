// A server with the GitHub stand-in behind it, one platform with an activated app, and end users on demand.
import assert from 'node:assert/strict';
import { start as startGitHub } from '../../../examples/standins/github.mjs';
import { Api } from './api.mjs';
import { pause, startServer, startedDir, stopLeftovers } from './server.mjs';

export const RETURN_URL = 'http://127.0.0.1:9/done';
export const SECRETS = {
  github: ['demo-github-app', 'demo-github-app-secret'], github_oauth: ['demo-oauth-app', 'demo-oauth-app-secret'],
  slack: ['demo-slack-app', 'demo-slack-app-secret'], zendesk: ['demo-zendesk', 'demo-zendesk-secret'],
  gitlab: ['demo-gitlab', 'demo-gitlab-secret'],
};

export const overridesFor = (github, more = {}) => JSON.stringify({
  github: { web: github.url, api: github.url }, github_oauth: { web: github.url, api: github.url }, ...more,
});

export class World {
  /** @param {{apps?: string[], env?: object, github?: object, overrides?: object}} options `overrides` are of other apps */
  static async start({ apps = ['github'], env = {}, github: githubOptions, overrides } = {}) {
    const world = new World();
    world.dataDir = await startedDir();
    world.github = await startGitHub(githubOptions);
    world.env = { ASSISTIV_ALLOW_LOOPBACK_UPSTREAMS: '1', ASSISTIV_CONNECTOR_OVERRIDES: overridesFor(world.github, overrides), ...env };
    try {
      await world.boot();
      world.platform = await world.newPlatform(apps);
    } catch (error) {
      await world.stop();
      throw error;
    }
    return world;
  }

  /** Starts the server; again on the same port, so that keys, links and clients of before still lead to it. */
  async boot() {
    const port = this.server && { ASSISTIV_PORT: String(this.server.port) };
    const start = () => startServer({ dataDir: this.dataDir, env: { ...this.env, ...port } });
    // Another test's connection may have taken the port meanwhile, for a moment.
    this.server = await start().catch((error) => {
      if (!port || !/in use/.test(error.message)) throw error;
      return pause(2000).then(start);
    });
    this.admin = new Api(this.server.url, this.server.adminKey);
    return this.server;
  }

  get url() {
    return this.server.url;
  }

  mcp(app) {
    return `${this.url}/mcp${app ? `/${app}` : ''}`;
  }

  async newPlatform(apps = ['github'], name = `Platform ${Math.random().toString(36).slice(2, 8)}`) {
    const platform = await this.admin.must(201, 'POST', '/v1/platforms', { name });
    const api = this.admin.as(platform.api_key.raw_key);
    for (const app of apps) await this.activate({ id: platform.id, api }, app);
    return { id: platform.id, key: platform.api_key.raw_key, api, path: `/v1/platforms/${platform.id}` };
  }

  async activate(platform, app, extra = {}) {
    const [client_id, client_secret] = SECRETS[app] ?? [];
    return platform.api.must(201, 'POST', `/v1/platforms/${platform.id}/mcp/apps`, { app, client_id, client_secret, return_urls: [RETURN_URL], ...extra });
  }

  async newUser(platform = this.platform, external_id = `user-${Math.random().toString(36).slice(2, 10)}`) {
    const user = await platform.api.must(201, 'POST', `${platform.path}/end-users`, { external_id });
    return { id: user.id, key: user.api_key.raw_key, keyId: user.api_key.id, path: `${platform.path}/end-users/${user.id}`, api: this.admin.as(user.api_key.raw_key), platform };
  }

  /** Adds an address that the platform's users may be sent back to; it becomes the app's first one. */
  allowReturn(url, app = 'github') {
    return this.platform.api.must(200, 'PATCH', `${this.platform.path}/mcp/apps/${app}`, { return_urls: [url, RETURN_URL] });
  }

  connections(user) {
    return user.api.get('/v1/me/connections').then(({ body }) => body.data);
  }

  async newConnectedUser({ app = 'github', login = 'octocat', platform = this.platform, ...how } = {}) {
    const user = await this.newUser(platform);
    user.connectionId = await this.connect(user, { app, login, ...how });
    return user;
  }

  link(user, { app = 'github', return_url, vars } = {}) {
    return user.platform.api.must(201, 'POST', `${user.path}/connect-links`, { app, ...(return_url && { return_url }), ...(vars && { vars }) });
  }

  /** The whole connect flow without a browser, with a cookie jar. Returns the connection's id. */
  async connect(user, { app = 'github', login = 'octocat', decision = 'allow', answers, vars } = {}) {
    const link = await this.link(user, { app, return_url: RETURN_URL, vars });
    const result = await followConnect(link.url, { login, decision, answers });
    assert.equal(result.searchParams.get('status'), 'connected', result.href);
    return result.searchParams.get('connection_id');
  }

  async audit(platform = this.platform, query = '') {
    const { body } = await platform.api.get(`${platform.path}/audit?limit=100${query}`);
    return body.data;
  }

  async stop() {
    await this.server?.stop();
    await this.github?.stop();
    stopLeftovers(this.dataDir);
  }
}

/**
 * Opens a connect link as a browser without scripts would, presses the buttons, and returns where it ends. `answers` go
 * into the fields of our page.
 */
export async function followConnect(link, { login = 'octocat', decision = 'allow', answers = {}, stopAt = new URL(RETURN_URL).host } = {}) {
  const jar = new Map(); // "host name" -> value
  const visit = async (url, init = {}) => {
    const cookie = [...jar].filter(([key]) => key.startsWith(`${url.host} `)).map(([key, value]) => `${key.split(' ')[1]}=${value}`).join('; ');
    const reply = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } });
    for (const line of reply.headers.getSetCookie()) {
      const [pair] = line.split(';');
      jar.set(`${url.host} ${pair.slice(0, pair.indexOf('='))}`, pair.slice(pair.indexOf('=') + 1));
    }
    return reply;
  };
  let url = new URL(link);
  let reply = await visit(url);
  for (let step = 0; step < 12; step++) {
    if (reply.status >= 300 && reply.status < 400) {
      url = new URL(reply.headers.get('location'), url);
      if (url.host === stopAt) return url;
      reply = await visit(url);
      continue;
    }
    const html = await reply.text();
    const forward = /<meta http-equiv="refresh" content="0;url=([^"]+)">/i.exec(html);
    if (reply.status === 200 && forward) {
      url = new URL(forward[1].replaceAll('&amp;', '&'), url);
      if (url.host === stopAt) return url;
      reply = await visit(url);
      continue;
    }
    const form = /<form\b([^>]*)>([\s\S]*?)<\/form>/i.exec(html);
    assert.ok(reply.status === 200 && form, `${url} answered ${reply.status} without a form: ${html.slice(0, 1500)}`);
    const action = /action="([^"]*)"/i.exec(form[1])?.[1];
    const fields = new URLSearchParams();
    for (const [tag] of form[2].matchAll(/<input\b[^>]*>/gi)) {
      const attribute = (name) => new RegExp(`\\b${name}="([^"]*)"`, 'i').exec(tag)?.[1]?.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#39;', "'");
      if (answers[attribute('name')] !== undefined) fields.set(attribute('name'), answers[attribute('name')]);
      if (attribute('type') === 'hidden') fields.append(attribute('name'), attribute('value') ?? '');
    }
    if (/name="login"/.test(form[2])) {
      fields.set('login', login);
      fields.set('decision', decision);
    }
    const origin = url.origin;
    url = new URL(action ? action.replaceAll('&amp;', '&') : url.href, url);
    reply = await visit(url, { method: 'POST', body: fields, headers: { origin } });
  }
  throw new Error(`the flow never ended; it is at ${url}`);
}
