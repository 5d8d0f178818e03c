import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { plainText } from './plaintext';

test('a progress line shows what was written last', () => {
  assert.equal(plainText('10%\r50%\r100%\ndone\n'), '100%\ndone\n');
});

test('a carriage return before a line break overwrites nothing', () => {
  assert.equal(plainText('one\r\ntwo\r\n'), 'one\ntwo\n');
});

test('colour codes are no text', () => {
  assert.equal(plainText('\u001b[31mred\u001b[39m'), 'red');
});
