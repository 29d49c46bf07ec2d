// A client that never gives up: it starts a run, answers what the run asks, and tells how it ended, whatever happens to
// the server meanwhile.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { pause } from '../support/machine.mjs';

const API = '/v1/agents/api';
const LIMIT_MS = 120_000;

export class Driver {
  /** @param {() => {url: string, key: string}} server the one to ask now */
  constructor(server, outside) {
    Object.assign(this, { server, outside });
  }

  /** One request; null when nobody answered, or nobody could. */
  async ask(method, route, body, headers = {}) {
    const { url, key } = this.server();
    try {
      const reply = await fetch(url + API + route, {
        method, body: body && JSON.stringify(body), signal: AbortSignal.timeout(5000),
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
      });
      const text = await reply.text();
      if (reply.status >= 500 || reply.status === 429) return null;
      return { status: reply.status, body: text ? JSON.parse(text) : null };
    } catch {
      return null;
    }
  }

  async insist(method, route, body, headers) {
    const end = Date.now() + LIMIT_MS;
    for (;;) {
      const reply = await this.ask(method, route, body, headers);
      if (reply) return reply;
      assert.ok(Date.now() < end, `${method} ${route}: nobody answered`);
      await pause(50);
    }
  }

  async start(thread, body) {
    const key = randomUUID();
    const reply = await this.insist('POST', `/threads/${thread}/runs`, { if_not_exists: 'create', ...body }, { 'idempotency-key': key });
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    return reply.body.run_id;
  }

  answerTo({ value }, mark) {
    if (value.kind !== 'uncertain_effect' && value.type !== 'uncertain_effect') return 'yes';
    // A person looks whether it happened.
    const happened = this.outside.times(`${mark}-${value.tool.replace(/^.*_/, '')}`) > 0;
    return happened ? { action: 'happened', result: { mark } } : { action: 'retry' };
  }

  /** A run that is lost three times without getting on is taken for one that kills its process. */
  async wasGivenUp(thread) {
    const { body } = await this.insist('GET', `/threads/${thread}`);
    return body.error?.error === 'attempts_exhausted';
  }

  /** From the start to the end. Gives the values and the ids of its runs. */
  async drive(workload, mark) {
    const thread = randomUUID();
    const { durability } = workload;
    const input = workload.input?.(mark) ?? { mark };
    const runs = [await this.start(thread, { assistant_id: workload.agent.slug, durability, input })];
    let asked = 0;
    const end = Date.now() + LIMIT_MS;
    for (;;) {
      assert.ok(Date.now() < end, `${mark}: the run does not end`);
      const { body: run } = await this.insist('GET', `/threads/${thread}/runs/${runs.at(-1)}`);
      if (['pending', 'running'].includes(run.status)) {
        await pause(30);
        continue;
      }
      const { body: state } = await this.insist('GET', `/threads/${thread}/state`);
      const open = state.tasks.flatMap(({ interrupts }) => interrupts);
      if (run.status === 'success' && open.length === 0) return { thread, runs, values: state.values, asked };
      if (run.status === 'error' && await this.wasGivenUp(thread)) return { thread, runs, givenUp: true, asked };
      assert.ok(['success', 'interrupted'].includes(run.status) && open.length, `${mark}: ${JSON.stringify(run)}`);
      asked += open.length;
      const resume = Object.fromEntries(open.map((interrupt) => [interrupt.id, this.answerTo(interrupt, mark)]));
      runs.push(await this.start(thread, { assistant_id: workload.agent.slug, durability, command: { resume } }));
    }
  }
}
