// The words of the page: every view takes them from the catalogues, and every catalogue has all of them. No browser and no daemon.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

const WWW = resolve(import.meta.dirname, '../../www');
const SOURCES = join(WWW, 'src');
const ofPage = createRequire(pathToFileURL(join(WWW, 'package.json')));
const ts = ofPage('typescript');
const { build } = ofPage('esbuild');

/** Attributes that are read out or shown. */
const SHOWN = /^[.?]?(aria-(label|description|valuetext|roledescription)|title|alt|placeholder|label)$/i;
/** What is a name or a command in every language. */
const NAMES = /^(https?:\/\/.*|Sealdrop|TCP|QUIC|WebTransport|WebSocket|WebRTC|FIL|[a-z]*FIL|[KMGTP]iB)$/;
/** In place of what is computed. */
const HOLE = '\ue000';

const parsed = (name, text) => ts.createSourceFile(name, text, ts.ScriptTarget.ES2022, true);

/** Text of a template, with holes where something is computed. */
function textOf(template) {
  if (ts.isNoSubstitutionTemplateLiteral(template)) return template.text;
  return template.head.text + template.templateSpans.map(({ literal }) => HOLE + literal.text).join('');
}

/** What a person would see or hear of a template of HTML that does not come from a catalogue. */
function shownIn(markup) {
  const found = [];
  // What is in the letters of code is a command or a name.
  const rest = markup.replace(/<!--.*?-->/gs, '').replace(/<(code|style)\b[^>]*>.*?<\/\1>/gs, ' ');
  // A hole may hold a `>` of its own no longer, so that tags end where they seem to.
  for (const [tag] of rest.matchAll(/<[a-z][^>]*>/gis)) {
    for (const [, name, value] of tag.matchAll(/\s([.?@]?[\w-]+)\s*=\s*"([^"]*)"/g)) {
      if (SHOWN.test(name) && /\p{L}/u.test(value) && !NAMES.test(value)) found.push(`${name}="${value}"`);
    }
    for (const [, name, value] of tag.matchAll(/\s([.?@]?[\w-]+)=([^\s"'>\ue000]+)/g)) {
      if (SHOWN.test(name) && /\p{L}/u.test(value)) found.push(`${name}=${value}`);
    }
  }
  const texts = rest.replace(/<[^>]*>/gs, HOLE).split(HOLE);
  for (const text of texts.map((each) => each.replace(/&\w+;/g, ' ').trim())) {
    if (/\p{L}/u.test(text) && !NAMES.test(text)) found.push(text);
  }
  return found;
}

/** Whether a string in the code reads like words for people: two words in a row, or one that begins like a sentence. */
function readsLikeWords(text) {
  if (NAMES.test(text)) return false;
  return /\p{Ll}\p{L}*[,;:]? \p{L}+/u.test(text.replaceAll(HOLE, ' ')) || /^\p{Lu}\p{Ll}+(…|[.!?])?$/u.test(text);
}

/** Strings that nobody reads: selectors, types, what is thrown at programs. */
function isForPrograms(node, source) {
  for (let at = node.parent; at; at = at.parent) {
    if (ts.isImportDeclaration(at) || ts.isLiteralTypeNode(at)) return true;
    if (ts.isNewExpression(at) && at.expression.getText(source) === 'DOMException') return true;
    if (ts.isCallExpression(at)) {
      const called = at.expression.getText(source);
      if (
        /(querySelector(All)?|addEventListener|define|closest|matches|createElement|setAttribute|includes|split)$/.test(
          called,
        )
      )
        return true;
    }
    if (ts.isStatement(at) || ts.isPropertyDeclaration(at)) {
      const before = source.text.slice(at.getFullStart(), at.getStart(source));
      return /\/\/ For programs\b/.test(before);
    }
  }
  return false;
}

/** Words in a view's source that are in no catalogue. */
function strayWords(name, text) {
  const source = parsed(name, text);
  const found = [];
  const say = (node, what) => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
    found.push(`${name}:${line + 1}: ${what}`);
  };
  const walk = (node) => {
    if (ts.isTaggedTemplateExpression(node)) {
      const tag = node.tag.getText(source);
      if (tag === 'html' || tag === 'svg') for (const what of shownIn(textOf(node.template))) say(node, what);
      const spans = ts.isTemplateExpression(node.template) ? node.template.templateSpans : [];
      for (const { expression } of spans) walk(expression);
      return;
    }
    const isText = ts.isStringLiteralLike(node) || ts.isTemplateExpression(node);
    if (isText) {
      const text = ts.isStringLiteral(node) ? node.text : textOf(node);
      if (readsLikeWords(text) && !isForPrograms(node, source)) say(node, text);
    }
    ts.forEachChild(node, walk);
  };
  walk(source);
  return found;
}

/** What the Service Workers answer is read by programs. */
const views = readdirSync(SOURCES).filter((name) => name.endsWith('.ts') && !name.endsWith('-worker.ts'));

test('no view has words of its own', () => {
  const found = views.flatMap((name) => strayWords(name, readFileSync(join(SOURCES, name), 'utf8')));
  assert.deepEqual(found, []);
});

test('words of a view would be found', () => {
  // Written with `#{`, so that no template is taken for one of this file.
  const found = (text) =>
    strayWords('view.ts', text.replaceAll('#{', ['$', '{'].join(''))).map((each) =>
      each.replace(/^view\.ts:\d+: /, ''),
    );
  assert.deepEqual(found('html`<p class="note">Stored here</p>`'), ['Stored here']);
  assert.deepEqual(found('html`<p>#{t.a.b} and</p>`'), ['and']);
  assert.deepEqual(found('html`<button aria-label="Copy #{what}">#{t.a}</button>`'), [`aria-label="Copy ${HOLE}"`]);
  assert.deepEqual(found('html`<sd-x label=Retry></sd-x>`'), ['label=Retry']);
  assert.deepEqual(found("const said = ok ? 'Copied' : ''"), ['Copied']);
  assert.deepEqual(found('const said = `no #{what} here is`'), [`no ${HOLE} here is`]);
  assert.deepEqual(found('html`<p class=#{x ? "a" : "b-c"}><code>sealdrop daemon</code> #{t.a.b}</p>`'), []);
});

const { outputFiles } = await build({
  stdin: {
    contents:
      "export * from './index'; export { zhEngine } from './zh/engine'; export * from './findings'; export * from './numbers'; export { OPERATOR_CATALOGUES } from './operator';",
    resolveDir: join(SOURCES, 'words'),
    loader: 'ts',
  },
  bundle: true,
  write: false,
  format: 'esm',
  target: 'es2022',
});
const words = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);

