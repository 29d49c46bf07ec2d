// The agents of a platform: made from a model and tools or from a graph, changed by versions, checked before they are saved.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { assertError } from './support/api.mjs';
import { World } from './support/world.mjs';

const example = (name) => JSON.parse(readFileSync(new URL(`../../examples/agents/${name}`, import.meta.url), 'utf8'));

describe('Agents', () => {
  let world, platform, other, base;
  before(async () => {
    world = await World.start({ apps: [] });
    platform = world.platform;
    other = await world.newPlatform([]);
    base = `${platform.path}/agents`;
    for (const one of [platform, other]) {
      await one.api.must(201, 'POST', `${one.path}/llm-configs`, {
        provider: 'openai-compatible', base_url: 'http://127.0.0.1:9/v1', local: true, models: ['demo'],
      });
    }
  });
  after(() => world?.stop());

  test('the ready agents of the examples can be made', async () => {
    for (const file of readdirSync(new URL('../../examples/agents/', import.meta.url)).filter((name) => name.endsWith('.json'))) {
      const made = await platform.api.must(201, 'POST', base, example(file));
      assert.equal(made.version.version, 1, file);
      assert.equal(made.version.ready_graph, file === 'tool-loop.json', file);
      assert.equal(made.version.graph.spec, 'agentgraph/1', file);
    }
    const { body } = await platform.api.get(`${base}?limit=3`);
    assert.equal(body.total, 4);
    assert.equal(body.data.length, 3);
    assertError(await platform.api.send('POST', base, example('triage.json')), 409, 'conflict');
  });

  test('a change makes a version; which one runs is chosen', async () => {
    const changed = await platform.api.must(200, 'PATCH', `${base}/triage`, { limits: { max_cost_usd: '0.10' }, activate: false });
    assert.deepEqual([changed.active_version, changed.latest_version, changed.version.version], [1, 2, 2]);
    const renamed = await platform.api.must(200, 'PATCH', `${base}/triage`, { name: 'First line', metadata: { team: 'support' } });
    assert.deepEqual([renamed.name, renamed.metadata.team, renamed.latest_version], ['First line', 'support', 2]);
    const active = await platform.api.must(200, 'POST', `${base}/triage/versions/2/activate`);
    assert.equal(active.active_version, 2);
    const first = await platform.api.must(200, 'GET', `${base}/${active.id}/versions/1`);
    assert.equal(first.limits.max_cost_usd, '0.25');
    const { body } = await platform.api.get(`${base}/triage/versions`);
    assert.deepEqual(body.data.map((version) => version.version), [2, 1]);
    assert.equal(body.data[0].graph, undefined);
    assertError(await platform.api.send('POST', `${base}/triage/versions/9/activate`), 404, 'not_found');
    assertError(await platform.api.send('GET', `${base}/triage/versions/first`), 404, 'not_found');
  });

  test('faults are told with their places, and nothing is saved', async () => {
    const faulty = example('triage.json');
    faulty.slug = 'faulty';
    faulty.model = 'unheard-of';
    faulty.graph.nodes.route.branches[0].to = 'nobody';
    faulty.graph.nodes.classify.write = { categry: '${result.json.kind}' };
    const checked = await platform.api.must(200, 'POST', `${base}/validate`, faulty);
    assert.equal(checked.valid, false);
    assert.deepEqual(checked.faults.map((fault) => [fault.pointer, fault.rule]).sort(), [
      ['/graph/nodes/classify/write/categry', 'template'],
      ['/graph/nodes/classify/write/categry', 'unknown_state_key'],
      ['/graph/nodes/route/branches/0/to', 'unknown_target'],
      ['/model', 'model_not_allowed'],
    ]);
    const refused = await platform.api.send('POST', base, faulty);
    assertError(refused, 400, 'bad_request');
    for (const fault of checked.faults) assert.ok(refused.body.error.message.includes(fault.pointer), fault.pointer);
    assertError(await platform.api.send('GET', `${base}/faulty`), 404, 'not_found');
    const fine = await platform.api.must(200, 'POST', `${base}/validate`, example('research.json'));
    assert.deepEqual(fine, { valid: true, faults: [] });
  });

  test('an agent is of its platform alone', async () => {
    assertError(await other.api.send('GET', `${other.path}/agents/triage`), 404, 'not_found');
    await other.api.must(201, 'POST', `${other.path}/agents`, example('triage.json'));
    await other.api.must(204, 'DELETE', `${other.path}/agents/triage`);
    assert.equal((await platform.api.must(200, 'GET', `${base}/triage`)).slug, 'triage');
  });

  test('every change is in the audit trail', async () => {
    await platform.api.must(204, 'DELETE', `${base}/triage`);
    const { body } = await platform.api.get(`${platform.path}/audit?limit=100`);
    const events = body.data.filter((entry) => entry.subject === 'triage').map((entry) => entry.event);
    assert.deepEqual(events, ['agent.deleted', 'agent.version_activated', 'agent.updated', 'agent.version_created', 'agent.created']);
  });

  test('the schema of graphs is published', async () => {
    const reply = await fetch(`${world.server.url}/schemas/agentgraph-1.json`);
    assert.equal(reply.status, 200);
    const schema = await reply.json();
    assert.equal(schema.$id, 'urn:assistiv:agentgraph:1');
    assert.equal(schema.$schema, 'https://json-schema.org/draft/2020-12/schema');
  });
});
