import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ICell } from '@jupyterlab/nbformat';
import { CellCache } from './cellcache';

function cells(asked: number[][]) {
  return new CellCache(indices => {
    asked.push([...indices]);
    const found = indices.filter(index => index < 100);
    const whole = found.map(index => [index, { source: `cell ${index}` }]);
    return Promise.resolve(Object.fromEntries(whole) as Record<string, ICell>);
  });
}

test('cells asked for in one turn share requests of fifty', async () => {
  const asked: number[][] = [];
  const cache = cells(asked);
  const found = await Promise.all(Array.from({ length: 60 }, (_, i) => cache.get(i)));
  assert.equal(found[59].source, 'cell 59');
  assert.deepEqual(
    asked.map(indices => indices.length),
    [50, 10]
  );
});

test('a cell is fetched once until it is forgotten', async () => {
  const asked: number[][] = [];
  const cache = cells(asked);
  await cache.get(3);
  await cache.get(3);
  assert.equal(asked.length, 1);
  cache.forget(3);
  await cache.get(3);
  assert.equal(asked.length, 2);
});

test('a cell that is not there is asked for again', async () => {
  const asked: number[][] = [];
  const cache = cells(asked);
  await assert.rejects(cache.get(100), /no cell 100/);
  await assert.rejects(cache.get(100), /no cell 100/);
  assert.equal(asked.length, 2);
});
