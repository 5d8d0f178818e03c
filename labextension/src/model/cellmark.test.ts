import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { cellMark } from './cellmark';

test('a cell whose source is not the one that ran is marked until it runs again', () => {
  assert.equal(cellMark('x = 2', 'x = 1', 3), 'edited');
  assert.equal(cellMark('x = 1', 'x = 1', 3), null);
});

test('a cell that nobody saw running is marked unless it has a count', () => {
  assert.equal(cellMark('x = 1', undefined, null), 'unrun');
  assert.equal(cellMark('x = 1', undefined, 3), null);
});

test('an empty cell is never marked', () => {
  assert.equal(cellMark(' \n', undefined, null), null);
  assert.equal(cellMark('', 'x = 1', 3), null);
});
