import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { isSkipped, setSkipped } from './skip';

type Cell = Parameters<typeof isSkipped>[0] & Parameters<typeof setSkipped>[0];

function cell(metadata: Record<string, unknown>, source = 'x = 1'): Cell {
  return {
    metadata,
    sharedModel: { getSource: () => source },
    setMetadata: (key: string, value: unknown) => (metadata[key] = value),
    deleteMetadata: (key: string) => delete metadata[key]
  } as unknown as Cell;
}

test('a cell is skipped by its tag, its own metadata or its first line', () => {
  for (const metadata of [
    { tags: ['slow', 'codesave-skip'] },
    { codesave: { capture: 'off' } },
    { codesave: { skipped: true } },
    { cell: { tags: ['codesave-skip'] } },
    { metadata: { codesave: { capture: 'off' } } },
    { cell: { metadata: { tags: ['codesave-skip'] } } }
  ]) {
    assert.ok(isSkipped(cell(metadata)), JSON.stringify(metadata));
  }
  for (const source of [
    '%%codesave skip',
    '\n  %%codesave \t skip\nx = 1',
    '>>> %%codesave skip',
    'In [3]: %%codesave skip\nx = 1',
    '... %%codesave skip',
    '%%time\n%%codesave skip\nx = 1',
    '%%time\n\n%%capture out\n ...: %%codesave skip'
  ]) {
    assert.ok(isSkipped(cell({}, source)), source);
  }
});

test('what only resembles one of these skips nothing', () => {
  for (const metadata of [
    {},
    { tags: 'codesave' },
    { tags: [1, null] },
    { tags: ['codesave-skip-not'] },
    { codesave: { capture: 'sources' } },
    { codesave: ['off'] },
    { codesave: { skipped: false } },
    { metadata: 'codesave-skip' }
  ]) {
    assert.ok(!isSkipped(cell(metadata)), JSON.stringify(metadata));
  }
  for (const source of [
    'x = 1\n%%codesave skip',
    '# %%codesave skip',
    '%%codesave skipped',
    '%%codesave skipé',
    '%codesave skip',
    '%%codesave\nskip',
    '%%time\nx = 1\n%%codesave skip'
  ]) {
    assert.ok(!isSkipped(cell({}, source)), source);
  }
});

test('a cell that is to be recorded again keeps all else that its metadata say', () => {
  const metadata: Record<string, unknown> = {
    tags: ['slow', 'codesave-skip'],
    codesave: { capture: 'off', skipped: true, note: 'kept' }
  };
  setSkipped(cell(metadata), false);
  assert.deepEqual(metadata, { tags: ['slow'], codesave: { note: 'kept' } });
  setSkipped(cell(metadata), true);
  assert.deepEqual(metadata.tags, ['slow', 'codesave-skip']);
  const alone: Record<string, unknown> = { codesave: { capture: 'off' } };
  setSkipped(cell(alone), false);
  assert.deepEqual(alone, {});
});
