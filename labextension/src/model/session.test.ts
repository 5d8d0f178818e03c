import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IOutlined } from '../tokens';
import { changedCells, ended, outcome, spent } from './session';

function ran(execution: number, size = 0): IOutlined {
  return {
    execution,
    cell_id: null,
    status: 'ok',
    prompt: execution,
    started: '2026-11-20T14:00:00.000000Z',
    ended: '2026-11-20T14:00:01.500000Z',
    line: '',
    lines: 1,
    outputs: 0,
    images: [],
    size
  };
}

test('what grew, came and went is changed', () => {
  assert.deepEqual(changedCells([ran(1), ran(2)], [ran(1), ran(2)]), []);
  assert.deepEqual(changedCells([ran(1), ran(2)], [ran(1), ran(2, 9), ran(3)]), [1, 2]);
  assert.deepEqual(changedCells([ran(1), ran(2)], [ran(1)]), [1]);
});

test('what a person stopped was interrupted and did not fail', () => {
  const failed = { ...ran(1), status: 'error' };
  assert.equal(outcome({ ...failed, error: 'KeyboardInterrupt' }), 'interrupted');
  assert.equal(outcome({ ...failed, error: 'ValueError' }), 'error');
  assert.equal(outcome({ ...failed, status: null }), 'unknown');
});

test('what was running when its run ended is unfinished', () => {
  const outline = {
    language: null,
    gaps: [],
    executions: [ran(1), { ...ran(2), status: 'running' }]
  };
  const over = ended(outline);
  assert.deepEqual(over.executions.map(outcome), ['ok', 'unfinished']);
  assert.deepEqual(changedCells(outline.executions, over.executions), [1]);
});

test('the time spent is known when an execution has ended', () => {
  assert.equal(spent(ran(1)), 1500);
  assert.equal(spent({ ...ran(1), ended: null }), null);
});
