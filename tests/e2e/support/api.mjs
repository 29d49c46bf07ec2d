// A client of the REST API that holds every reply against the server's own /openapi.json.
import assert from 'node:assert/strict';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const documents = new Map(); // server address -> Contract

class Contract {
  validators = new Map();

  constructor(document) {
    this.document = document;
    this.ajv = new Ajv2020({ strict: false, allErrors: true });
    addFormats(this.ajv);
    this.ajv.addSchema(document, 'openapi');
    this.paths = Object.entries(document.paths).map(([template, item]) => ({
      template, item, parts: template.split('/'), variables: (template.match(/\{/g) ?? []).length,
    })).sort((a, b) => a.variables - b.variables);
  }

  static of(url) {
    if (!documents.has(url)) {
      documents.set(url, fetch(`${url}/openapi.json`).then(async (reply) => {
        assert.equal(reply.status, 200, 'GET /openapi.json');
        return new Contract(await reply.json());
      }));
    }
    return documents.get(url);
  }

  find(pathname) {
    const parts = pathname.split('/');
    return this.paths.find((p) => p.parts.length === parts.length && p.parts.every((part, i) => part.startsWith('{') || part === parts[i]));
  }

  check(method, pathname, { status, headers, body }) {
    const where = `${method} ${pathname} -> ${status}`;
    assert.ok(headers.get('x-request-id'), `${where}: no x-request-id`);
    const found = this.find(pathname);
    if (!found) return assert.equal(status, 404, `${where}: the path is not in /openapi.json`);
    const operation = found.item[method.toLowerCase()];
    if (!operation) return assert.equal(status, 405, `${where}: the method is not in /openapi.json`);
    const key = operation.responses[status] ? String(status) : operation.responses.default ? 'default' : null;
    assert.ok(key, `${where}: this status is not in /openapi.json`);
    let response = operation.responses[key];
    let at = `#/paths/${found.template.replaceAll('~', '~0').replaceAll('/', '~1')}/${method.toLowerCase()}/responses/${key}`;
    if (response.$ref) {
      at = response.$ref;
      response = at.slice(2).split('/').reduce((node, part) => node[part], this.document);
    }
    if (!response.content?.['application/json']?.schema) return;
    const [type] = (headers.get('content-type') ?? '').split(';');
    assert.ok(response.content[type], `${where}: the type ${type} is not in /openapi.json`);
    if (type !== 'application/json') return;
    const pointer = `openapi${encodeURI(at)}/content/application~1json/schema`;
    if (!this.validators.has(pointer)) this.validators.set(pointer, this.ajv.compile({ $ref: pointer }));
    const validate = this.validators.get(pointer);
    assert.ok(validate(body), `${where} breaks its schema: ${this.ajv.errorsText(validate.errors)}\n${JSON.stringify(body)}`);
  }
}

export class Api {
  constructor(url, key) {
    this.url = url;
    this.key = key;
  }

  as(key) {
    return new Api(this.url, key);
  }

  /** @returns {Promise<{status: number, headers: Headers, body: any, data: any}>} */
  async send(method, path, body, { headers = {}, raw } = {}) {
    const reply = await fetch(this.url + path, {
      method, redirect: 'manual',
      headers: {
        ...(this.key && { authorization: `Bearer ${this.key}` }),
        ...((body !== undefined || raw !== undefined) && { 'content-type': 'application/json' }), ...headers,
      },
      body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
    });
    const text = await reply.text();
    let value = text;
    if ((reply.headers.get('content-type') ?? '').includes('json')) value = JSON.parse(text);
    const result = { status: reply.status, headers: reply.headers, body: value, data: value?.data };
    (await Contract.of(this.url)).check(method, new URL(path, this.url).pathname, result);
    return result;
  }

  get = (path, options) => this.send('GET', path, undefined, options);
  post = (path, body = {}, options) => this.send('POST', path, body, options);
  put = (path, body, options) => this.send('PUT', path, body, options);
  patch = (path, body, options) => this.send('PATCH', path, body, options);
  delete = (path, options) => this.send('DELETE', path, undefined, options);

  /** The data of a reply that must have this status. */
  async must(status, method, path, body) {
    const reply = await this.send(method, path, body);
    assert.equal(reply.status, status, `${method} ${path}: ${JSON.stringify(reply.body)}`);
    return reply.data;
  }
}

/** An error of the envelope, with this status and code. */
export function assertError(reply, status, code) {
  assert.equal(reply.status, status, JSON.stringify(reply.body));
  assert.equal(reply.body.error.code, code);
  assert.ok(reply.body.error.message.length > 0);
  assert.equal(reply.body.error.request_id, reply.headers.get('x-request-id'));
}
