import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { Change, ICellChange } from '../tokens';
import { fold, type Row } from './folding';
import { narrowed } from './narrowing';

function cells(...changes: Change[]): ICellChange[] {
  return changes.map((change, i) => ({ change, base: i, head: i, fields: [] }));
}

function words(rows: Row[]): string[] {
  return rows.map(row =>
    row.kind === 'fold' ? `${row.entries.length} folded` : `${row.kind} ${row.entry.change}`
  );
}

test('unchanged cells far from a change are folded, those near it stay', () => {
  const many: Change[] = Array(8).fill('unchanged');
  assert.deepEqual(words(fold(cells(...many, 'modified', 'unchanged'), 2)), [
    '6 folded',
    'cell unchanged',
    'cell unchanged',
    'cell modified',
    'cell unchanged'
  ]);
});

test('a lone unchanged cell is not worth folding', () => {
  const rows = fold(cells('unchanged', 'unchanged', 'unchanged', 'added'), 2);
  assert.ok(rows.every(row => row.kind === 'cell'));
});

test('every cell is in a row exactly once, whatever is folded', () => {
  const all = cells(
    'unchanged',
    'added',
    ...Array(20).fill('unchanged'),
    'removed',
    'unchanged'
  );
  const seen = fold(all, 1).flatMap(row => (row.kind === 'fold' ? row.entries : [row.entry]));
  assert.deepEqual(seen, all);
});

test('a moved cell leaves a ghost where the base had it', () => {
  const moved: ICellChange[] = [
    { change: 'moved', base: 2, head: 0, fields: [] },
    { change: 'unchanged', base: 0, head: 1, fields: [] },
    { change: 'unchanged', base: 1, head: 2, fields: [] }
  ];
  assert.deepEqual(words(fold(moved)), [
    'cell moved',
    'cell unchanged',
    'cell unchanged',
    'ghost moved'
  ]);
});

test('superseded executions are folded apart and are no change to step to', () => {
  const rows = fold([
    { change: 'removed', base: 0, head: null, fields: [], superseded: true },
    { change: 'unchanged', base: 1, head: 0, fields: [] },
    { change: 'unchanged', base: 2, head: 1, fields: [] }
  ]);
  assert.deepEqual(words(rows), ['1 folded', '2 folded']);
});

test('without outputs a cell whose outputs alone changed is unchanged', () => {
  const [cell] = narrowed([{ change: 'modified', base: 0, head: 0, fields: ['outputs'] }], {
    outputs: false,
    metadata: true
  });
  assert.equal(cell.change, 'unchanged');
});

test('without outputs a cell whose source changed too stays modified', () => {
  const [cell] = narrowed(
    [{ change: 'modified', base: 0, head: 0, fields: ['source', 'outputs'] }],
    { outputs: false, metadata: true }
  );
  assert.equal(cell.change, 'modified');
  assert.deepEqual(cell.fields, ['source']);
});
