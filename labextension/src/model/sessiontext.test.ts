import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ICell } from '@jupyterlab/nbformat';
import type { IOutlined } from '../tokens';
import { matchesIn, SessionText, textOf } from './sessiontext';

function cell(source: string, ...outputs: object[]): ICell {
  return { cell_type: 'code', metadata: {}, source, outputs } as unknown as ICell;
}

test('sources, prints, values and tracebacks are read, images are not', () => {
  const text = textOf(
    cell(
      'lr = 0.1',
      { output_type: 'stream', name: 'stdout', text: ['10 %\r', '20 %\n', 'done\n'] },
      { output_type: 'display_data', data: { 'image/png': 'iVBOR', 'text/plain': '<Figure>' } },
      { output_type: 'error', ename: 'E', evalue: 'no', traceback: ['\x1b[31mE\x1b[0m', 'no'] }
    )
  );
  assert.equal(text, 'lr = 0.1\n20 %\ndone\n\n<Figure>\nE\nno');
});

test('each match counts, and what matches nothing does not', () => {
  assert.deepEqual(matchesIn(['a b a', '', 'A'], /a/gi), [0, 0, 2]);
  assert.deepEqual(matchesIn(['aaa'], /x*/g), []);
});

test('cells are fetched in slices, once, and anew when they changed', async () => {
  const asked: (readonly number[])[] = [];
  const texts = new SessionText(async places => {
    asked.push(places);
    return Object.fromEntries(places.map(place => [place, cell(`step ${place}`)]));
  });
  const executions = [3_000_000, 3_000_000, 10, 10].map(size => ({ size }) as IOutlined);
  assert.deepEqual(await texts.all(executions), ['step 0', 'step 1', 'step 2', 'step 3']);
  assert.deepEqual(asked, [
    [0, 1],
    [2, 3]
  ]);
  texts.forget(2);
  await texts.all(executions);
  assert.deepEqual(asked[2], [2]);
});
