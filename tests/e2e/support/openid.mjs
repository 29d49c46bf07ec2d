// A small OpenID provider under a script: discovery, keys of every kind, a page that signs in whoever is asked for, and
// whatever wrong a test wants in its answers.
import crypto from 'node:crypto';
import { basicCredentials, escapeHtml, listen, parseBody, readBody, redirect, sendHtml, sendJson } from '../../../examples/standins/http.mjs';

const PSS = { padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST };
const rsa = () => crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = (namedCurve) => crypto.generateKeyPairSync('ec', { namedCurve });

export function newKey(alg, kid = `${alg}-${crypto.randomBytes(4).toString('hex')}`) {
  const pair = alg.startsWith('ES') ? ec({ ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[alg]) : rsa();
  return { alg, kid, privateKey: pair.privateKey, jwk: { ...pair.publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg } };
}

/** A compact JWS by `key`; `header` is added to alg and kid. */
export function signJwt(key, claims, header = {}) {
  const text = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${text({ alg: key.alg, kid: key.kid, ...header })}.${text(claims)}`;
  const how = { key: key.privateKey, ...(key.alg.startsWith('PS') && PSS), ...(key.alg.startsWith('ES') && { dsaEncoding: 'ieee-p1363' }) };
  return `${input}.${crypto.sign(`sha${key.alg.slice(2)}`, Buffer.from(input), how).toString('base64url')}`;
}

export async function startOpenId({ client = { id: 'gateway', secret: 'gateway secret/+' } } = {}) {
  const idp = { client, subject: 'alice', keys: [newKey('RS256')], metadata: {}, idToken: {}, answer: {}, counters: { jwks: 0, token: 0 }, seen: [] };
  const codes = new Map();
  const now = () => Math.floor(Date.now() / 1000);
  const server = await listen(async (req, res) => {
    const url = new URL(req.url, server.url);
    if (url.pathname === '/.well-known/openid-configuration') {
      return sendJson(res, 200, {
        issuer: server.url, authorization_endpoint: `${server.url}/authorize`, token_endpoint: `${server.url}/token`, jwks_uri: `${server.url}/jwks`,
        response_types_supported: ['code'], token_endpoint_auth_methods_supported: ['client_secret_basic'], authorization_response_iss_parameter_supported: true, ...idp.metadata,
      });
    }
    if (url.pathname === '/jwks') {
      idp.counters.jwks++;
      return sendJson(res, 200, { keys: idp.keys.map((k) => k.jwk) });
    }
    if (url.pathname === '/authorize') {
      const asked = Object.fromEntries(url.searchParams);
      if (req.method !== 'POST') {
        idp.seen.push(asked);
        return sendHtml(res, 200, `<!doctype html><html lang="en"><meta charset="utf-8"><title>Acme login</title><link rel="icon" href="data:,"><h1>Acme login</h1>
          <form method="post"><button>Be ${escapeHtml(idp.subject)}</button></form>`);
      }
      const code = crypto.randomBytes(8).toString('hex');
      codes.set(code, asked);
      const back = new URL(asked.redirect_uri);
      for (const [name, value] of Object.entries({ code, state: asked.state, iss: server.url, ...idp.answer })) if (value !== undefined) back.searchParams.set(name, value);
      return redirect(res, back.href);
    }
    if (url.pathname === '/token') {
      idp.counters.token++;
      const form = parseBody(req, await readBody(req));
      const who = basicCredentials(req);
      const asked = codes.get(form.code);
      codes.delete(form.code);
      const challenge = crypto.createHash('sha256').update(form.code_verifier ?? '').digest('base64url');
      if (who?.id !== client.id || who.secret !== client.secret) return sendJson(res, 401, { error: 'invalid_client' });
      if (!asked || asked.redirect_uri !== form.redirect_uri || asked.code_challenge !== challenge) return sendJson(res, 400, { error: 'invalid_grant' });
      const claims = { iss: server.url, sub: idp.subject, aud: client.id, nonce: asked.nonce, iat: now(), exp: now() + 300, ...idp.idToken };
      return sendJson(res, 200, { access_token: 'opaque', token_type: 'Bearer', id_token: signJwt(idp.keys[0], claims) });
    }
    return sendJson(res, 404, { error: 'not_found' });
  });
  return Object.assign(idp, {
    url: server.url,
    stop: () => server.stop(),
    /** An access token for an end user, for `aud`. */
    token: (aud, claims = {}, { key = idp.keys[0], header } = {}) =>
      signJwt(key, { iss: server.url, sub: idp.subject, aud, iat: now(), exp: now() + 300, ...claims }, header),
  });
}
