// Texts arrive in the language in use, once.
import assert from 'node:assert/strict';
import test from 'node:test';
import { addTexts, language, listed, loadTexts, offerLanguages, onLanguage, sentences, setLanguage, t } from '../../attn/ui/web/texts.js';

test('a part is fetched once and in one language, another language when it is chosen', async (context) => {
  const asked = [];
  context.mock.method(globalThis, 'fetch', async (url) => {
    const [, code, part] = /texts\/(\w+)\/(\w+)\.json$/.exec(url);
    asked.push(`${code}/${part}`);
    return new Response(JSON.stringify({ [`${part}.hello`]: `${code}: {name}` }));
  });
  assert.equal(offerLanguages(['en', 'xx']), 'en');
  await loadTexts('lab');
  await loadTexts('lab');
  assert.deepEqual(asked.sort(), ['en/figure', 'en/lab', 'en/language']);
  assert.equal(t('lab.hello', { name: 'you' }), 'en: you');
  assert.equal(t('lab.hello'), 'en: {name}');
  const heard = [];
  const stop = onLanguage((code) => heard.push([code, t('lab.hello', { name: 'du' })]));
  await setLanguage('xx');
  stop();
  await setLanguage('en');
  await setLanguage('nowhere');
  assert.deepEqual(heard, [['xx', 'xx: du']]);
  assert.equal(language(), 'en');
  assert.equal(asked.length, 6);
});

test('texts that came with the page are not fetched', async (context) => {
  context.mock.method(globalThis, 'fetch', async () => assert.fail('fetched'));
  addTexts({ en: { 'bench.title': 'Bench' } });
  await loadTexts('bench');
  assert.equal(t('bench.title'), 'Bench');
  assert.equal(t('A sentence.'), 'A sentence.');
});

test('sentences and lists are joined as the language does', () => {
  assert.equal(sentences('One.', '', false, 'Two.'), 'One. Two.');
  assert.equal(sentences('一。', '二。', 'Three.'), '一。二。Three.');
  assert.equal(sentences(), '');
  addTexts({ en: { 'language.list': ', ' } });
  assert.equal(listed(['a', 'b']), 'a, b');
});
