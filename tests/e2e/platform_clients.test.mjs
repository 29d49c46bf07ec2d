// Clients without a browser: credentials of their own for one end user, and grants of the platform's issuer.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { ClientCredentialsProvider, PrivateKeyJwtProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { register, token } from './support/authorize.mjs';
import { legacyCall } from './support/mcp.mjs';
import { newKey, signJwt, startOpenId } from './support/openid.mjs';
import { World } from './support/world.mjs';

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const id = () => crypto.randomBytes(8).toString('hex');
const now = () => Math.floor(Date.now() / 1000);

describe('clients of a platform', () => {
  let world, user, base, path;
  before(async () => {
    world = await World.start();
    base = world.url;
    user = await world.newConnectedUser();
    path = `${world.platform.path}/oauth-clients`;
  });
  after(() => world?.stop());
  const make = (body) => world.platform.api.must(201, 'POST', path, { name: 'Nightly report', ...body });
  const basic = ({ client_id, client_secret }) => ({ authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}` });
  const status = async (bearer, address = world.mcp()) => (await legacyCall(address, bearer, 'tools/list')).status;
  const fault = async (want, fields, headers) => {
    const reply = await token(base, fields, headers);
    assert.deepEqual([reply.body.error, reply.status], [want, want === 'invalid_client' ? 401 : 400], JSON.stringify([fields, reply.body]));
    return reply;
  };

  test('the metadata says what is supported', async () => {
    const metadata = await (await fetch(`${base}/.well-known/oauth-authorization-server`)).json();
    for (const grant of ['authorization_code', 'refresh_token', 'client_credentials', JWT_BEARER]) assert.ok(metadata.grant_types_supported.includes(grant), grant);
    assert.ok(metadata.token_endpoint_auth_methods_supported.includes('private_key_jwt'));
    const algorithms = metadata.token_endpoint_auth_signing_alg_values_supported;
    assert.ok(algorithms.includes('ES256') && !algorithms.some((a) => a === 'none' || a.startsWith('HS')));
    assert.deepEqual(metadata.authorization_grant_profiles_supported, ['urn:ietf:params:oauth:grant-profile:id-jag']);
  });

  test('are registered, listed without their secret, and belong to their platform', async () => {
    const client = await make({ end_user_id: user.id });
    assert.deepEqual([client.token_endpoint_auth_method, client.end_user_id, client.grant_types], ['client_secret_basic', user.id, ['client_credentials']]);
    const listed = (await world.platform.api.get(path)).body.data.find((c) => c.client_id === client.client_id);
    assert.ok(listed && !listed.client_secret);
    const other = await world.newPlatform([]);
    const theirs = await world.newUser(other);
    assert.equal((await world.platform.api.post(path, { name: 'x', end_user_id: theirs.id })).status, 404);
    assert.equal((await other.api.delete(`${other.path}/oauth-clients/${client.client_id}`)).status, 404);
    const { privateKey, ...key } = newKey('ES256');
    for (const body of [{ name: '' }, { jwks: { keys: [key.jwk] } }, { token_endpoint_auth_method: 'private_key_jwt' }, { token_endpoint_auth_method: 'none' },
      { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [{ kty: 'oct', k: 'AAAA' }] } },
      { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [privateKey.export({ format: 'jwk' })] } }]) {
      assert.equal((await world.platform.api.post(path, { name: 'x', end_user_id: user.id, ...body })).status, 400, JSON.stringify(body));
    }
  });

  describe('client_credentials', () => {
    for (const [name, of] of Object.entries({
      client_secret_basic: async () => {
        const client = await make({ end_user_id: user.id });
        return new ClientCredentialsProvider({ clientId: client.client_id, clientSecret: client.client_secret });
      },
      private_key_jwt: async () => {
        const key = newKey('ES256');
        const client = await make({ end_user_id: user.id, token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [key.jwk] } });
        return new PrivateKeyJwtProvider({ clientId: client.client_id, privateKey: key.privateKey.export({ type: 'pkcs8', format: 'pem' }), algorithm: 'ES256' });
      },
    })) {
      test(`the official SDK works with ${name}`, async () => {
        const provider = await of();
        const client = new Client({ name: 'e2e', version: '1' });
        await client.connect(new StreamableHTTPClientTransport(new URL(world.mcp()), { authProvider: provider }));
        const { tools } = await client.listTools();
        assert.ok(tools.some((t) => t.name === 'github_get_me'));
        assert.ok(!(await client.callTool({ name: 'github_get_me', arguments: {} })).isError);
        assert.equal(provider.tokens().refresh_token, undefined);
        await client.close();
      });
    }

    test('the token is its end user\'s, for one address, and ends with the client', async () => {
      const client = await make({ end_user_id: user.id });
      const ask = (more) => token(base, { grant_type: 'client_credentials', ...more }, basic(client));
      const all = (await ask({})).body;
      assert.deepEqual([all.scope, all.token_type, all.refresh_token], ['mcp mcp:write', 'Bearer', undefined]);
      const one = (await ask({ resource: world.mcp('github'), scope: 'mcp offline_access' })).body;
      assert.equal(one.scope, 'mcp');
      assert.equal(await status(all.access_token), 200);
      assert.equal(await status(one.access_token), 401);
      assert.equal(await status(one.access_token, world.mcp('github')), 200);
      assert.equal((await fetch(`${base}/v1/me`, { headers: { authorization: `Bearer ${all.access_token}` } })).status, 401);
      const mine = (await user.api.get('/v1/me/authorizations')).body.data.filter((a) => a.client.id === client.client_id);
      assert.equal(mine.length, 2, 'its end user sees it');
      await ask({});
      assert.equal((await user.api.get('/v1/me/authorizations')).body.data.filter((a) => a.client.id === client.client_id).length, 2, 'and not once per token');
      assert.equal((await world.platform.api.delete(`${path}/${client.client_id}`)).status, 204);
      assert.equal(await status(all.access_token), 401);
      await fault('invalid_client', { grant_type: 'client_credentials' }, basic(client));
      assert.ok((await world.audit()).some((e) => e.event === 'oauth_client.removed' && e.subject === client.client_id));
    });

    test('wrong requests are refused in the protocol\'s words', async () => {
      const client = await make({ end_user_id: user.id });
      const fields = { grant_type: 'client_credentials' };
      await fault('invalid_client', fields, basic({ ...client, client_secret: 'wrong' }));
      await fault('invalid_client', fields, basic({ client_id: 'plc_unknown', client_secret: 'x' }));
      await fault('invalid_client', { ...fields, client_id: client.client_id });
      await fault('invalid_client', { ...fields, client_id: client.client_id, client_secret: client.client_secret });
      await fault('invalid_client', { ...fields, client_id: (await register(base)).client_id });
      await fault('invalid_target', { ...fields, resource: 'https://evil.example/mcp' }, basic(client));
      await fault('invalid_scope', { ...fields, scope: 'admin' }, basic(client));
      await fault('unauthorized_client', { grant_type: JWT_BEARER, assertion: 'x' }, basic(client));
      await fault('unauthorized_client', fields, basic(await make({})));
      const off = await world.newUser();
      const idle = await make({ end_user_id: off.id });
      await world.platform.api.must(200, 'PATCH', off.path, { is_active: false });
      await fault('invalid_grant', fields, basic(idle));
    });

    test('an assertion is the client\'s own, for us, and works once', async () => {
      const key = newKey('PS256');
      const client = await make({ end_user_id: user.id, token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [key.jwk] } });
      const claims = () => ({ iss: client.client_id, sub: client.client_id, aud: base, iat: now(), exp: now() + 300, jti: id() });
      const fields = (assertion) => ({ grant_type: 'client_credentials', client_assertion_type: ASSERTION, client_assertion: assertion });
      for (const wrong of [
        { aud: 'https://evil.example' }, { aud: [base, 'https://evil.example'] }, { aud: world.mcp() }, { sub: 'plc_other' }, { iss: 'plc_other' }, { exp: now() - 61 },
        { exp: now() + 3700 }, { exp: undefined }, { jti: undefined }, { jti: '' }, { jti: 'x'.repeat(300) }, { nbf: now() + 120 },
      ]) await fault('invalid_client', fields(signJwt(key, { ...claims(), ...wrong })));
      await fault('invalid_client', fields(signJwt({ ...newKey('PS256'), kid: key.kid }, claims())));
      await fault('invalid_client', fields(signJwt(key, claims(), { typ: 'at+jwt' })));
      await fault('invalid_request', { ...fields(signJwt(key, claims())), client_assertion_type: 'other' });
      await fault('invalid_request', fields(signJwt(key, claims())), { authorization: 'Basic eDp5' });
      await fault('invalid_client', { ...fields(signJwt(key, claims())), client_id: 'plc_other' });
      const good = signJwt(key, claims());
      const both = await Promise.all([token(base, fields(good)), token(base, fields(good))]);
      assert.deepEqual(both.map((r) => r.status).sort(), [200, 401], 'one of two at the same moment');
      await fault('invalid_client', fields(good));
      assert.equal((await token(base, fields(signJwt(key, { ...claims(), aud: `${base}/token` })))).status, 200);
    });
  });

  describe('grants of an issuer (ID-JAG)', () => {
    let idp, client, alice;
    before(async () => {
      idp = await startOpenId();
      await world.platform.api.must(201, 'POST', `${world.platform.path}/issuers`, { issuer: idp.url, client_id: idp.client.id, sign_in: false });
      client = await make({ name: 'Agent of the company' });
      alice = await world.newUser(world.platform, 'alice');
    });
    after(() => idp?.stop());
    const grant = (more = {}, how = {}) =>
      idp.token(base, { client_id: client.client_id, resource: world.mcp(), jti: id(), ...more }, { header: { typ: 'oauth-id-jag+jwt' }, ...how });
    const fields = (assertion, more) => ({ grant_type: JWT_BEARER, assertion, ...more });

    test('give a token for whom they name', async () => {
      assert.deepEqual(client.grant_types, [JWT_BEARER]);
      const reply = await token(base, fields(grant({ scope: 'mcp' })), basic(client));
      assert.deepEqual([reply.status, reply.body.scope, reply.body.refresh_token], [200, 'mcp', undefined], JSON.stringify(reply.body));
      assert.equal(await status(reply.body.access_token), 200);
      const mine = (await alice.api.get('/v1/me/authorizations')).body.data;
      assert.deepEqual(mine.map((a) => a.client.name), ['Agent of the company']);
      assert.equal((await alice.api.delete(`/v1/me/authorizations/${mine[0].id}`)).status, 204);
      assert.equal(await status(reply.body.access_token), 401);
      assert.equal((await token(base, fields(grant({ resource: world.mcp('github') })), basic(client))).status, 200);
    });

    test('that are not good give none', async () => {
      for (const wrong of [
        { aud: 'https://evil.example' }, { aud: [base, 'https://evil.example'] }, { aud: world.mcp() }, { client_id: 'plc_other' }, { client_id: undefined }, { iss: 'https://evil.example' },
        { sub: 'nobody' }, { sub: undefined }, { exp: now() - 61 }, { exp: now() + 7200 }, { jti: undefined }, { nbf: now() + 120 },
      ]) await fault('invalid_grant', fields(grant(wrong)), basic(client));
      for (const resource of [undefined, 'https://evil.example/mcp', [world.mcp(), world.mcp('github')]]) await fault('invalid_target', fields(grant({ resource })), basic(client));
      await fault('invalid_target', fields(grant(), { resource: world.mcp('github') }), basic(client));
      await fault('invalid_scope', fields(grant({ scope: 'mcp' }), { scope: 'mcp:write' }), basic(client));
      await fault('invalid_scope', fields(grant({ scope: 'other' })), basic(client));
      await fault('invalid_grant', fields(grant({}, { header: { typ: 'JWT' } })), basic(client));
      await fault('invalid_grant', fields(grant({}, { key: { ...newKey('RS256'), kid: idp.keys[0].kid } })), basic(client));
      await fault('invalid_grant', fields('nonsense'), basic(client));
      await fault('invalid_client', fields(grant()), basic({ ...client, client_secret: 'wrong' }));
    });

    test('work once, for the platform that registered the issuer', async () => {
      const once = grant();
      assert.equal((await token(base, fields(once), basic(client))).status, 200);
      await fault('invalid_grant', fields(once), basic(client));
      const other = await world.newPlatform([]);
      await world.newUser(other, 'alice');
      const theirs = await other.api.must(201, 'POST', `${other.path}/oauth-clients`, { name: 'x' });
      await fault('invalid_grant', fields(grant({ client_id: theirs.client_id })), basic(theirs));
    });

    test('are no bearer tokens', async () => {
      assert.equal(await status(grant({ aud: idp.client.id })), 401);
      assert.equal(await status(grant()), 401);
    });
  });
});
