import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { ICell } from '@jupyterlab/nbformat';
import type { IComparedFile, IRun } from '../tokens';
import { readLastRun } from './lastrun';
import { findMissed, sameOutputs } from './missed';

const printed = (...texts: string[]) =>
  texts.map(text => ({ output_type: 'stream', name: 'stdout', text }));

function ran(id: string, source: string, text: string, status = 'ok'): ICell {
  return {
    cell_type: 'code',
    id,
    source,
    outputs: printed(text),
    execution_count: 1,
    metadata: { codesave: { cell_id: id, status } }
  } as unknown as ICell;
}

function open(id: string, source: string, ...texts: string[]): ICell {
  return {
    cell_type: 'code',
    id,
    source,
    outputs: printed(...texts),
    execution_count: null,
    metadata: {}
  } as unknown as ICell;
}

test('outputs that a cell of the same source lacks are missed', () => {
  const found = findMissed([ran('a', 'one', '1'), ran('b', 'two', '2')], [open('a', 'one')]);
  assert.deepEqual(
    found.outputs.map(({ id }) => id),
    ['a']
  );
});

test('an edited cell, one that shows its outputs and one that runs miss nothing', () => {
  const recorded = [ran('a', 'one', '1'), ran('b', 'two', '2'), ran('c', 'x', '', 'running')];
  const now = [open('a', 'one and a half'), open('b', 'two', '2'), open('c', 'x')];
  assert.deepEqual(findMissed(recorded, now).outputs, []);
});

test('a progress bar as JupyterLab saves it misses nothing', () => {
  assert.ok(
    sameOutputs(printed('10%\r', ' 50%\r100% done\r\nover\n'), printed('100% done\nover\n'))
  );
  assert.ok(!sameOutputs(printed('10%\r50%'), printed('10%')));
});

test('of several executions of a cell the last one counts', () => {
  const recorded = [ran('a', 'one', 'old'), ran('a', 'one', 'new')];
  const [missed] = findMissed(recorded, [open('a', 'one', 'old')]).outputs;
  assert.deepEqual(missed.cell.outputs, printed('new'));
});

test('a deleted cell is offered after the one that ran before it', () => {
  const recorded = [ran('a', 'one', '1'), ran('b', 'two', '2'), ran('c', 'three', '3')];
  const { deleted } = findMissed(recorded, [open('a', 'one', '1'), open('z', 'four')]);
  assert.deepEqual(
    deleted.map(({ id, after }) => [id, after]),
    [
      ['b', 'a'],
      ['c', 'b']
    ]
  );
});

test('a cell that was pasted under another id was not deleted', () => {
  assert.deepEqual(findMissed([ran('a', 'one', '1')], [open('z', 'one')]).deleted, []);
});

test('how a stream was cut up is no difference between outputs', () => {
  assert.ok(sameOutputs(printed('1\n', '2\n'), printed('1\n2\n')));
  assert.ok(!sameOutputs(printed('1\n'), printed('2\n')));
});

test('the last run tells what ran, what was edited and whose outputs differ', () => {
  const was = (id: string, source: string) => ({
    source,
    metadata: { codesave: { cell_id: id } }
  });
  const file = {
    cells: [
      { change: 'unchanged', base: 0, head: 0, fields: [] },
      { change: 'modified', base: 1, head: 1, fields: ['source', 'outputs'] },
      { change: 'modified', base: 2, head: 2, fields: ['outputs'] },
      { change: 'added', base: null, head: 3, fields: [] },
      { change: 'modified', base: 3, head: 4, fields: ['source'] }
    ],
    notebooks: {
      base: {
        metadata: {},
        cells: [{ partial: true }, was('b', 'as it ran'), was('c', 'c'), was('y', 'almost e')]
      },
      head: { metadata: {}, cells: ['a', 'b', 'c', 'd', 'e'].map(id => ({ id })) }
    }
  } as unknown as IComparedFile;
  const sources = new Map([
    ['a', 'a'],
    ['c', 'c']
  ]);
  const run = { ended: '2026-11-20T15:00:00Z' } as IRun;
  const found = readLastRun(file, run, sources);
  assert.deepEqual(
    [...found.ran],
    [
      ['a', 'a'],
      ['b', 'as it ran'],
      ['c', 'c']
    ]
  );
  assert.deepEqual(found.differing, [{ id: 'c', ended: Date.parse('2026-11-20T15:00:00Z') }]);
});
