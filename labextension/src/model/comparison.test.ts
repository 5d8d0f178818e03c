import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { CodeSaveClient } from '../client';
import type { IComparedFile, IDiffOptions, IRun, Side } from '../tokens';
import { ComparisonModel, firstToShow, likelyFile, SESSION } from './comparison';

function file(path: string, change: Partial<IComparedFile> = {}): IComparedFile {
  const kind = path.endsWith('.ipynb') ? 'notebook' : 'text';
  return { path, status: 'modified', kind, ...change } as IComparedFile;
}

function server(files: IComparedFile[]) {
  const asked: string[] = [];
  const client = {
    asked,
    diff: async (base: string, head: string, { path }: IDiffOptions) => {
      asked.push(`diff ${path ?? ''}`);
      const found = files.filter(one => !path || one.path === path);
      if (found.length === 0) {
        throw new Error(`there is no ${path}`);
      }
      return { base: { ref: base }, head: { ref: head }, files: found, truncated: false };
    },
    cells: async (base: string, head: string, path: string, side: Side, indices: number[]) => {
      asked.push(`cells ${side} ${indices.join()}`);
      return Object.fromEntries(
        indices.map(i => [i, { cell_type: 'code', source: `${side}${i}` }])
      );
    }
  };
  return client as unknown as CodeSaveClient & { asked: string[] };
}

test('what ran is shown first', () => {
  assert.equal(firstToShow([file('a.py'), file('b.ipynb'), file(SESSION)])?.path, SESSION);
});

test('an unchanged session gives way to a changed file', () => {
  const same = file(SESSION, { status: 'unchanged' });
  assert.equal(firstToShow([same, file('a.py')])?.path, 'a.py');
});

test('a notebook on disk is looked at under its own name', () => {
  assert.equal(likelyFile('1a2b3c4d', './study/a.ipynb'), 'a.ipynb');
  assert.equal(likelyFile('1a2b3c4d', 'source-demo:v1'), SESSION);
  assert.equal(likelyFile('a.ipynb@2', '@1'), SESSION);
});

test('the session is asked for together with the list of files', async () => {
  const client = server([file(SESSION), file('a.py')]);
  const model = new ComparisonModel(client, { base: 'one', head: 'two' });
  await model.load();
  assert.deepEqual(client.asked, ['diff ', `diff ${SESSION}`]);
  assert.equal(model.state, 'ready');
  assert.equal(model.file?.path, SESSION);
});

test('without a session the first changed file is fetched', async () => {
  const model = new ComparisonModel(server([file('a.py')]), { base: 'one', head: 'two' });
  await model.load();
  assert.equal(model.state, 'ready');
  assert.equal(model.file?.path, 'a.py');
});

test('a server that refuses shows why', async () => {
  const model = new ComparisonModel(server([]), { base: 'one', head: 'two' });
  await model.load();
  assert.equal(model.state, 'error');
  assert.match(model.error!.message, /there is no/);
});

test('cells wanted in one turn share a request a side, and are asked for once', async () => {
  const client = server([file(SESSION)]);
  const model = new ComparisonModel(client, { base: 'one', head: 'two' });
  await model.load();
  client.asked.length = 0;
  const cells = await Promise.all([
    model.cell('base', 3),
    model.cell('base', 4),
    model.cell('head', 4),
    model.cell('base', 3)
  ]);
  assert.deepEqual(client.asked, ['cells base 3,4', 'cells head 4']);
  assert.deepEqual(
    cells.map(cell => cell.source),
    ['base3', 'base4', 'head4', 'base3']
  );
});

test('a cancelled comparison says so', async () => {
  const client = {
    diff: (_base: string, _head: string, _options: IDiffOptions, signal: AbortSignal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  } as unknown as CodeSaveClient;
  const model = new ComparisonModel(client, { base: 'one', head: 'two' });
  const loading = model.load();
  model.cancel();
  await loading;
  assert.equal(model.state, 'error');
  assert.match(model.error!.message, /cancelled/);
});

function compared(listed: Partial<IRun>) {
  const client = server([file(SESSION)]);
  const { diff } = client;
  const told = {
    id: 'two',
    name: null,
    tags: [],
    notes: null,
    state: 'running',
    executions: 1
  };
  const now = { ...told, ...listed };
  Object.assign(client, {
    diff: async (...args: Parameters<typeof diff>) => {
      const found = await diff(...args);
      return { ...found, head: { ref: 'two', run: { ...told } } };
    },
    run: async (id: string) => {
      client.asked.push(`run ${id}`);
      return now;
    }
  });
  const model = new ComparisonModel(client, { base: 'one', head: 'two' });
  const noted: string[] = [];
  const load = async () => {
    await model.load();
    noted.length = client.asked.length = 0;
  };
  model.changed.connect((_, what) => noted.push(what));
  return { client, model, noted, load };
}

test('a run that goes on is noted once and shown stays what was shown', async () => {
  const { client, model, noted, load } = compared({ executions: 2, name: 'named' });
  await load();
  await model.noteChange('other', 'updated');
  await model.noteChange('two', 'updated');
  await model.noteChange('two', 'updated');
  assert.deepEqual(noted, ['outdated']);
  assert.deepEqual(client.asked, ['run two']);
  assert.equal(model.state, 'ready');
  await load();
  assert.equal(model.outdated, false);
});

test('a run whose numbers are the same went on where a person said nothing of it', async () => {
  for (const action of ['updated', 'finished'] as const) {
    const { model, noted, load } = compared({});
    await load();
    await model.noteChange('two', action);
    assert.deepEqual(noted, ['outdated']);
  }
});

test('an ended run that is described twice at once did not go on', async () => {
  const { client, model, noted, load } = compared({});
  await load();
  const ended = { ...model.comparison!.head.run!, state: 'finished' };
  model.comparison!.head.run = ended;
  Object.assign(client, { run: async () => ({ ...ended, name: 'named', notes: 'seen' }) });
  await Promise.all([model.noteChange('two', 'updated'), model.noteChange('two', 'updated')]);
  assert.deepEqual(noted, ['described', 'described']);
});

test('another name, other tags or notes are shown and are no reason to compare again', async () => {
  for (const said of [{ name: 'named' }, { tags: ['good'] }, { notes: 'seen' }]) {
    const { model, noted, load } = compared(said);
    await load();
    await model.noteChange('two', 'updated');
    assert.deepEqual(noted, ['described']);
    assert.equal(model.outdated, false);
    const { name, tags, notes } = model.comparison!.head.run!;
    assert.deepEqual({ name, tags, notes }, { name: null, tags: [], notes: null, ...said });
  }
});