/** The page's words, and those of the operator's page, which are loaded with it; by how views say them. */
const ALL = { t: words.CATALOGUES, o: words.OPERATOR_CATALOGUES };

/** All words of a catalogue, by their path. */
function* leaves(catalogue, path = []) {
  for (const [key, value] of Object.entries(catalogue)) {
    if (value && typeof value === 'object' && !Array.isArray(value)) yield* leaves(value, [...path, key]);
    else yield [[...path, key].join('.'), value];
  }
}

const flat = (said) => (Array.isArray(said) ? said.map(flat).join('') : String(said));

/** Every form of a word, with numbers and texts for its parameters. */
function forms(word) {
  if (typeof word === 'string') return [word];
  const given = [1, 2, 1234, true, false, 'NAME'];
  return given.map((each) => {
    try {
      const said = flat(word(...Array.from({ length: 6 }, () => each)));
      return said.includes('NaN') && typeof each === 'string' ? undefined : said;
    } catch {
      // It takes no such thing: the types say so.
      return undefined;
    }
  });
}

for (const [name, catalogues] of Object.entries(ALL)) {
  test(`every catalogue of ${name} has all words, and none is empty`, () => {
    const all = [...leaves(catalogues.en)].map(([path]) => path);
    for (const [language, catalogue] of Object.entries(catalogues)) {
      words.speak(language);
      const its = new Map(leaves(catalogue));
      assert.deepEqual([...its.keys()].sort(), [...all].sort(), language);
      for (const [path, word] of its) {
        const said = forms(word).filter((each) => each !== undefined);
        assert.ok(said.length > 0, `${language}: ${path} cannot be said`);
        for (const each of said) {
          assert.doesNotMatch(each, /undefined|\[object|NaN/, `${language}: ${path}`);
          if (path !== 'terms.minersKeep') assert.notEqual(each.trim(), '', `${language}: ${path}`);
        }
      }
    }
  });
}

test('the Chinese catalogue is in Chinese, the English one is not', () => {
  /** The same in both, or nothing but parameters and marks. */
  const alike =
    /^(common\.of|terms\.onlyBlocks|drop\.id|file\.(id|idCopy|quoted|fromTo)|deal\.pieceId(Copy)?|passport\.step|reach\.at|rows\.copyAt|settings\.units\.(mib|gib))$/;
  words.speak('zh');
  for (const [path, word] of Object.values(ALL).flatMap(({ zh }) => [...leaves(zh)])) {
    const [said] = forms(word).filter((each) => each !== undefined);
    if (!alike.test(path)) assert.match(said, /[\p{Script=Han}，：（]/u, path);
  }
  words.speak('en');
  for (const [path, word] of Object.values(ALL).flatMap(({ en }) => [...leaves(en)])) {
    for (const said of forms(word)) assert.doesNotMatch(said ?? '', /\p{Script=Han}/u, path);
  }
});

/** Where the engine says what it found. */
const FINDINGS = [
  'client/passport/standing.rs',
  'client/passport/inspection.rs',
  'client/passport/anchoring/mod.rs',
  'client/passport/anchoring/messages.rs',
  'client/passport/parts.rs',
  'deal/verification.rs',
  'client/verifying.rs',
  'client/light.rs',
  'client/evidence.rs',
];

/** What a file of the engine says in Rust, with `{}` for what it fills in: every text of several words that is no comment. */
function saidByEngine(path) {
  const text = readFileSync(join(WWW, '../shared/src', path), 'utf8').split('#[cfg(test)]')[0];
  const texts = text.replace(/^\s*\/\/.*$/gm, '').matchAll(/"((?:[^"\\]|\\.)*)"/gs);
  return [...texts]
    .map(([, said]) =>
      said
        .replace(/\\\n\s*/g, '')
        .replace(/\\"/g, '"')
        .replace(/\{[^{}]*\}/g, '{}'),
    )
    .filter((said) => /\w \w/.test(said.replace(/[{}.,;:]/g, '')));
}

