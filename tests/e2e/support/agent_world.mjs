// A world in which the ready agents of examples/agents run: GitHub and Slack stand-ins, the model stand-in with a price, money,
// and an end user who is connected to both apps.
import { readFileSync } from 'node:fs';
import { start as startModels } from '../../../examples/standins/models.mjs';
import { start as startSlack } from '../../../examples/standins/slack.mjs';
import { Client } from '../../js/agent-clients/clients.mjs';
import { World } from './world.mjs';

export const REPOSITORY = { owner: 'octocat', repo: 'hello-world' };
export const exampleAgent = (name) => JSON.parse(readFileSync(new URL(`../../../examples/agents/${name}.json`, import.meta.url), 'utf8'));

export class AgentWorld {
  static async start(agents) {
    const self = new AgentWorld();
    try {
      [self.models, self.slack] = await Promise.all([startModels(), startSlack()]);
      self.world = await World.start({ apps: ['github', 'slack'], overrides: { slack: { web: self.slack.url, api: self.slack.url } } });
      const { admin, platform } = self.world;
      self.platform = platform;
      await admin.must(201, 'POST', `${platform.path}/llm-configs`, { provider: 'openai-compatible', base_url: `${self.models.url}/v1`, local: true, models: ['demo'] });
      await admin.must(200, 'PUT', '/v1/admin/prices', { prices: [{ provider: 'openai-compatible', model: 'demo', rates: { input: '0.15', output: '0.60' } }] });
      await admin.must(201, 'POST', `${platform.path}/wallet/topup`, { amount: '5.00' });
      self.user = await self.newConnectedUser();
      for (const agent of agents) await platform.api.must(201, 'POST', `${platform.path}/agents`, exampleAgent(agent));
    } catch (error) {
      await self.stop();
      throw error;
    }
    return self;
  }

  async newConnectedUser() {
    const user = await this.world.newConnectedUser();
    await this.world.connect(user, { app: 'slack', login: 'ada' });
    return user;
  }

  get url() {
    return this.world.url;
  }

  client(key = this.user.key) {
    return new Client({ apiUrl: `${this.url}/v1/agents/api`, apiKey: key });
  }

  /** What was posted to Slack, oldest first. */
  posted() {
    return this.slack.counters().requests.filter((request) => request.path === '/api/chat.postMessage');
  }

  async newIssue(title) {
    const { useTool } = await import('./mcp.mjs');
    const made = await useTool(this.world.mcp(), this.user.key, 'github_create_issue', { ...REPOSITORY, title, body: 'It fails when it is saved.' });
    return made.item?.number ?? made.number;
  }

  async stop() {
    await this.world?.stop();
    await Promise.all([this.models, this.slack].map((standin) => standin?.stop()));
  }
}
