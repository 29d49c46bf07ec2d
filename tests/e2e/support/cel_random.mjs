// Random expressions, well typed for the most part, and random documents to evaluate them over. In documents an int is a
// BigInt and a double a number. Left out is where @bufbuild/cel departs from the other implementations: replace() of an
// empty string does not end there, split() with a limit drops the rest,
// and text that is no number and an index that is no number are taken as JavaScript does.
export function randomSource(seed) {
  let state = seed >>> 0;
  // Numerical Recipes' generator: the same expressions in every run. Its low bits are poor.
  const below = (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  return { below, pick: (list) => list[below(list.length)] };
}

const WORDS = ['', 'a', 'abc', 'bug', 'Feature', ' x ', 'a,b,,c', 'ÄÖ', 'größe', '12', '-7', '3.5', 'true', 'x"y\'z', '\\n', 'aXbXc', '日本語'];
const INTS = [0n, 1n, 2n, 3n, -1n, 7n, 100n, -42n, 9223372036854775807n, -9223372036854775808n, 9007199254740993n, 4294967296n];
const DOUBLES = [0.5, 1.5, -2.25, 1e10, 0.1, -0.125, 3.0, 1e-5, 123456.75];
const PATTERNS = ['^a', 'b+', '[0-9]', '^$', '(x|y)', '\\\\w', 'c$'];
const KEYS = ['a', 'b', 'key', 'missing'];

export function randomDocument({ below, pick }) {
  const several = (make) => Array.from({ length: below(4) }, make);
  const any = (depth) => {
    switch (below(depth > 1 ? 5 : 7)) {
      case 0: return pick(INTS);
      case 1: return pick(DOUBLES);
      case 2: return pick(WORDS);
      case 3: return below(2) === 1;
      case 4: return null;
      case 5: return several(() => any(depth + 1));
      default: return Object.fromEntries(several(() => [pick(KEYS), any(depth + 1)]));
    }
  };
  return {
    i: pick(INTS), j: BigInt(below(10)), f: pick(DOUBLES), s: pick(WORDS), t: pick(WORDS), b: below(2) === 1,
    li: several(() => BigInt(below(20) - 5)), ls: several(() => pick(WORDS)), m: Object.fromEntries(several(() => [pick(KEYS), BigInt(below(9))])),
    x: any(0), y: any(0),
  };
}

// The text of a document: doubles keep their point, so that they are doubles when they are read.
export function documentText(value) {
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return Number.isInteger(value) ? `${value}.0` : String(value);
  if (Array.isArray(value)) return `[${value.map(documentText).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}:${documentText(member)}`).join(',')}}`;
}

const quoted = (text) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
const int = (value) => (value < 0n ? `(${value})` : String(value));

export function randomExpression(random) {
  const { below, pick } = random;
  let names = 0;
  const make = (type, depth, scope) => pick(depth <= 0 ? MAKERS[type].leaf : MAKERS[type].all)(depth - 1, scope);
  const local = (type) => (depth, scope) => pick([...scope.filter((v) => v.type === type).map((v) => v.name), fallback[type]()]);
  const fallback = {
    int: () => int(pick(INTS)), double: () => `${pick(['', '-'])}${pick(['1.5', '0.25', '2e3', '.5'])}`, string: () => quoted(pick(WORDS)), bool: () => pick(['true', 'false']),
    ints: () => 'd.li', strings: () => 'd.ls', map: () => 'd.m', dyn: () => 'd.x',
  };
  // `shape` with its $type placeholders filled in: "$int + $int".
  const form = (shape) => (depth, scope) => shape.replaceAll(/\$(\w+)/g, (all, type) => make(type, depth, scope));
  // list.name(v, body) of the type `result`; with a test before the body now and then where there may be one.
  const macro = (list, element, name, body, result, mayTest = false) => (depth, scope) => {
    if (scope.length >= 2) return fallback[result]();
    const variable = `v${names++}`;
    const inner = [...scope, { name: variable, type: element }];
    const before = mayTest && below(3) === 0 ? `${make('bool', depth, inner)}, ` : '';
    return `${make(list, depth, scope)}.${name}(${variable}, ${before}${make(body, depth, inner)})`;
  };
  const mapped = (list, element, body, result) => macro(list, element, 'map', body, result, true);
  const leaves = (type, ...more) => [local(type), local(type), ...more.map((text) => () => text)];
  const MAKERS = {};
  const type = (name, leaf, ...compound) => { MAKERS[name] = { leaf, all: [...leaf, ...compound.map((c) => (typeof c === 'string' ? form(c) : c))] }; };
  type('int', leaves('int', 'd.i', 'd.j', 'd.j'), '($int + $int)', '($int - $int)', '($int * $int)', '($int / $int)', '($int % $int)', 'size($string)', 'size($ints)', '$strings.size()', 'size($map)',
    '$string.indexOf($string)', '$string.lastIndexOf($string)', '$ints[d.j]', '$ints[0]', 'int("-12")', 'int("1x")', 'int($double)', '($bool ? $int : $int)', '-($int)', '$map["a"]', '$map.b', 'd.x');
  type('double', leaves('double', 'd.f'), '($double + $double)', '($double - $double)', '($double * $double)', '($double / $double)', 'double(d.i)', '($bool ? $double : $double)');
  type('string', leaves('string', 'd.s', 'd.t'), '($string + $string)', '$string.substring($int)', '$string.substring($int, $int)', (depth, scope) => `${make('string',
    depth, scope)}.replace(${quoted(pick(WORDS.slice(1)))}, ${make('string', depth, scope)}${pick(['', ', 1', ', 2'])})`,
    '$string.lowerAscii()', '$string.upperAscii()', '$string.trim()', '$string.charAt($int)', '$strings.join()', '$strings.join($string)', '$strings[d.j]', '$strings[0]', 'string($int)',
    'string($bool)', 'string(d.f)',
    '($bool ? $string : $string)', '"%s-%d".format([$string, $int])');
  type('bool', leaves('bool', 'd.b'), '($bool && $bool)', '($bool || $bool)', '!($bool)', '$int == $int', '$int != $int', '$int < $int', '$int >= $int', '$string == $string',
    '$string < $string', '$double <= $double',
    'dyn($int) == dyn($double)', 'dyn($int) < dyn($double)', '$dyn == $dyn', '$dyn != $dyn', '$dyn == $int', '$dyn == null', '$string.contains($string)', '$string.startsWith($string)',
    '$string.endsWith($string)',
    (depth, scope) => `${make('string', depth, scope)}.matches("${pick(PATTERNS)}")`, '$int in $ints', '$string in $strings', '$string in $map', 'has(d.m.key)', 'has(d.x.a)',
    '$ints == $ints', '$map == $map', 'bool($string)',
    'type($dyn) == type($dyn)', '($bool ? $bool : $bool)', 'd.x', macro('ints', 'int', 'all', 'bool', 'bool'), macro('ints', 'int', 'exists', 'bool', 'bool'), macro('strings', 'string',
    'exists_one', 'bool', 'bool'),
    macro('strings', 'string', 'all', 'bool', 'bool'), macro('map', 'string', 'exists', 'bool', 'bool'));
  type('ints', leaves('ints', 'd.li', '[]'), '[$int, $int]', '($ints + $ints)', macro('ints', 'int', 'filter', 'bool', 'ints'), mapped('ints', 'int', 'int', 'ints'), mapped('strings',
    'string', 'int', 'ints'));
  type('strings', leaves('strings', 'd.ls', '[]'), '[$string]', '($strings + $strings)', '$string.split($string)', macro('strings', 'string', 'filter', 'bool', 'strings'),
    mapped('ints', 'int', 'string', 'strings'), mapped('map', 'string', 'string', 'strings'));
  type('map', leaves('map', 'd.m', '{}'), "{'a': $int}", "{'b': $int, 'key': $int}");
  type('dyn', leaves('dyn', 'd.x', 'd.y', 'd.x.a', 'd.y[0]'), 'dyn($int)', 'dyn($string)', 'dyn($ints)', '[$dyn, $dyn]', "{'k': $dyn}", '($bool ? $dyn : $dyn)');
  return make(pick(Object.keys(MAKERS)), 1 + below(5), []);
}