test('what the engine found is said in Chinese, though it has no code, and nothing that it does not say', () => {
  const said = new Set(FINDINGS.flatMap(saidByEngine));
  // What keeps a step from being judged is said by the page itself; these are no texts for people.
  for (const own of ['not checked, because {}, is wrong']) assert.ok(said.delete(own), own);
  const { findings } = words.zhEngine;
  const without = [...said].filter((each) => !(each in findings));
  assert.deepEqual(without, [], 'without a translation');
  const idle = Object.keys(findings).filter((each) => !said.has(each));
  assert.deepEqual(idle, [], 'never said');
  for (const [english, chinese] of Object.entries(findings)) {
    assert.match(chinese, /\p{Script=Han}/u, english);
    const gaps = english.split('{}').length - 1;
    const used = [...chinese.matchAll(/\{(\d)\}/g)].map(([, at]) => Number(at)).sort();
    assert.deepEqual(
      used,
      Array.from({ length: gaps }, (_, at) => at),
      english,
    );
  }
});

test('a text of the engine is found by its form, and what fills its gaps is said likewise', () => {
  const { fromTable, zhEngine } = words;
  const said = (text) => fromTable(text, zhEngine.findings);
  assert.equal(
    said(
      'all 2 vouchers are signed by the payer and add up to the price; the message that opened the channel is in block 3992, as the header shows that the authority signed',
    ),
    '全部 2 张凭证都由付款方签名，合计等于价格；打开支付通道的消息在区块 3992 中，由权威签名的区块头表明',
  );
  assert.equal(said('something that it never says'), undefined);
});

test('no word stands in the catalogues that no view says', () => {
  const said = views.map((name) => readFileSync(join(SOURCES, name), 'utf8')).join('\n');
  const idle = Object.entries(ALL).flatMap(([name, { en }]) =>
    [...leaves(en)]
      .map(([path]) => path)
      .filter((path) => {
        const parts = path.split('.');
        // All of a group that is indexed, or named as a whole, is said.
        const groups = parts.slice(1).map((_, count) => parts.slice(0, count + 1).join('\\.'));
        return ![...groups.map((group) => `${group}(?![.\\w])`), `${parts.join('\\.')}\\b`].some((way) =>
          new RegExp(`\\b${name}\\.${way}`).test(said),
        );
      }),
  );
  assert.deepEqual(idle, []);
});

test('numbers, spans and plurals are those of the language', () => {
  words.speak('en');
  assert.equal(words.count(1234567), '1,234,567');
  assert.equal(words.span(3_725_000), '1 hour 2 minutes');
  assert.equal(words.span(60_000), '1 minute');
  assert.equal(words.span(0), '0 seconds');
  assert.equal(words.percent(0.999), '99%');
  assert.equal(words.t.common.files(1), '1 file');
  assert.equal(words.t.common.files(2000), '2,000 files');
  words.speak('zh');
  assert.equal(words.span(3_725_000), '1小时2分钟');
  assert.equal(words.t.common.files(2000), '2,000 个文件');
});
