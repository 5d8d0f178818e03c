import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { CodeSaveClient } from '../client';
import type { IRun, IRunQuery } from '../tokens';
import { groupRuns, RunsModel } from './runs';

function run(id: string, notebook: string, minute: number): IRun {
  const started = `2026-11-20T10:${String(minute).padStart(2, '0')}:00Z`;
  return { id, notebook, started, state: 'finished', tags: [] } as unknown as IRun;
}

/** A server that holds `runs`; pages of three, so that paging shows. */
function server(runs: IRun[]) {
  const asked: IRunQuery[] = [];
  const gone = new Set<string>();
  const client = {
    asked,
    runs: async (query: IRunQuery) => {
      asked.push(query);
      const found = runs
        .filter(one => !query.notebook || one.notebook === query.notebook)
        .filter(one => !query.q || one.id.includes(query.q))
        .filter(one => gone.has(one.id) === (query.state === 'deleted'))
        .sort((a, b) => (a.started < b.started ? 1 : -1));
      const from = Number(query.cursor ?? 0);
      const next = from + 3 < found.length ? String(from + 3) : null;
      return { runs: found.slice(from, from + 3), next };
    },
    run: async (id: string) => runs.find(one => one.id === id),
    deleteRun: async (id: string) => void gone.add(id),
    restoreRun: async (id: string) => {
      gone.delete(id);
      return runs.find(one => one.id === id);
    }
  };
  return client as unknown as CodeSaveClient & { asked: IRunQuery[] };
}

const RUNS = [1, 2, 3, 4, 5].map(i => run(`run${i}`, i % 2 ? 'odd.ipynb' : 'even.ipynb', i));

test('runs are grouped by notebook, the newest first', async () => {
  const model = new RunsModel(server(RUNS));
  await model.refresh();
  await model.more();
  assert.deepEqual(
    model.groups.map(group => [group.title, ...group.runs.map(one => one.id)]),
    [
      ['odd.ipynb', 'run5', 'run3', 'run1'],
      ['even.ipynb', 'run4', 'run2']
    ]
  );
  assert.equal(model.complete, true);
});

test('the runs of the open notebook come first, even those of later pages', async () => {
  const model = new RunsModel(server(RUNS));
  await model.setNotebook('even.ipynb');
  assert.equal(model.groups[0].title, 'even.ipynb');
  assert.deepEqual(
    model.groups[0].runs.map(one => one.id),
    ['run4', 'run2']
  );
});

/** Runs of a project that have no notebook, and those of two notebooks of one name. */
const MIXED = new Map(
  [
    { ...run('kernel', '', 1), notebook: null, project: 'a/b c', kind: 'kernel' },
    { ...run('script', '', 2), notebook: null, project: 'a/b c', kind: 'script' },
    { ...run('one', 'x/same.ipynb', 3), project: 'a/b c' },
    { ...run('two', 'y/same.ipynb', 4), project: 'a/b c' },
    { ...run('terminal', '', 5), notebook: null, project: null, kind: 'terminal' }
  ].map(one => [one.id, one as IRun])
);

test('where no notebook is open, no group is called open', () => {
  const groups = groupRuns(MIXED, null);
  assert.deepEqual(
    groups.filter(({ current }) => current),
    []
  );
  assert.equal(groups[0].runs[0].id, 'terminal');
});

test('where one is open, its group alone is called open and stands on top', () => {
  assert.deepEqual(
    groupRuns(MIXED, 'x/same.ipynb').map(({ title, current }) => [title, current])[0],
    ['x/same.ipynb', true]
  );
  assert.equal(groupRuns(MIXED, 'x/same.ipynb').filter(({ current }) => current).length, 1);
});

test('no two groups have one heading, and a project is shown whole', () => {
  assert.deepEqual(
    groupRuns(MIXED, null).map(({ title }) => title),
    ['terminals', 'y/same.ipynb', 'x/same.ipynb', 'a/b c · scripts', 'a/b c · kernels']
  );
});

test('of two picked runs the older is the base, whichever was picked first', async () => {
  const model = new RunsModel(server(RUNS));
  await model.refresh();
  model.select('run5');
  model.select('run3', true);
  assert.deepEqual(model.pair, { base: 'run3', head: 'run5' });
});

test('a third picked run takes the place of the first', async () => {
  const model = new RunsModel(server(RUNS));
  await model.refresh();
  model.select('run5');
  model.select('run4', true);
  model.select('run3', true);
  assert.deepEqual(model.selection, ['run4', 'run3']);
});

test('an event of a new run brings it into the list', async () => {
  const model = new RunsModel(server([...RUNS, run('run9', 'odd.ipynb', 9)].slice(0, 6)));
  await model.apply({ run: 'run9', action: 'started', state: 'running', notebook: null });
  assert.equal(model.get('run9')?.notebook, 'odd.ipynb');
});

test('a deleted run leaves list and selection, and undo brings it back', async () => {
  const model = new RunsModel(server(RUNS));
  await model.refresh();
  model.select('run5');
  await model.delete('run5');
  assert.equal(model.get('run5'), undefined);
  assert.deepEqual(model.selection, []);
  await model.restore('run5');
  assert.equal(model.get('run5')?.id, 'run5');
});

test('deleted runs are listed by themselves and leave that list when restored', async () => {
  const model = new RunsModel(server(RUNS));
  await model.refresh();
  await model.delete('run4');
  await model.list('deleted');
  assert.deepEqual(
    model.groups.flatMap(group => group.runs.map(one => one.id)),
    ['run4']
  );
  await model.restore('run4');
  assert.deepEqual(model.groups, []);
  await model.list('');
  assert.equal(model.get('run4')?.id, 'run4');
});

test('an answer that comes after a newer question is dropped', async () => {
  const client = server(RUNS);
  const model = new RunsModel(client);
  await Promise.all([model.setFilter('run1'), model.setFilter('run2')]);
  assert.deepEqual(
    model.groups.flatMap(group => group.runs.map(one => one.id)),
    ['run2']
  );
});

test('a server that does not answer shows as an error and not as an empty list', async () => {
  const model = new RunsModel({
    runs: () => Promise.reject(new Error('no answer'))
  } as unknown as CodeSaveClient);
  await model.refresh();
  assert.equal(model.state, 'error');
  assert.equal(model.error?.message, 'no answer');
});
