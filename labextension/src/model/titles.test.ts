import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { IRun } from '../tokens';
import {
  bytes,
  codeName,
  dayAndTime,
  duration,
  givenName,
  runTitle,
  sameMinute,
  when
} from './titles';

const now = new Date(2026, 10, 20, 15, 0);

function run(change: Partial<IRun> = {}): IRun {
  return {
    id: '1a2b3c4d',
    name: null,
    project: 'demo',
    notebook: 'work/analysis.ipynb',
    program: null,
    kind: 'kernel',
    started: new Date(2026, 10, 17, 14, 2).toISOString(),
    executions: 37,
    ...change
  } as IRun;
}

test('a run is titled so that a person knows it', () => {
  assert.equal(runTitle(run(), now, 'en-GB'), 'analysis.ipynb · Tue 14:02 · 37 cells');
});

test('a name that a person gave is part of the title', () => {
  assert.equal(
    runTitle(run({ name: 'baseline', executions: 1 }), now, 'en-GB'),
    'analysis.ipynb · baseline · Tue 14:02 · 1 cell'
  );
});

test('a script is not counted in cells', () => {
  const script = run({ kind: 'script', notebook: null, program: 'train.py', executions: 1 });
  assert.equal(runTitle(script, now, 'en-GB'), 'train.py · Tue 14:02');
});

test('a name that is only the id or the notebook is not a given name', () => {
  assert.equal(givenName(run({ name: '1a2b3c4d' })), null);
  assert.equal(givenName(run({ name: 'analysis.ipynb' })), null);
  assert.equal(givenName(run({ name: 'analysis' })), null);
});

test('the name of the file before it was renamed is not a given name', () => {
  const renamed = run({ name: 'second.ipynb', notebook: 'work/renamed.ipynb' });
  assert.equal(givenName(renamed), null);
  assert.equal(runTitle(renamed, now, 'en-GB'), 'renamed.ipynb · Tue 14:02 · 37 cells');
});

test('a project with a slash in its name is shown whole', () => {
  assert.equal(codeName(run({ notebook: null, project: 'a/b c' })), 'a/b c');
});

test('code without a notebook is called by its program, then by its project', () => {
  assert.equal(codeName(run({ notebook: null, program: '/home/u/train.py' })), 'train.py');
  assert.equal(codeName(run({ notebook: null })), 'demo');
});

test('today has no day, this week a weekday, other years a year', () => {
  assert.equal(when(new Date(2026, 10, 20, 9, 5).toISOString(), now, 'en-GB'), '09:05');
  assert.equal(when(new Date(2026, 2, 12, 9, 5).toISOString(), now, 'en-GB'), '12 Mar 09:05');
  assert.match(when(new Date(2024, 2, 12, 9, 5).toISOString(), now, 'en-GB'), /12 Mar 2024/);
});

test('under its notebook a run is called by its day and time', () => {
  const today = new Date(2026, 10, 20, 14, 46, 12).toISOString();
  assert.equal(dayAndTime(today, false, now, 'en-GB'), 'Today 14:46');
  assert.equal(dayAndTime(today, true, now, 'en-GB'), 'Today 14:46:12');
  assert.equal(dayAndTime(run().started, false, now, 'en-GB'), 'Tue 14:02');
});

test('seconds are needed by the runs that share a minute alone', () => {
  const at = (id: string, minute: number, second: number) =>
    run({ id, started: new Date(2026, 10, 20, 14, minute, second).toISOString() });
  const shared = sameMinute([at('a', 46, 12), at('b', 46, 59), at('c', 47, 0)]);
  assert.deepEqual([...shared], ['a', 'b']);
});

test('durations and sizes are said in the unit that fits', () => {
  assert.equal(duration(20), '< 0.1 s');
  assert.equal(duration(425), '0.4 s');
  assert.equal(duration(59_600), '1 min 00 s');
  assert.equal(duration(7_800_000), '2 h 10 min');
  assert.equal(bytes(999), '999 B');
  assert.equal(bytes(1400), '1.4 kB');
  assert.equal(bytes(3_200_000), '3.2 MB');
});
