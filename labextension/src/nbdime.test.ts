import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { ICell, IOutput } from '@jupyterlab/nbformat';
import { cellDiff, pairOutputs } from './nbdime';

const text = (value: string): IOutput => ({
  output_type: 'stream',
  name: 'stdout',
  text: value
});
const code = (...outputs: IOutput[]): ICell => ({
  cell_type: 'code',
  source: '',
  metadata: {},
  outputs
});
const shown = (pairs: ReturnType<typeof pairOutputs>) =>
  pairs.map(({ base, head, changed }) => [base?.text ?? null, head?.text ?? null, changed]);

test('the entries of one cell are found in a notebook diff', () => {
  const inner = [{ op: 'replace', key: 'source', value: 'x' }];
  const diff = [{ op: 'patch', key: 'cells', diff: [{ op: 'patch', key: 4, diff: inner }] }];
  assert.deepEqual(cellDiff(diff, 4), inner);
  assert.equal(cellDiff(diff, 3), null);
});

test('outputs pair as the diff says, not by place', () => {
  const diff = [
    {
      op: 'patch',
      key: 'outputs',
      diff: [{ op: 'addrange', key: 0, valuelist: [text('new')] }]
    }
  ];
  const pairs = pairOutputs(code(text('old')), code(text('new'), text('old')), diff);
  assert.deepEqual(shown(pairs), [
    [null, 'new', true],
    ['old', 'old', false]
  ]);
});

test('an output put in the place of another is one pair', () => {
  const diff = [
    {
      op: 'patch',
      key: 'outputs',
      diff: [
        { op: 'addrange', key: 0, valuelist: [text('new')] },
        { op: 'removerange', key: 0, length: 1 }
      ]
    }
  ];
  assert.deepEqual(shown(pairOutputs(code(text('old')), code(text('new')), diff)), [
    ['old', 'new', true]
  ]);
});

test('a diff that does not fit the outputs falls back to their places', () => {
  const diff = [
    { op: 'patch', key: 'outputs', diff: [{ op: 'removerange', key: 0, length: 1 }] }
  ];
  assert.deepEqual(shown(pairOutputs(code(text('a')), code(text('b')), diff)), [
    ['a', 'b', true]
  ]);
});

test('a prompt number alone is no change', () => {
  const result = (count: number): IOutput => ({
    output_type: 'execute_result',
    execution_count: count,
    data: { 'text/plain': '1' },
    metadata: {}
  });
  assert.equal(pairOutputs(code(result(1)), code(result(2)), null)[0].changed, false);
});
